"""A picture cut into plates for one clip: the background, and each region with what lies behind it left open."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .fill import fill
from .layer import Layer
from .layers.composed import Maps
from .layers.repeats import CUT, pivot_of
from .moments import extremes
from .plan import NEAREST, Plan, Region
from .plates import (
    SURE,
    Plate,
    Repeat,
    View,
    check_mask,
    check_picture,
    cropped,
    extended,
    grown,
    inside,
    padded,
    polygon_mask,
    reach,
)
from .relief import disparity_of, sheets_of
from .resample import Box

Filling = Callable[[Tensor, Tensor], Tensor]  # picture [3, H, W], where it is known [1, H, W] -> [3, H, W]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A plan with the pictures that it needs.

    masks: for each region [H, W] or [1, H, W], 1 = region, or None where the plan has its polygon.
    depth: [1, H, W], pixels 0..1 as the plan's relief says, or None.
    layer_masks: for each layer [H, W] or [1, H, W], 1 = there, or None for everywhere; empty where no layer has one.
    distance: [1, h, w], what layers take where there is no depth: distances, 1 the nearest, or None.
    """

    plan: Plan
    masks: tuple[Tensor | None, ...] = ()
    depth: Tensor | None = None
    layer_masks: tuple[Tensor | None, ...] = ()
    distance: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.layer_masks) not in (0, len(self.plan.layers)):
            raise InputError(f"{len(self.plan.layers)} layers need as many masks, got {len(self.layer_masks)}")
        if len(self.masks) != len(self.plan.regions):
            raise InputError(f"{len(self.plan.regions)} regions need as many masks, got {len(self.masks)}")

    def with_region(self, region: Region, mask: Tensor | None) -> Motion:
        """With one more region, nearer than those before it, and its mask as above."""
        return replace(self, plan=self.plan.with_regions(region), masks=(*self.masks, mask))

    @property
    def masks_of_layers(self) -> tuple[Tensor | None, ...]:
        """One for each layer of the plan."""
        return self.layer_masks or (None,) * len(self.plan.layers)

    def with_layer(self, layer: Layer, mask: Tensor | None = None) -> Motion:
        """With one more layer, drawn after those before it of its group, and its mask as above."""
        masks = (*self.masks_of_layers, mask)
        return replace(self, plan=self.plan.with_layers(layer), layer_masks=masks)

    def without_layers(self, numbers: Container[int]) -> Motion:
        """Without the layers of these numbers, counted from 0, and their masks."""
        kept = [i for i in range(len(self.plan.layers)) if i not in numbers]
        plan = replace(self.plan, layers=tuple(self.plan.layers[i] for i in kept))
        return replace(self, plan=plan, layer_masks=tuple(self.masks_of_layers[i] for i in kept))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Plates from the farthest to the nearest, all on one canvas.

    picture: [3, H, W], the keyframe. box: the canvas, in pixels of the picture, beyond which nothing is known.
    maps: where each layer of the plan belongs, and distances.
    """

    picture: Tensor
    plates: tuple[Plate, ...]
    box: Box
    plan: Plan
    maps: Maps

    @property
    def open(self) -> tuple[Plate, ...]:
        """The plates that have something to fill; the background alone where none has."""
        return tuple(plate for plate in self.plates if _lacks(plate)) or self.plates[:1]

    @property
    def size(self) -> tuple[int, int]:
        """The canvas's width and height."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    def pictures(self) -> tuple[Tensor, Tensor]:
        """The plates to fill, [P, 3, h, w], and where, [P, 1, h, w] with 1 = fill, each as large as the canvas."""
        around = padded(self.picture, self.box)
        colours, lacking = [], []
        for plate in self.open:
            colour, lack = around.clone(), torch.zeros_like(around[:1])
            left, top = plate.corner[0] - self.box[0], plate.corner[1] - self.box[1]
            width, height = plate.size
            part = (slice(None), slice(top, top + height), slice(left, left + width))
            colour[part], lack[part] = plate.colour, _lack(plate)
            colours.append(colour)
            lacking.append(lack)
        return torch.stack(colours), torch.stack(lacking)

    def filled(self, by: Filling = fill) -> Scene:
        """Every plate filled from what it has itself, once for all frames; what is made up still counts as unknown.

        by: what fills those that nothing is behind; a region's own edge is always carried on by a push-pull pyramid.
        """
        return replace(self, plates=tuple(_filled(one, by if one.region is None else fill) for one in self.plates))

    def filled_with(self, pictures: Tensor) -> Scene:
        """The plates as somebody filled them, [P, 3, h, w] in the order of `pictures`; all of it is known then.

        Raises InputError for another number or size.
        """
        lacking = self.open
        wanted = (len(lacking), 3, self.size[1], self.size[0])
        if tuple(pictures.shape) != wanted:
            raise InputError(
                f"the filled plates are {_told(tuple(pictures.shape))}, this motion and picture need {_told(wanted)}; "
                "fill the plates of the same motion and picture, and keep their size"
            )
        if not bool(pictures.isfinite().all()):
            raise InputError("the filled plates hold NaN or infinite values; what filled them went wrong")
        chosen = {id(plate): picture for plate, picture in zip(lacking, pictures, strict=True)}
        return replace(self, plates=tuple(self._with(plate, chosen.get(id(plate))) for plate in self.plates))

    def _with(self, plate: Plate, picture: Tensor | None) -> Plate:
        if picture is None:
            return _filled(plate)
        left, top = plate.corner[0] - self.box[0], plate.corner[1] - self.box[1]
        width, height = plate.size
        part = picture[:, top : top + height, left : left + width].to(plate.colour).clamp(0, 1)
        colour = torch.lerp(plate.colour, part, _lack(plate))
        every = torch.ones_like(plate.given)
        if plate.region is None or plate.alpha is None:
            return replace(plate, colour=colour, given=every)
        # Beside a region's edge its colour is carried on, so that no background shows through.
        own = ((plate.alpha > SURE) | (plate.given > 0)).to(every)
        return replace(_filled(replace(plate, colour=colour, given=own)), given=every)


