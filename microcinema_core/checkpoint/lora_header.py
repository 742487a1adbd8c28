"""What the LoRA of a video model says of itself, in its file's metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, shown
from ..files import parse_json
from .format import FORMAT_VERSION, LORA, PREFIX

MAX_ALPHA = 1e6


@dataclass(frozen=True, slots=True)
class LoraHeader:
    """What a file says of itself. base: the model's name; layout: of its U-Net; words: of captions, that ask for it."""

    base: str
    layout: str
    rank: int
    alpha: float
    words: str = ""
    licence: str = "Apache-2.0"
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        about = {"base": self.base, "layout": self.layout, "rank": self.rank, "alpha": self.alpha, "words": self.words}
        values = {
            "format": str(FORMAT_VERSION),
            "kind": LORA,
            "lora": json.dumps(about),
            "licence": self.licence,
            "provenance": json.dumps(self.provenance),
        }
        return {PREFIX + key: value for key, value in values.items()}

    @classmethod
    def of(cls, metadata: Mapping[str, str], path: Path) -> LoraHeader | None:
        """None for a file of another program. Raises CheckpointError where an entry is not what is written here."""
        if metadata.get(PREFIX + "kind") != LORA:
            return None
        try:
            about = parse_json(metadata[PREFIX + "lora"], PREFIX + "lora")
            provenance = parse_json(metadata.get(PREFIX + "provenance", "{}"), PREFIX + "provenance")
            base, layout, words = (about[key] for key in ("base", "layout", "words"))
            rank, alpha = about["rank"], about["alpha"]
            told = all(isinstance(word, str) for word in (base, layout, words)) and isinstance(provenance, dict)
            if not told or type(rank) is not int or type(alpha) not in (int, float) or not 0 < alpha < MAX_ALPHA:
                raise TypeError("an entry is of another kind")
            licence = metadata.get(PREFIX + "licence", "unknown")
            return cls(base, layout, rank, float(alpha), words, licence, provenance)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: bad metadata: {shown(str(error))}; get the file anew") from error


def layout_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """16 hexadecimal digits of a U-Net's tensors' names and shapes."""
    told = json.dumps(sorted((name, list(shape)) for name, shape in shapes.items()))
    return hashlib.sha256(told.encode()).hexdigest()[:16]
