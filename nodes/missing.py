"""What stands in an output for a part that the loaded file does not have."""

from __future__ import annotations

from typing import Any, NoReturn

from ..microcinema_core.errors import MicroCinemaError


class MissingPartError(MicroCinemaError, AttributeError):
    """An AttributeError too, so that the host may look at the stand-in without using it."""


class Missing:
    """Any use raises one message that says what is missing and what to do."""

    __slots__ = ("_message",)

    def __init__(self, message: str) -> None:
        self._message = message

    def refuse(self) -> NoReturn:
        raise MissingPartError(self._message)

    def __getattr__(self, name: str) -> NoReturn:
        self.refuse()

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.refuse()
