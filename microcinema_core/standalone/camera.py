"""A picture moves under the camera, with no model: the frames of a motion plan, made while they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import __version__
from ..media import Frames, save_clip, to_picture, to_pixels, to_uint8
from ..motion.fill import fill
from ..motion.moments import Moments
from ..motion.render import Frame, Renderer
from ..motion.scene import Filling, Motion, Scene, cut
from ..places.placing import placed
from ..shot.resize import ResizePolicy, Size
from .ahead import ahead
from .framing import TIMING, Timing, framed, own_size, source

Observer = Callable[[int, int, Any], None]  # (frames done, in all, None)
Over = Callable[[int, Frame], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A clip that is made while its frames are read, a few at a time. settings: all that makes it.

    over: what becomes of each frame besides, given its index: its picture [3, H, W], pixels 0..1.
    """

    renderer: Renderer
    settings: dict[str, Any]
    callback: Observer | None = None
    over: Over | None = None
    unknown: list[float] = field(default_factory=list)  # the share of each frame made that the picture does not show

    @property
    def fps(self) -> float:
        return self.renderer.moments.fps

    @property
    def size(self) -> Size:
        """Width and height of the frames."""
        return self.renderer.view.width, self.renderer.view.height

    def __len__(self) -> int:
        """The number of frames, known beforehand."""
        return len(self.renderer)

    def __iter__(self) -> Iterator[Frames]:
        """uint8 RGB [H, W, 3], one after the other; the next ones are made meanwhile."""
        return ahead(self.frames(range(len(self))))

    def frames(self, indices: Iterable[int]) -> Iterator[Frames]:
        """The frames [H, W, 3] of these indices alone."""
        self.unknown.clear()
        for index in indices:
            frame = self.renderer[index]
            self.unknown.append(float(frame.unknown.mean()))
            yield to_uint8(frame.picture if self.over is None else self.over(index, frame))
            if self.callback is not None:
                self.callback(len(self.unknown), len(self), None)

    def save(self, out: str | Path) -> None:
        """Make it and write it, as what the name's ending says; see `media.Target`."""
        save_clip(out, iter(self), self.fps, self.settings)


def move(
    image: Any,
    motion: Motion,
    timing: Timing = TIMING,
    *,
    size: Size | None = None,
    resize: ResizePolicy = ResizePolicy.CROP,
    plates: Sequence[Frames] | None = None,
    filling: Filling = fill,
    everywhere: bool = False,
    callback: Observer | None = None,
) -> Take:
    """A picture, moved as the motion says, and what its plan draws into it.

    image: PIL, uint8 [H, W, 3] or float tensor [3, H, W] in 0..1, of any size. size: width, height of the frames; None
    is the picture's own (`own_size`), plates: filled by somebody else, [h, w, 3] each, as `Scene.pictures` gives them.
    filling: what fills them else, such as a model (`filling.Filler`).
    everywhere: draw all over the picture the layers whose place is not found in it. callback: (frames made, all, None);
    may raise Cancelled.
    Raises InputError for what cannot be done with this picture, before any frame is made.
    """
    given = to_picture(image)
    shown = size or own_size(given.size)
    picture, motion = source(given, motion)
    motion = placed(picture, motion, everywhere=everywhere).motion
    scene = staged(picture, motion, shown, resize)
    scene = scene.filled(filling) if plates is None else scene.filled_with(to_pixels(plates))
    return taken(scene, timing, shown, resize, callback)


def staged(picture: Tensor, motion: Motion, size: Size, resize: ResizePolicy) -> Scene:
    """A picture [3, H, W] cut into plates, to be filled, which do not depend on the size that only crops it."""
    own = (picture.shape[2], picture.shape[1])
    return cut(picture, motion, framed(own, *size, resize) if resize is ResizePolicy.PAD else None)


def plates_of(scene: Scene) -> tuple[Frames, Frames]:
    """The plates to fill, [P, h, w, 3], and where, white = fill, in the same shape."""
    plates, fill = scene.pictures()
    return to_uint8(plates), to_uint8(fill.expand(-1, 3, -1, -1))


def taken(scene: Scene, timing: Timing, size: Size, resize: ResizePolicy, callback: Observer | None = None) -> Take:
    """The clip of a filled scene."""
    height, width = scene.picture.shape[1:]
    renderer = Renderer(
        scene, Moments(scene.plan, timing.frames, timing.fps, timing.loop), framed((width, height), *size, resize)
    )
    return Take(renderer, _settings(renderer), callback)


def _settings(renderer: Renderer) -> dict[str, Any]:
    moments, view = renderer.moments, renderer.view
    plan = json.loads(moments.plan.to_json())
    clip = {"frames": len(moments), "fps": moments.fps, "width": view.width, "height": view.height}
    return {"plan": plan, **clip, "keyframe": moments.keyframe, "program": f"microcinema {__version__}"}