def _told(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} of {shape[3]}x{shape[2]}" if len(shape) == 4 else str(list(shape))


def _lack(plate: Plate) -> Tensor:
    """[1, h, w]: 1 where a plate shows what the keyframe does not."""
    lack = 1 - plate.given
    return lack if plate.alpha is None else lack * (plate.alpha > 0)


def _lacks(plate: Plate) -> bool:
    return bool(_lack(plate).any())


def _filled(plate: Plate, by: Filling = fill) -> Plate:
    """A region's colour goes on beyond its mask's soft edge, where the picture already mixes it with what is behind."""
    source = plate.given if plate.region is None or plate.alpha is None else plate.given * (plate.alpha > SURE)
    if not bool(source.any()):
        source = plate.given
    return plate if bool((source == 1).all()) else replace(plate, colour=by(plate.colour, source))


def region_masks(plan: Plan, masks: Sequence[Tensor | None], picture: tuple[int, int]) -> list[Tensor]:
    """Each region's mask [1, H, W]: the one that is given for it, or else its polygon's.

    Raises InputError for a region without either, and for masks that cannot be.
    """
    width, height = picture
    found = []
    for number, (region, mask) in enumerate(zip(plan.regions, masks, strict=True), start=1):
        if mask is None and region.polygon is None:
            raise InputError(f"region {number} has no mask; give it one, or a polygon in the plan")
        drawn = polygon_mask(region.polygon, width, height) if mask is None and region.polygon else mask
        assert drawn is not None
        found.append(check_mask(drawn, picture, f"region {number}'s mask"))
    return found


def cut(picture: Tensor, motion: Motion, view: View | None = None) -> Scene:
    """A picture [3, H, W], pixels 0..1, cut into plates that reach as far as frames of that view will show.

    view: None is one as large as the picture, whose plates serve every view that lies inside it.
    Raises InputError for pictures and masks that cannot be, and where the camera runs into something.
    """
    check_picture(picture)
    plan, size = motion.plan, (picture.shape[2], picture.shape[1])
    view = View.covering(*size, size) if view is None else view
    cuts = [mask.to(picture) for mask in region_masks(plan, motion.masks, view.picture)]
    background = Plate(picture, torch.ones_like(picture[:1]), (0, 0))
    near = None if motion.depth is None else disparity_of(motion.depth, plan, view.picture).to(picture)
    maps = _maps(motion, near, picture)
    regions = [_region(region, mask, near) for region, mask in zip(plan.regions, cuts, strict=True)]
    regions = _repeating(regions, picture, plan, maps, near)
    box = (0, 0, *view.picture)
    for plate in [background, *(plate for plate in regions if _touches_edge(plate.alpha))]:
        box = _union(box, reach(plate, plan, view))
    box = extended(box, view.picture)
    within = inside(view.picture, box, picture)
    given = within.clone()
    canvas = padded(picture, box)
    plates = []
    for plate in regions:
        assert plate.alpha is not None
        given = given * (1 - grown(padded(plate.alpha, box)) * within)
        placed = replace(plate, colour=canvas, given=within, alpha=padded(plate.alpha, box), corner=box[:2])
        plates.append(cropped(placed))
    behind = [replace(background, colour=canvas, given=given, corner=box[:2])]
    if near is not None:
        behind = sheets_of(picture, near, plan, view, given, box)
    scene = Scene(picture, (*behind, *plates), box, plan, maps)
    check_clear(scene)
    return scene


