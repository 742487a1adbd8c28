"""What all layers drawn over a frame have in common: copies, masks, time, order and depth."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from microcinema_core.motion.layer import KINDS, Layer, LayerKind
from microcinema_core.motion.layers.overlay import DRAWN
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.plates import View
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut

from .drawing import layer, photo, plain, renderer

ALL = [kind for kind, told in KINDS.items() if told.group in DRAWN]
MOVING = Camera(pan=4.0, horizontal=0.05)
LATE = 1.7  # seconds: fireflies, flashes and all have begun


def of(kind: LayerKind, **settings: Any) -> Layer:
    """A layer of which something is seen in a small picture."""
    amounts = {LayerKind.FIREFLIES: 4.0, LayerKind.LEAVES: 4.0, LayerKind.SNOW: 0.5, LayerKind.RAIN: 0.5}
    return layer(kind, amount=amounts.get(kind, 2.0), **settings)


def whole(kind: LayerKind) -> torch.Tensor | None:
    return torch.ones(64, 96) if kind is LayerKind.PULSE else None


@pytest.mark.parametrize("kind", ALL)
def test_something_is_drawn_and_it_is_a_picture(kind: LayerKind) -> None:
    before = renderer(photo(), camera=MOVING)
    drawn = renderer(photo(), of(kind), camera=MOVING, masks=(whole(kind),))
    for time in (0.7, LATE):
        picture = drawn.at(drawn.moments.at(time)).picture
        assert picture.isfinite().all()
        assert 0 <= picture.min() <= picture.max() <= 1
        changed = (picture - before.at(before.moments.at(time)).picture).abs()
        assert kind is LayerKind.LIGHTNING or changed.max() > 0.02


@pytest.mark.parametrize("kind", ALL)
def test_nothing_of_amount_0_and_nothing_before_it_comes(kind: LayerKind) -> None:
    before = renderer(photo(), camera=MOVING)
    for idle in (layer(kind, amount=0.0), layer(kind, fade_in=1.0)):
        drawn = renderer(photo(), idle, camera=MOVING, masks=(whole(kind),))
        assert torch.equal(drawn[0].picture, before[0].picture)
    assert drawn.overlay is not None
    assert not torch.equal(renderer(photo(), of(kind), masks=(whole(kind),))[40].picture, renderer(photo())[40].picture)


@pytest.mark.parametrize("kind", ALL)
def test_outside_its_mask_nothing_changes(kind: LayerKind) -> None:
    mask = torch.zeros(64, 96)
    mask[:, 40:] = 1
    before = renderer(photo(), camera=MOVING)
    drawn = renderer(photo(), of(kind), camera=MOVING, masks=(mask,))
    index = 41
    frame, plainly = drawn[index].picture, before[index].picture
    same = (frame == plainly).all(dim=0)
    assert same[:, :30].all()  # the camera moves the mask's edge by less than ten pixels
    both = renderer(photo(), of(kind), layer("darker"), camera=MOVING, masks=(mask, None))[index].picture
    darker = renderer(photo(), layer("darker"), camera=MOVING)[index].picture
    assert torch.equal(both[:, :, :30], darker[:, :, :30])


@pytest.mark.parametrize("kind", ALL)
def test_a_frame_alone_is_that_of_the_clip(kind: LayerKind) -> None:
    clip, again = (
        renderer(photo(), of(kind), layer("fog", amount=0.2), camera=MOVING, masks=(whole(kind), None), frames=5, fps=2)
        for _ in range(2)
    )
    frames = [frame.picture for frame in clip]
    assert torch.equal(again[3].picture, frames[3])
    assert torch.equal(clip[1].picture, frames[1])


@pytest.mark.parametrize("kind", ALL)
def test_24_and_32_frames_a_second_agree_at_common_times(kind: LayerKind) -> None:
    slow, fast = (
        renderer(photo(), of(kind), camera=MOVING, masks=(whole(kind),), frames=frames, fps=fps)
        for frames, fps in ((49, 24), (65, 32))
    )
    for second in (0.25, 1.75):
        assert torch.equal(slow[int(24 * second)].picture, fast[int(32 * second)].picture)


@pytest.mark.parametrize("kind", ALL)
def test_at_twice_the_size_it_is_the_same_picture(kind: LayerKind) -> None:
    """Averaged to the small size; what a pixel blurs there is all that differs: a third of what is thinner."""
    small = plain(144, 96, 0.4)
    drawn = [
        renderer(picture, of(kind, size=3.0), camera=MOVING, masks=(mask,))
        for picture, mask in (
            (small, None if whole(kind) is None else torch.ones(96, 144)),
            (plain(288, 192, 0.4), None if whole(kind) is None else torch.ones(192, 288)),
        )
    ]
    one, two = (r.at(r.moments.at(LATE)).picture for r in drawn)
    halved = torch.nn.functional.avg_pool2d(two, 2)
    difference = (halved - one).abs()
    change = (one - 0.4).abs()
    share = 0.3 if kind in (LayerKind.SNOW, LayerKind.RAIN, LayerKind.DRIZZLE) else 0.08
    assert difference.mean() <= share * change.mean() + 1e-3
    assert difference.max() <= 0.3 * change.max() + 1e-3


@pytest.mark.parametrize("kind", ALL)
def test_in_a_loop_the_last_frame_leads_to_the_first(kind: LayerKind) -> None:
    masks = (None if whole(kind) is None else torch.ones(32, 48),)
    drawn = renderer(photo(48, 32), of(kind), camera=Camera(pan=4.0), masks=masks, frames=12, fps=6, loop=True)
    frames = [frame.picture for frame in drawn]
    steps = [(b - a).abs().mean().item() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert steps[-1] <= 1.02 * max(steps[:-1])
    assert drawn.at(drawn.moments.at(2.0)).picture.numpy() == pytest.approx(frames[0].numpy(), abs=2e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (97, 41)])
def test_any_size(size: tuple[int, int]) -> None:
    layers = [of(kind) for kind in ALL]
    masks = tuple(torch.ones(size[1], size[0]) if kind is LayerKind.PULSE else None for kind in ALL)
    picture = torch.rand((3, size[1], size[0]), generator=torch.Generator().manual_seed(0))
    drawn = renderer(picture, *layers, camera=MOVING, masks=masks)
    assert drawn[20].picture.isfinite().all()


def test_float64_stays_float64() -> None:
    layers = [of(kind) for kind in ALL]
    masks = tuple(whole(kind) for kind in ALL)
    exact = renderer(photo().double(), *layers, camera=MOVING, masks=masks)[30].picture
    assert exact.dtype == torch.float64
    assert renderer(photo(), *layers, camera=MOVING, masks=masks)[30].picture.numpy() == pytest.approx(
        exact.numpy(), abs=2e-4
    )


def test_air_comes_before_particles_and_these_before_light() -> None:
    """Whatever the plan's order: at deep night snow is dark, and thick fog hides none of it."""
    picture, thick = plain(96, 64, 0.3), layer("fog", amount=10.0, colour=(0.0, 0.0, 0.0))
    snow = layer("snow", colour=(1.0, 1.0, 1.0))
    seen = renderer(picture, snow, thick, distance=torch.full((1, 64, 96), 3.0))[20].picture
    assert seen.max() > 0.7
    assert seen.quantile(0.2) < 0.1
    dark = renderer(picture, layer("darker", amount=5.0), snow)[20].picture
    assert dark.max() < 0.25


