"""Pocket's world: a picture under a camera, perhaps something that moves on it, perhaps an effect that words ask for.

A clip is a keyframe with a motion, drawn twice by `motion/`: as one knows it who has the keyframe alone, what it does
not show filled, without the effect (the guide); and with the picture that lies around and behind it, and with the
effect (the truth). The keyframe is the centre frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import ClipConfig
from ...motion.fill import fill
from ...motion.layer import Group, Layer, Place
from ...motion.layers.composed import Maps
from ...motion.moments import Moment, Moments
from ...motion.plan import Camera, Plan, Region
from ...motion.plates import SURE, Plate, View, padded, reach
from ...motion.render import Renderer
from ...motion.resample import Box
from ...motion.scene import Motion, Scene, cut
from ...places.find import Found, find
from ...shot.timing import frame_times
from .captions import caption
from .effects import Asked, Effect, drawn_effect, layer_of
from .moves import EASES, MOVES_ITSELF, PASTED, drawn_camera, drawn_region, weaker
from .pool import Pool, read_cut_out, scaled_picture

STREAM = 1 << 43  # of clips
VIEW = (0.6, 0.9)  # of a picture's shorter side, that a keyframe shows
GAMMA = (0.75, 1.3)  # of each colour: pictures that are as often light as dark, warm as cold
CUT_OUT = (0.25, 0.65)  # of the keyframe's side, that a cut-out is long
TRIES, SMALLER = 8, 0.7  # of a camera's move that would leave the picture; how much smaller each is
LEAST_FOUND = 0.05  # share of the keyframe that a place takes, or else one is made up
PLACES = {Effect.RIPPLES: Place.WATER, Effect.WIND: Place.PLANTS}
SHARP = 24.0  # how sharp a made-up place's edge is


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames of one clip, uint8.

    truth, guide: [T, 3, H, W]. known: [T, 1, H, W], 255 where the guide shows what the keyframe does. mask:
    [T, 1, H, W], 255 where the effect may act.
    """

    truth: Tensor
    guide: Tensor
    known: Tensor
    mask: Tensor
    caption: str
    asked: Asked
    plan: Plan


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """A keyframe and what is there besides: of pictures as large as the picture, the keyframe at its corner.

    picture: [3, H, W], what is behind. cut_out: [4, H, W], colour carried on beyond its edge, and alpha; or None.
    corner, side: of the keyframe in it, pixels.
    """

    picture: Tensor
    cut_out: Tensor | None
    corner: tuple[int, int]
    side: int

    def shown(self, box: Box) -> Tensor:
        """The box of the keyframe's plane, of what is behind: [3, h, w]."""
        return padded(self.picture, self._there(box))

    def pasted(self, box: Box) -> Tensor:
        """The box of the keyframe's plane, of the cut-out: [4, h, w]."""
        assert self.cut_out is not None
        return padded(self.cut_out, self._there(box))

    def _there(self, box: Box) -> Box:
        x, y = self.corner
        return box[0] + x, box[1] + y, box[2] + x, box[3] + y

    def keyframe(self) -> tuple[Tensor, Tensor]:
        """[3, side, side], and the cut-out's alpha in it, [1, side, side]."""
        own = (0, 0, self.side, self.side)
        behind = self.shown(own)
        if self.cut_out is None:
            return behind, torch.zeros_like(behind[:1])
        colour, alpha = self.pasted(own).split([3, 1])
        return torch.lerp(behind, colour, alpha), alpha


def clip_at(
    pool: Pool,
    clip: ClipConfig,
    seed: int,
    number: int,
    part: ClipConfig | None = None,
    asked: Asked | None = None,
) -> Clip:
    """A clip of the world of a seed: the same whenever it is asked for.

    part: so many frames of it at a higher rate are drawn in the place of all, a segment from one frame of a pass of
    temporal super-resolution to the next. asked: the effect, in the place of what would be drawn.
    """
    rng = np.random.default_rng([seed, STREAM, number])
    drawn, camera = drawn_effect(rng), drawn_camera(rng)
    plan = Plan(camera, ease=EASES[int(rng.integers(len(EASES)))], seed=int(rng.integers(2**31)))
    region = drawn_region(rng) if rng.random() < MOVES_ITSELF else None
    around, plan = _around(pool, plan, clip, rng)
    seconds = None if part is None else drawn_seconds(clip, part, rng)
    return rendered(around, plan, region, drawn if asked is None else asked, clip, rng, seconds)


