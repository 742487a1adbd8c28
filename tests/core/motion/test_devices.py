"""The camera and its layers on a second device: every frame is the CPU's, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from microcinema_core.motion.layer import KINDS, Group, Layer, LayerKind
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, Scene, cut
from microcinema_core.motion.taught import Taught
from microcinema_core.motion.tracks import grid_points, tracked
from microcinema_core.places.find import find
from microcinema_core.places.placing import placed

WIDTH, HEIGHT = 48, 32
MOVING = Camera(horizontal=0.1, pan=4.0, dolly=0.2, shake=0.5)
SQUARE = Region(zoom=1.2, roll=10.0, polygon=((0.3, 0.3), (0.6, 0.3), (0.6, 0.8), (0.3, 0.8)))
# Of which something is seen in a small picture, and no more.
AMOUNTS = {LayerKind.FIREFLIES: 4.0, LayerKind.LEAVES: 4.0, LayerKind.SNOW: 0.2, LayerKind.RAIN: 0.2}
WAVES = Taught(0.05, ((1.3, 1.5, 0.2, 0.1, 1.0, 0.5),), ((0.2, 1.0), (0.4, 1.5)))
AMOUNTS |= {LayerKind.DRIZZLE: 0.2, LayerKind.DUST: 0.2}


def picture() -> Tensor:
    """Sky above, and detail, [3, H, W]."""
    detail = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    return 0.7 * torch.linspace(0.9, 0.1, HEIGHT)[None, :, None] + 0.3 * detail


def depth() -> Tensor:
    """Rising towards the bottom, and a near block, [1, H, W]."""
    made = torch.linspace(0.1, 0.6, HEIGHT)[None, :, None].repeat(1, 1, WIDTH)
    made[:, 10:24, 8:20] = 1.0
    return made


def part() -> Tensor:
    """A mask of the middle, [H, W]."""
    mask = torch.zeros(HEIGHT, WIDTH)
    mask[8:26, 12:36] = 1
    return mask


def frame(scene: Scene) -> list[Tensor]:
    """Late in a clip: its picture, and what of it is not known."""
    made = Renderer(scene, Moments(scene.plan, 9, 4))[7]
    return [made.picture, made.unknown]


def alike(make: Callable[[Tensor], list[Tensor]], device: torch.device) -> None:
    """What is made of the picture there lies there, and is what is made of it here."""
    for mine, expected in zip(make(picture().to(device)), make(picture()), strict=True):
        assert mine.device == device
        assert torch.equal(mine.cpu(), expected)


@pytest.mark.parametrize("group", list(Group))
def test_layers(group: Group, pretend: torch.device) -> None:
    layers = [
        Layer(kind, AMOUNTS.get(kind, 1.5), taught=WAVES if kind is LayerKind.TAUGHT else None)
        for kind, told in KINDS.items()
        if told.group is group
    ]
    alike(lambda shown: frame(cut(shown, moving(layers, part())).filled()), pretend)


def moving(layers: list[Layer], mask: Tensor) -> Motion:
    return Motion(Plan(MOVING, layers=tuple(layers)), layer_masks=(mask,) * len(layers))


def test_depth_regions_and_plates_filled_elsewhere(pretend: torch.device) -> None:
    motion = Motion(Plan(MOVING, regions=(SQUARE, Region(horizontal=0.2))), (None, part()), depth())

    def make(shown: Tensor) -> list[Tensor]:
        scene = cut(shown, motion)
        plates, lacking = scene.pictures()
        ours = scene.filled_with(plates.cpu())  # a model beside the program has filled them, wherever it ran
        return [plates, lacking, *frame(scene.filled()), *frame(ours)]

    alike(make, pretend)


def test_masks_and_depth_lie_where_they_are_made(pretend: torch.device) -> None:
    """A host keeps pictures on the card and a mask in memory, or the other way round."""
    plan = Plan(MOVING, regions=(Region(horizontal=0.2),), layers=(Layer(LayerKind.FOG),))
    motion = Motion(plan, (part(),), depth(), (part(),))
    there = Motion(plan, (part().to(pretend),), depth().to(pretend), (part().to(pretend),))
    expected = cut(picture(), motion)
    for shown, given in ((picture().to(pretend), motion), (picture(), there)):
        scene = cut(shown, given)
        assert scene.maps.masks.device == shown.device
        assert torch.equal(scene.maps.masks.cpu(), expected.maps.masks)
        for mine, own in zip(scene.pictures(), expected.pictures(), strict=True):
            assert mine.device == shown.device
            assert torch.equal(mine.cpu(), own)


def test_tracks(pretend: torch.device) -> None:
    motion = Motion(Plan(MOVING, regions=(SQUARE,)), (None,))

    def follow(shown: Tensor, points: Tensor) -> list[Tensor]:
        made = tracked(Renderer(cut(shown, motion).filled(), Moments(motion.plan, 3, 4)), points)
        return [made.places, made.visible]

    points = grid_points(WIDTH, HEIGHT, 12)
    expected = follow(picture(), points)
    for given in (points, points.to(pretend)):
        for mine, own in zip(follow(picture().to(pretend), given), expected, strict=True):
            assert torch.equal(mine.cpu(), own)


def test_places_are_found(pretend: torch.device) -> None:
    here, there = find(picture()), find(picture().to(pretend))
    assert there.sure == here.sure
    for place, mask in here.masks.items():
        assert torch.equal(there.masks[place].cpu(), mask)
    motion = Motion(Plan(MOVING, layers=(Layer(LayerKind.CLOUDS), Layer(LayerKind.FOG))))
    alike(lambda shown: frame(cut(shown, placed(shown, motion, everywhere=True).motion).filled()), pretend)
