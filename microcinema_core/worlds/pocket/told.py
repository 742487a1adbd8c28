"""What is kept of a clip besides its frames: the sentence, and what it was made from, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from ...motion.plan import Camera, Plan
from .captions import caption
from .effects import Asked, Effect, Strength


@dataclass(frozen=True, slots=True)
class Told:
    """The sentence, and what it was made from: what is asked for, and the camera's move."""

    caption: str
    asked: Asked
    camera: Camera

    def to_dict(self) -> dict[str, Any]:
        return {"caption": self.caption, "asked": asdict(self.asked), "plan": Plan(self.camera).to_json()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        asked = data["asked"]
        return cls(
            data["caption"],
            Asked(Effect(asked["effect"]), Strength(asked["strength"]), bool(asked["comes"])),
            Plan.from_json(data["plan"]).camera,
        )

    def reworded(self, count: int) -> list[str]:
        """So many other sentences of the same, always the same ones."""
        rng = np.random.default_rng(list(self.caption.encode()))
        return [caption(self.asked, self.camera, rng) for _ in range(count)]