def _maps(motion: Motion, near: Tensor | None, picture: Tensor) -> Maps:
    """What layers must know of a picture [3, H, W]. near: its disparity [1, H, W], where it has depth."""
    size = (picture.shape[2], picture.shape[1])
    made: dict[int, Tensor] = {}  # layers of one place share its mask
    numbered = enumerate(zip(motion.plan.layers, motion.masks_of_layers, strict=True), start=1)
    for number, (layer, mask) in numbered:
        if mask is not None and id(mask) not in made:
            made[id(mask)] = check_mask(mask, size, f"layer {number}'s mask ({layer.kind})").to(picture)
    masks = [None if mask is None else made[id(mask)] for mask in motion.masks_of_layers]
    distance = None if near is None else 1 / near
    if distance is None and motion.distance is not None:
        distance = F.interpolate(motion.distance[None].to(picture), picture.shape[1:], mode="bilinear")[0]
    return Maps.of(masks, distance, picture)


def _region(region: Region, mask: Tensor, near: Tensor | None) -> Plate:
    """A region's plate, its colour still to come. near: the disparity [1, H, W] of the picture, where it has depth."""
    height, width = mask.shape[1:]
    if region.pivot is not None:
        pivot = (region.pivot[0] * width, region.pivot[1] * height)
    else:
        total = mask.sum()
        x = (mask.sum(dim=(0, 1)) @ (torch.arange(width).to(mask) + 0.5)) / total
        y = (mask.sum(dim=(0, 2)) @ (torch.arange(height).to(mask) + 0.5)) / total
        pivot = (float(x), float(y))
    distance = region.distance
    if distance is None:
        distance = 1.0 if near is None else float(mask.sum() / (mask * near).sum())
    return Plate(mask, mask, (0, 0), alpha=mask, distance=distance, region=region, pivot=pivot)


def _repeating(regions: list[Plate], picture: Tensor, plan: Plan, maps: Maps, near: Tensor | None) -> list[Plate]:
    """Regions' plates, and those of the parts that repeat; a part with the very mask of another is the same."""
    regions = list(regions)
    for index, layer in enumerate(plan.layers):
        if layer.kind not in CUT or layer.amount == 0:
            continue
        mask = maps.own(index)
        if mask is None:
            mask = torch.ones_like(picture[:1])
        same = [number for number, plate in enumerate(regions) if torch.equal(plate.given, mask)]
        if not same:
            regions.append(_region(Region(), mask, near))
        number = same[-1] if same else -1
        repeats = (*regions[number].repeats, Repeat(layer, pivot_of(layer, mask)))
        regions[number] = replace(regions[number], repeats=repeats)
    return regions


def _touches_edge(mask: Tensor | None) -> bool:
    assert mask is not None
    edges = (mask[0, 0], mask[0, -1], mask[0, :, 0], mask[0, :, -1])
    return any(bool((edge > 0).any()) for edge in edges)


def _union(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def check_clear(scene: Scene) -> None:
    """Raises InputError where the camera comes to a plate or passes it."""
    plan = scene.plan
    for plate in scene.plates:
        nearest = plate.planes[-1].distance
        for moment in extremes(plan):
            travelled = plan.camera.dolly * (plan.done(moment.u) - plan.done(moment.key))
            if nearest - travelled < NEAREST:
                called = "the picture" if plate.region is None else "a region"
                raise InputError(
                    f"the camera goes {travelled:.2f} forward and runs into {called} at distance {nearest:g}; "
                    "give a smaller dolly or a greater distance"
                )
