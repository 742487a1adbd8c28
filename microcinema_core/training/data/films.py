"""A video of one's own: how long it plays, and its frames a second."""

from __future__ import annotations

from dataclasses import dataclass

from ...media.films import Video


@dataclass(frozen=True, slots=True)
class Film:
    """A video that can be learnt from: what its sentence says, how long it plays, and its frames a second.

    name: within its source. rate: on average where frames vary. key: tells it from others, in a later run too; another
    name or other bytes are another.
    """

    name: str
    video: Video
    text: str
    seconds: float
    rate: float
    key: str