def drawn_seconds(clip: ClipConfig, part: ClipConfig, rng: np.random.Generator) -> list[float]:
    """When the frames of a segment of the clip are: from a frame of what its pass is given to the next of these."""
    every = (part.frames - 1) / part.fps
    segments = round((clip.frames - 1) / clip.fps / every)
    return frame_times(part.frames, part.fps, start=int(rng.integers(segments)) * every)


@torch.no_grad()
def rendered(
    around: Around,
    plan: Plan,
    region: Region | None,
    asked: Asked,
    clip: ClipConfig,
    rng: np.random.Generator,
    seconds: Sequence[float] | None = None,
) -> Clip:
    """region: how the cut-out moves; None: as what is behind it. Frames of `clip.width` squared.

    seconds: when they are; None: at the clip's own rate.
    """
    picture, alpha = around.keyframe()
    moves = region is not None and around.cut_out is not None and float(alpha.max()) > SURE
    motion = Motion(plan).with_region(region, alpha) if moves and region is not None else Motion(plan)
    view = View.covering(clip.width, clip.height, (around.side, around.side))
    scene = cut(picture, motion, view)
    moments = Moments(scene.plan, clip.frames, clip.fps)
    frames = list(map(Renderer(scene.filled(), moments, view).at, _shown(moments, seconds)))
    guide, known = torch.stack([f.picture for f in frames]), 1 - torch.stack([f.unknown for f in frames])
    whole = _whole(scene, around)
    mask = torch.ones_like(picture[:1])
    if asked.effect is not Effect.NONE:
        layer = layer_of(asked, rng)
        whole, mask = _with_layer(whole, layer, asked.effect, alpha, rng)
        moments = replace(moments, plan=whole.plan)
    shown = _shown(moments, seconds)
    truth = torch.stack([frame.picture for frame in map(Renderer(whole, moments, view).at, shown)])
    where = torch.stack([_seen(mask, whole, moment, view) for moment in shown])
    said = caption(asked, plan.camera, rng)
    truth, guide, known, where = map(_to_uint8, (truth, guide, known, where))
    return Clip(truth, guide, known, where, said, asked, whole.plan)


def _shown(moments: Moments, seconds: Sequence[float] | None) -> list[Moment]:
    return list(moments) if seconds is None else [moments.at(when) for when in seconds]


def _around(pool: Pool, plan: Plan, clip: ClipConfig, rng: np.random.Generator) -> tuple[Around, Plan]:
    """A keyframe whose picture has room for the camera's move, and the plan, its move smaller where it must be."""
    picture = _varied(_scaled(pool.pictures[int(rng.integers(len(pool.pictures)))], clip.width, rng), rng)
    height, width = picture.shape[1:]
    side = clip.width
    box = (0, 0, side, side)
    for _ in range(TRIES):
        box = _reached(plan, clip)
        if box[2] - box[0] <= width and box[3] - box[1] <= height:
            break
        plan = replace(plan, camera=weaker(plan.camera, SMALLER))
    else:
        plan, box = replace(plan, camera=Camera()), (0, 0, side, side)
    x, y = (int(rng.integers(-box[i], size - box[i + 2] + 1)) for i, size in enumerate((width, height)))
    cut_out = None
    if pool.cut_outs and rng.random() < PASTED:
        cut_out = _placed(
            read_cut_out(pool.cut_outs[int(rng.integers(len(pool.cut_outs)))]), picture, (x, y), side, rng
        )
    return Around(picture, cut_out, (x, y), side), plan


def _scaled(path: Path, side: int, rng: np.random.Generator) -> Tensor:
    """A picture [3, H, W] of which a keyframe of `side` pixels is a part: frames are resampled from its own pixels."""
    shorter = side / float(rng.uniform(*VIEW))
    return scaled_picture(path, round(shorter))


def _reached(plan: Plan, clip: ClipConfig) -> Box:
    """What frames see of the keyframe's plane."""
    view = View.covering(clip.width, clip.height, (clip.width, clip.height))
    some = torch.zeros(1)
    return reach(Plate(some, some, (0, 0)), plan, view)


