"""Sockets of our own, and values of the host's dynamic inputs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from comfy_api.latest import io

from ..microcinema_core.errors import InputError

AppearNetSocket = io.Custom("APPEARNET")


def chosen(name: str, value: dict[str, Any] | None, options: Collection[str]) -> dict[str, Any]:
    """A DynamicCombo's value. The host lets unknown options through, without a value. Raises InputError for those."""
    if not isinstance(value, dict) or value.get(name) not in options:
        raise InputError(f"{name} must be one of {', '.join(options)}")
    return value
