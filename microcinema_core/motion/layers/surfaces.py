"""What moves on the picture's own surface: sky, then water; then wind and breath, which move all that is there.

The displaced picture and the camera are one resample: a pixel's place in the picture is moved before it is read.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..camera import Matrix
from ..fill import fill
from ..layer import Layer, LayerKind
from ..moments import Moment
from ..plates import grown, inside, padded
from ..resample import Box, Texture, grid_of, level_of, shifted, shown
from ..scene import Scene
from .breathe import Breathe
from .composed import NOTHING
from .footage import Footage
from .patch import Ground, Patch, Seen
from .sky import Clouds
from .water import Falls, Waves
from .wind import Wind

ORDER = (
    LayerKind.CLOUDS,
    LayerKind.WAVES,
    LayerKind.FALLS,
    LayerKind.WIND,
    LayerKind.TAUGHT,
    LayerKind.BREATHE,
)
Warp = Wind | Footage | Breathe
Skin = Clouds | Waves | Falls


class Surfaces:
    """The layers of a scene's plan that lie on its background."""

    def __init__(self, scene: Scene, largest: float) -> None:
        """largest: the most pixels that a frame makes of one of the picture's."""
        self.ground = _ground(scene, largest)
        carried = [(layer, mask, _carried(mask, scene, self.ground)) for layer, mask in _pairs(scene)]
        acting = [self._made(*part, scene) for part in carried if bool((part[2] > NOTHING).any())]
        acting.sort(key=lambda mine: ORDER.index(mine.layer.kind))
        self.skins = [mine for mine in acting if not isinstance(mine, Warp)]
        self.warps = [mine for mine in reversed(acting) if isinstance(mine, Warp)]
        self.margin = math.ceil(sum(mine.reach for mine in self.warps) * self.ground.height)

    def _made(self, layer: Layer, mask: Tensor, carried: Tensor, scene: Scene) -> Skin | Warp:
        """carried: the mask on the ground; some of it is there."""
        patch = Patch.of(layer, mask, carried, self.ground)
        match layer.kind:
            case LayerKind.CLOUDS:
                return Clouds(patch, self.ground)
            case LayerKind.WAVES:
                return Waves(patch, self.ground)
            case LayerKind.FALLS:
                return Falls(patch, self.ground)
            case LayerKind.WIND:
                far = scene.maps.distance
                return Wind(patch, None if far is None else patch.cropped(padded(far, scene.box), self.ground))
            case LayerKind.TAUGHT:
                return Footage(patch)
            case _:
                return Breathe(patch, scene.picture.shape[2])

    def moves(self, moment: Moment) -> bool:
        """Whether there is anything of them at a moment."""
        return any(mine.layer.strength(moment.u) > 0 for mine in (*self.skins, *self.warps))

    def covered(self, place: Matrix, box: Box) -> Tensor:
        """Where a box of a frame shows what a region's edge touches: [1, h, w] of truths. place: as below."""
        given = self.ground.given
        if bool(given.all()):
            return torch.zeros_like(given[:, :1, :1], dtype=torch.bool)
        shift = np.array([[1, 0, -self.ground.corner[0]], [0, 1, -self.ground.corner[1]], [0, 0, 1.0]])
        return Texture(given, 0).sample(shift @ place, box) < 1

    def drawn(self, seen: Tensor, texture: Texture, place: Matrix, box: Box, moment: Moment) -> Tensor:
        """What a box of a frame shows of a background's texture [C, h, w], colour first, with all of them: the same.

        seen: without them; it is changed. place [3, 3]: from the frame's continuous pixels to the picture's.
        """
        places, level = grid_of(place, box, seen), level_of(place, box)
        before = places.clone() if self.warps else places
        moved = [warp for warp in self.warps if warp.layer.strength(moment.u) > 0]
        for warp in moved:
            part = shown(place, warp.patch.extent, box)
            if part is not None:
                mine = places[:, *_slices(part, box)]
                mine.copy_(shifted(mine, warp.lattice.read(warp.displaced(moment), mine)))
        if moved:
            self._read(seen, texture, level, places, before)
        for skin in self.skins:
            part = shown(place, self._around(skin.patch.extent), box)
            if part is not None and skin.layer.strength(moment.u) > 0:
                at = _slices(part, box)
                skin.paint(seen[:3, *at], Seen(places[:, *at], level, place, part), moment)
        return seen

    def _read(self, seen: Tensor, texture: Texture, level: float, places: Tensor, before: Tensor) -> None:
        """Read the colours of what was moved, at places in the picture, again."""
        changed = ((places[..., 0] != before[..., 0]) | (places[..., 1] != before[..., 1]))[0]
        rows, columns = (changed.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        if not len(rows):
            return
        at = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        colour = texture.at(places[:, *at], level, self.ground.corner, mirrored=True)[:3]
        part = seen[:3, *at]
        part.copy_(torch.where(changed[at], colour, part))

    def _around(self, extent: Box) -> Box:
        """With what wind may move into it."""
        left, top, right, bottom = extent
        return left - self.margin, top - self.margin, right + self.margin, bottom + self.margin


def acts(layer: Layer) -> bool:
    """Whether a layer lies on the background."""
    return layer.amount > 0 and layer.kind in ORDER


def _pairs(scene: Scene) -> list[tuple[Layer, Tensor]]:
    """Those that act, with their masks [1, H, W]."""
    everywhere = torch.ones_like(scene.picture[:1])
    own = ((layer, scene.maps.own(number)) for number, layer in enumerate(scene.plan.layers) if acts(layer))
    return [(layer, everywhere if mask is None else mask) for layer, mask in own]


def _slices(part: Box, box: Box) -> tuple[slice, slice]:
    """A part of the frame, in a tensor of a box of it."""
    return slice(part[1] - box[1], part[3] - box[1]), slice(part[0] - box[0], part[2] - box[0])


def _ground(scene: Scene, largest: float) -> Ground:
    """The background that is seen where nothing moves, and where the keyframe shows it itself."""
    behind = [plate for plate in scene.plates if plate.region is None][-1]
    size = (scene.picture.shape[2], scene.picture.shape[1])
    given = inside(size, scene.box, behind.colour)
    for plate in scene.plates:
        if plate.region is not None and plate.alpha is not None:
            left, top = (plate.corner[i] - scene.box[i] for i in (0, 1))
            width, height = plate.size
            given[:, top : top + height, left : left + width] *= 1 - grown(plate.alpha)
    return Ground(behind.colour, given, behind.corner, size[1], largest)


def _carried(mask: Tensor, scene: Scene, ground: Ground) -> Tensor:
    """A mask [1, H, W] of the picture on the canvas, carried on under its regions and beyond its edges: [1, h, w]."""
    canvas = padded(mask, scene.box)
    whole = bool(ground.given.all()) or bool((canvas == 1).all())
    return canvas if whole else fill(canvas, ground.given, texture=0).clamp(0, 1)