def _varied(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """[3, H, W], as it is or mirrored, in other light."""
    low, high = np.log(GAMMA)
    gamma = torch.from_numpy(np.exp(rng.uniform(low, high) + rng.normal(0, 0.06, (3, 1, 1)))).to(picture)
    picture = picture.clamp(1e-3, 1) ** gamma
    return picture.flip(2) if rng.random() < 0.5 else picture


def _placed(cut_out: Tensor, like: Tensor, corner: tuple[int, int], side: int, rng: np.random.Generator) -> Tensor:
    """A cut-out [4, h, w] somewhere on the keyframe, [4, H, W] of the picture's size."""
    longer = float(rng.uniform(*CUT_OUT)) * side
    scale = longer / max(cut_out.shape[1:])
    size = [max(2, round(length * scale)) for length in cut_out.shape[1:]]
    colour = fill(cut_out[:3], (cut_out[3:] > SURE).to(cut_out), texture=0)
    small = F.interpolate(
        torch.cat([colour, cut_out[3:]])[None], size, mode="bilinear", antialias=True, align_corners=False
    )[0].clamp(0, 1)
    middle = [corner[i] + float(rng.uniform(0.2, 0.8)) * side for i in (0, 1)]
    left, top = round(middle[0] - size[1] / 2), round(middle[1] - size[0] / 2)
    height, width = like.shape[1:]
    box = (-left, -top, width - left, height - top)
    colour = padded(small[:3], box)
    alpha = F.pad(small[3:], (left, width - left - size[1], top, height - top - size[0]))
    return torch.cat([colour, alpha])


def _whole(scene: Scene, around: Around) -> Scene:
    """The scene with what really is around and behind what the keyframe shows."""
    plates = []
    for plate in scene.plates:
        (left, top), (width, height) = plate.corner, plate.size
        box = (left, top, left + width, top + height)
        every = torch.ones_like(plate.given)
        if plate.region is None:
            plates.append(replace(plate, colour=_behind(scene, around, box), given=every))
        else:
            colour, alpha = around.pasted(box).split([3, 1])
            plates.append(replace(plate, colour=colour, alpha=alpha, given=every))
    return replace(scene, plates=tuple(plates))


def _behind(scene: Scene, around: Around, box: Box) -> Tensor:
    """What the farthest plate shows: with the cut-out, where that does not move by itself."""
    behind = around.shown(box)
    if around.cut_out is None or len(scene.plates) > 1:
        return behind
    colour, alpha = around.pasted(box).split([3, 1])
    return torch.lerp(behind, colour, alpha)


def _with_layer(
    scene: Scene, layer: Layer, effect: Effect, alpha: Tensor, rng: np.random.Generator
) -> tuple[Scene, Tensor]:
    """The scene with a layer, and where that may act in the keyframe, [1, H, W]."""
    place = PLACES.get(effect)
    found = find(scene.picture, asked=() if place is None else (place,)) if _looks(layer, place) else None
    mask = None
    if place is not None and found is not None:
        mask = _mask(found, place, alpha, rng)
    maps = Maps.of([mask], None if found is None else found.distance, scene.picture)
    whole = torch.ones_like(scene.picture[:1])
    return replace(scene, plan=scene.plan.with_layers(layer), maps=maps), whole if mask is None else mask


def _looks(layer: Layer, place: Place | None) -> bool:
    """Whether it matters where things are in the picture."""
    return place is not None or layer.kind.group is Group.AIR


def _mask(found: Found, place: Place, alpha: Tensor, rng: np.random.Generator) -> Tensor:
    """Where a place is in the keyframe, [1, H, W]; where there is none, below a line, but for the cut-out."""
    mask = found.masks[place]
    if place in found.places and float(mask.mean()) > LEAST_FOUND:
        return mask
    height, width = mask.shape[1:]
    x, y = torch.linspace(0, 1, width).to(mask), torch.linspace(0, 1, height).to(mask)[:, None]
    high, slope, bend, phase = (float(rng.uniform(*ends)) for ends in ((0, 0.6), (-0.3, 0.3), (0, 0.12), (0, 6.3)))
    line = high + slope * (x - 0.5) + bend * torch.sin(5 * x + phase)
    return ((y - line) * SHARP).sigmoid()[None] * (1 - alpha)


def _seen(mask: Tensor, scene: Scene, moment: Moment, view: View) -> Tensor:
    """A mask [1, H, W] of the keyframe in a frame, [1, h, w]: it goes where what is farthest goes."""
    place = scene.plates[0].where(scene.plan, moment, view)
    if place is None:
        return mask.new_zeros((1, view.height, view.width))
    return Maps.of([mask], None, mask).sample(place, (0, 0, view.width, view.height))[0]


def _to_uint8(pixels: Tensor) -> Tensor:
    """Pixels 0..1 as the nearest of 256."""
    return (pixels * 255 + 0.5).clamp(0, 255).to(torch.uint8)
