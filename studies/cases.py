"""What is asked of a model, what was seen of its answer, and how a part of the evaluation is made of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microcinema_core.shot.timing import frame_times, keyframe_index
from microcinema_core.worlds.toybox.tracker import Reading, read_clip
from microcinema_core.worlds.toybox.triples import FPS, FRAMES, Triple
from microcinema_core.worlds.toybox.world import Scene, render

Frames = NDArray[np.uint8]  # [T, H, W, 3], RGB 0..255
Record = dict[str, Any]  # JSON-ready

SIZE = 128  # pixels a side


@dataclass(frozen=True, slots=True)
class Shot:
    """One clip to generate around a picture [H, W, 3]."""

    keyframe: NDArray[np.uint8]
    prompt: str
    seed: int
    keyframe_at: str = "centre"


Animate = Callable[[Sequence[Shot]], list[Frames]]


@dataclass(frozen=True, slots=True)
class Case:
    """A shot of which the truth is known: the keyframe shows `scene` at time 0, the prompt asks for its motion."""

    scene: Scene
    prompt: str
    seed: int
    keyframe_at: str = "centre"

    @classmethod
    def of(cls, triple: Triple) -> Self:
        return cls(triple.scene, triple.prompt, triple.seed)

    @property
    def held_out(self) -> bool:
        return self.scene.held_out

    @property
    def times(self) -> list[float]:
        """Seconds from the keyframe of a base clip's frames."""
        return frame_times(FRAMES, FPS, keyframe_index(self.keyframe_at, FRAMES))

    def shot(self, size: int = SIZE) -> Shot:
        return Shot(render(self.scene, [0.0], size)[0], self.prompt, self.seed, self.keyframe_at)

    def truth(self, size: int = SIZE) -> Frames:
        """The clip that was asked for, [T, size, size, 3]."""
        return render(self.scene, self.times, size)

    def to_dict(self) -> dict[str, Any]:
        return {
            "scene": self.scene.to_dict(),
            "prompt": self.prompt,
            "seed": self.seed,
            "keyframe_at": self.keyframe_at,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tracker's reading says, without its arrays."""

    motion: str
    speed: str
    rate: float  # sides, radians or log radius per second; 0 when nothing moves
    shape: str
    colour: str

    @classmethod
    def of(cls, reading: Reading) -> Self:
        return cls(reading.motion, reading.speed, reading.rate, reading.shape, reading.colour)

    @classmethod
    def from_record(cls, record: Record) -> Self:
        return cls(*(record[name] for name in ("motion", "speed", "rate", "shape", "colour")))

    def right(self, scene: Scene) -> bool:
        """Whether motion, shape and colour are the scene's."""
        return (self.motion, self.shape, self.colour) == (scene.motion, scene.shape, scene.colour)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A part's figures, JSON-ready, and the same as Markdown."""

    figures: dict[str, Any]
    markdown: str


@dataclass(frozen=True, slots=True)
class Part:
    """Cases, how one clip of them is measured, and what follows from all records, given in the cases' order."""

    cases: list[Case]
    measure: Callable[[Case, Frames], Record]
    summarise: Callable[[list[Case], list[Record]], Outcome]


def see(case: Case, frames: Frames) -> Record:
    """The plainest measure: what the tracker sees in a clip [T, H, W, 3]."""
    return asdict(Seen.of(read_clip(frames, case.times)))
