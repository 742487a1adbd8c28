"""Frames of a scene: each is one resample of each plate from its own pixels, composed back to front."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .camera import Matrix
from .layers.composed import Composed
from .layers.overlay import Overlay, draws_over
from .layers.surfaces import Surfaces, acts
from .moments import Moment, Moments, extremes
from .plates import Plate, View
from .resample import Box, Texture, shown, shrinking
from .scene import Scene


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """picture: [3, H, W], pixels 0..1. unknown: [1, H, W], 1 where it shows what the keyframe does not."""

    picture: Tensor
    unknown: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    plate: Plate
    texture: Texture
    shift: Matrix  # from the picture's pixels to the plate's
    extent: Box  # of the plate's pixels: where there is anything of it


class Renderer:
    """Any moment of a scene whose plates are filled. Memory does not grow with the length of the clip."""

    def __init__(self, scene: Scene, moments: Moments, view: View | None = None) -> None:
        """moments: those of the scene's plan. view: None is one as large as the picture."""
        size = (scene.picture.shape[2], scene.picture.shape[1])
        self.scene, self.moments = scene, moments
        self.view = View.covering(*size, size) if view is None else view
        self.layers = sorted((layer for plate in scene.plates for layer in self._layers(plate)), key=_order)
        self.still = self.view.to_picture @ self.view.from_pixels
        self.keyframe = self._keyframe()
        self.surfaces = Surfaces(scene, self.keyframe.texture.largest) if any(map(acts, scene.plan.layers)) else None
        self.overlay = Overlay(scene, moments, self.view) if draws_over(scene.plan) else None

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, index: int) -> Frame:
        return self.at(self.moments[index])

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))

    @torch.no_grad()
    def at(self, moment: Moment) -> Frame:
        """The frame at a moment. Where nothing has moved it is the keyframe, bit for bit where the sizes are equal."""
        places = [layer.plate.where(self.scene.plan, moment, self.view) for layer in self.layers]
        still = all(place is not None and np.array_equal(place, self.still) for place in places)
        if still and self.overlay is None:
            return Frame(self._unmoved(moment).clamp_(0, 1), self._outside())
        distances = () if self.overlay is None else self.overlay.distances
        masks = 0 if self.overlay is None else len(self.scene.maps.masks)
        frame = Composed.empty(self.scene.picture, self.view.width, self.view.height, masks, distances)
        for layer, place in zip(self.layers, places, strict=True):
            if place is not None:
                self._compose(frame, layer, place, moment)
        frame.picture.clamp_(0, 1)
        if still:
            frame.picture = self._unmoved(moment).clamp_(0, 1)
        unknown = self._outside() if still else 1 - frame.known.clamp_(0, 1)
        picture = frame.picture if self.overlay is None else self.overlay.drawn(frame, moment)
        return Frame(picture.clamp_(0, 1), unknown)

    def _compose(self, frame: Composed, layer: _Layer, place: Matrix, moment: Moment) -> None:
        """Lay a plate over what is there of the frame."""
        matrix, plate = layer.shift @ place, layer.plate
        whole = (0, 0, self.view.width, self.view.height)
        box = whole if plate.backmost else shown(matrix, layer.extent, whole)
        if box is None:
            return
        seen = layer.texture.sample(matrix, box)
        if plate.region is None and (plate.backmost or plate.alpha is not None):  # a back sheet is hardly seen
            seen = self._living(seen, layer.texture, place, box, moment)
        if plate.backmost:
            alpha: Tensor | float = 1.0
            frame.picture.copy_(seen[:3])
            frame.known.copy_(seen[3:4])
        else:
            left, top, right, bottom = box
            alpha = _alpha(plate, seen[4:])
            frame.picture[:, top:bottom, left:right].lerp_(seen[:3], alpha)
            frame.known[:, top:bottom, left:right].lerp_(seen[3:4], alpha)
        if self.overlay is not None:
            masks, distance = self.scene.maps.sample(place, box)
            own = plate.region is not None or distance is None
            far = torch.full_like(seen[:1], plate.distance) if own or distance is None else distance
            frame.lay(box, alpha, far, masks, hides=not own or not plate.backmost)

    def _unmoved(self, moment: Moment) -> Tensor:
        """The keyframe as this view shows it, [3, H, W], with what moves on its surface at a moment."""
        whole = (0, 0, self.view.width, self.view.height)
        seen = self.keyframe.texture.sample(self.keyframe.shift @ self.still, whole)
        if self.surfaces is None or not self.surfaces.moves(moment):
            return seen
        ground = next(layer for layer in self.layers if layer.plate.colour is self.surfaces.ground.colour)
        behind = ground.texture.sample(ground.shift @ self.still, whole)
        living = self._living(behind, ground.texture, self.still, whole, moment)[:3]
        return torch.where(self.surfaces.covered(self.still, whole), seen, living)

    def _living(self, seen: Tensor, texture: Texture, place: Matrix, box: Box, moment: Moment) -> Tensor:
        """What a box of a frame shows of the background, with what moves on its surface at a moment."""
        if self.surfaces is None or not self.surfaces.moves(moment):
            return seen
        return self.surfaces.drawn(seen, texture, place, box, moment)

    def _keyframe(self) -> _Layer:
        """The picture as it was, on what was filled around it."""
        behind, (left, top, _, _) = self.scene.plates[0], self.scene.box
        height, width = self.scene.picture.shape[1:]
        colour = behind.colour.clone()
        colour[:, -top : height - top, -left : width - left] = self.scene.picture
        return _Layer(behind, Texture(colour, 3, 1 / self.view.scale), _shift(behind), (0, 0, *behind.size))

    def _outside(self) -> Tensor:
        """What of the unmoved frame lies beyond the picture."""
        like, still, (width, height) = self.scene.picture, self.still, self.view.picture
        x = (torch.arange(self.view.width, device=like.device) + 0.5) * still[0, 0] + still[0, 2]
        y = (torch.arange(self.view.height, device=like.device) + 0.5) * still[1, 1] + still[1, 2]
        within = ((y > 0) & (y < height))[:, None] & ((x > 0) & (x < width))
        return 1 - within[None].to(like)

    def _layers(self, plate: Plate) -> list[_Layer]:
        """A plate's planes, which share its pixels: colour, what is given, alpha, disparity."""
        parts = [plate.colour, plate.given, plate.alpha, plate.disparity]
        texture = Texture(torch.cat([part for part in parts if part is not None]), 3, self._largest(plate))
        return [_Layer(plane, texture, _shift(plate), _extent(plane)) for plane in plate.planes]

    def _largest(self, plate: Plate) -> float:
        """How many pixels of a frame show one of the plate's at most."""
        whole = (0, 0, self.view.width, self.view.height)
        nearest = plate.planes[-1]
        places = (nearest.where(self.scene.plan, moment, self.view) for moment in extremes(self.scene.plan))
        return max((1 / shrinking(place, whole) for place in places if place is not None), default=1.0)


def _shift(plate: Plate) -> Matrix:
    """From the picture's pixels to the plate's."""
    return np.array([[1, 0, -plate.corner[0]], [0, 1, -plate.corner[1]], [0, 0, 1.0]])


def _alpha(plate: Plate, seen: Tensor) -> Tensor:
    """[1, h, w] of what was resampled besides colour and what is given: alpha and disparity, where a plate has them."""
    if plate.band is None:
        return seen[:1]
    band = plate.band.alpha(seen[-1:])
    return band if plate.alpha is None else band * seen[:1]


def _extent(plate: Plate) -> Box:
    """The part of a plate's pixels that may be seen."""
    width, height = plate.size
    if plate.band is None or plate.disparity is None or plate.backmost:
        return 0, 0, width, height
    there = plate.band.alpha(plate.disparity)[0] > 0
    rows, columns = (there.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]) - 1, int(rows[0]) - 1, int(columns[-1]) + 2, int(rows[-1]) + 2


def _order(layer: _Layer) -> tuple[bool, int, float]:
    """Back to front; of equals, the order of the scene's plates."""
    plate = layer.plate
    return not plate.backmost, plate.region.order if plate.region is not None else 0, -plate.distance