def test_a_plate_hides_what_is_behind_it_and_not_what_is_before() -> None:
    """A region at distance 0.5: flakes at 0.35 are seen over it, those at 1 beside it alone."""
    mask = torch.zeros(72, 128)
    mask[:, 64:] = 1
    plan = Plan(regions=(Region(distance=0.5),), layers=(layer("snow", amount=10.0, colour=(1.0, 1.0, 1.0)),))
    scene = cut(plain(128, 72, 0.2), Motion(plan, (mask,))).filled()
    drawn = Renderer(scene, Moments(plan, 25, 12.0), View.covering(128, 72, (128, 72)))
    overlay = drawn.overlay
    assert overlay is not None
    every = overlay.fields
    for distance, seen in ((1.0, False), (0.35, True)):
        overlay.fields = [pair for pair in every if pair[1].sheet.distance == distance]
        changed = torch.stack([(drawn[i].picture - 0.2).abs().amax(dim=0) for i in range(0, 25, 4)]).amax(dim=0)
        assert changed[:, :60].max() > 0.1
        assert bool(changed[:, 68:].max() > 0.1) is seen


def test_far_flakes_are_hidden_by_near_ground() -> None:
    near = torch.full((1, 64, 96), 1.0)
    near[:, :32] = 1000.0
    flakes = layer("snow", amount=5.0, colour=(1.0, 1.0, 1.0))
    drawn = renderer(plain(96, 64, 0.1), flakes, distance=near)
    assert drawn.overlay is not None
    drawn.overlay.fields = [pair for pair in drawn.overlay.fields if pair[1].sheet.distance > 2]
    picture = drawn[20].picture
    assert picture[:, :28].max() > 0.3
    assert (picture[:, 36:] - 0.1).abs().max() < 1e-6
