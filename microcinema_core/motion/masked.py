"""Where a mask of the keyframe is in each frame of a clip: it goes with what it lies on."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from .layers.composed import NOTHING, Maps
from .plates import padded
from .render import Renderer
from .scene import Scene


def masked(renderer: Renderer, mask: Tensor) -> MaskFrames:
    """A mask [H, W] or [1, H, W] of the keyframe, 1 = there, under the camera of a renderer."""
    return MaskFrames(Renderer(_as_picture(renderer.scene, mask), renderer.moments, renderer.view))


class MaskFrames:
    """Any frame of a mask, by index, hidden where something nearer hides what it lies on."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __getitem__(self, index: int) -> Tensor:
        """[1, H, W] in 0..1."""
        mask = self._renderer[index].picture[:1]
        return mask.masked_fill(mask < NOTHING, 0)


def _as_picture(scene: Scene, mask: Tensor) -> Scene:
    """The same plates, with nothing drawn over them, that show a mask in the place of their colours."""
    picture = mask.to(scene.picture).reshape(scene.picture[:1].shape).expand_as(scene.picture)
    plates = []
    for plate in scene.plates:
        (left, top), (width, height) = plate.corner, plate.size
        plates.append(replace(plate, colour=padded(picture, (left, top, left + width, top + height))))
    maps = Maps.of((), None, scene.picture)
    return replace(scene, picture=picture, plates=tuple(plates), plan=replace(scene.plan, layers=()), maps=maps)
