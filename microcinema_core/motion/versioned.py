"""What is kept as JSON text says what it is and of which version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..files import parse_json


@dataclass(frozen=True, slots=True)
class Form:
    """name: what the text says it is. called, advice: for messages. most: characters of a text."""

    name: str
    version: int
    called: str
    advice: str
    most: int

    @property
    def head(self) -> dict[str, Any]:
        """What a text begins with."""
        return {"format": self.name, "version": self.version}

    def body(self, text: str, where: str) -> dict[str, Any]:
        """All else that a text holds. Raises ConfigError for what is no such text, or of another version."""
        try:
            data = parse_json(text, where, self.most)
        except ValueError as error:
            raise ConfigError(f"{error}; {self.advice}") from error
        if not isinstance(data, dict) or data.get("format") != self.name:
            raise ConfigError(f'{where}: is no {self.called}, which holds "format": "{self.name}"; {self.advice}')
        version = data.get("version")
        if version != self.version or isinstance(version, bool):
            raise ConfigError(
                f"{where}: version {version!r} is not known here; this program reads version {self.version}"
            )
        return {key: value for key, value in data.items() if key not in self.head}
