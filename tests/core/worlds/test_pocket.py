"""Pocket's world: what a clip's truth shows that its guide cannot know, and what it says of itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core.config import ClipConfig
from microcinema_core.errors import InputError
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.worlds.pocket.captions import COMES, STEADY, caption
from microcinema_core.worlds.pocket.effects import (
    ASKED,
    LOOKS,
    STRENGTHS,
    Asked,
    Effect,
    Strength,
    drawn_effect,
    layer_of,
)
from microcinema_core.worlds.pocket.moves import drawn_camera, weaker
from microcinema_core.worlds.pocket.pool import Pool, Split
from microcinema_core.worlds.pocket.world import Around, Clip, clip_at, drawn_seconds, rendered

SIDE = 64
CLIP = ClipConfig(width=SIDE, height=SIDE)
CORNER = (40, 30)
PAN = Plan(Camera(horizontal=0.25), ease=Ease.LINEAR)  # 8 pixels to either side of the keyframe


def picture() -> torch.Tensor:
    """[3, 120, 160], smooth, nowhere the same."""
    x, y = torch.linspace(0.1, 0.9, 160), torch.linspace(0.1, 0.9, 120)[:, None]
    return torch.stack([x.expand(120, -1), y.expand(-1, 160), (x + y) / 2])


def disc(left: int, top: int, size: int = 16) -> torch.Tensor:
    """[4, 120, 160]: a red square on the picture."""
    made = torch.zeros(4, 120, 160)
    made[0] = 1
    made[3, top : top + size, left : left + size] = 1
    return made


def drawn(around: Around, plan: Plan = PAN, region: Region | None = None, effect: Effect = Effect.NONE) -> Clip:
    return rendered(around, plan, region, Asked(effect), CLIP, np.random.default_rng(0))


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    rng = np.random.default_rng(0)
    for split in ("train", "select"):
        for kind, mode, suffix in (("pictures", "RGB", "png"), ("cut-outs", "RGBA", "webp")):
            (tmp_path / kind / split).mkdir(parents=True)
            pixels = rng.integers(0, 255, (12, 16, len(mode)), dtype=np.uint8)
            Image.fromarray(pixels, mode).resize((160, 120)).save(tmp_path / kind / split / f"a.{suffix}")
    return Pool.of(tmp_path, Split.TRAIN)


def test_the_truth_shows_what_lies_beyond_the_keyframes_edge() -> None:
    clip = drawn(Around(picture(), None, CORNER, SIDE))
    x, y = CORNER
    for frame, shift in ((0, -8), (4, 0), (8, 8)):
        there = picture()[:, y : y + SIDE, x + shift : x + shift + SIDE] * 255
        assert (clip.truth[frame].float() - there).abs().max() <= 1
    unknown = clip.known[8, 0] < 128
    assert unknown[:, -8:].all()
    assert not unknown[:, :-8].any()
    assert not (clip.known[4] < 255).any()
    apart = (clip.truth[8].float() - clip.guide[8].float()).abs()
    assert apart[:, :, :-8].max() <= 1
    assert apart[:, :, -8:].max() > 3  # what is beyond was not to be known


def test_what_moves_by_itself_leaves_what_was_behind_it() -> None:
    region = Region(horizontal=0.5, ease=Ease.LINEAR)  # 16 pixels to either side
    around = Around(picture(), disc(CORNER[0] + 24, CORNER[1] + 24), CORNER, SIDE)
    clip = drawn(around, Plan(), region)
    behind = picture()[:, CORNER[1] :, CORNER[0] :] * 255
    left = (slice(None), slice(26, 38), slice(26, 38))  # where it was in the keyframe
    assert (clip.truth[8][left].float() - behind[left]).abs().max() <= 1
    assert clip.known[8][left].max() == 0
    assert (clip.truth[4][left].float() - torch.tensor([255.0, 0, 0])[:, None, None]).abs().max() <= 1
    moved = (slice(None), slice(26, 38), slice(42, 54))
    assert (clip.truth[8][moved].float() - torch.tensor([255.0, 0, 0])[:, None, None]).abs().max() <= 1
    assert clip.known[8][moved].min() == 255


@pytest.mark.parametrize("effect", ASKED)
def test_an_effect_is_in_the_truth_alone_and_where_it_may_act(effect: Effect) -> None:
    around = Around(picture(), None, CORNER, SIDE)
    plain, clip = drawn(around), drawn(around, effect=effect)
    assert torch.equal(plain.guide, clip.guide)
    changed = (plain.truth.float() - clip.truth.float()).abs().amax(dim=1, keepdim=True)
    assert changed.max() >= 3
    assert not (changed[clip.mask == 0] > 1).any()


def test_a_clip_is_the_same_whenever_it_is_asked_for(pool: Pool) -> None:
    first, again, other = clip_at(pool, CLIP, 3, 5), clip_at(pool, CLIP, 3, 5), clip_at(pool, CLIP, 3, 6)
    assert torch.equal(first.truth, again.truth)
    assert (first.caption, first.plan) == (again.caption, again.plan)
    assert not torch.equal(first.truth, other.truth)


def test_a_segment_shows_what_lies_between_two_frames_of_its_clip(pool: Pool) -> None:
    part = replace(CLIP, frames=5, fps=8.0)
    starts = {drawn_seconds(CLIP, part, np.random.default_rng(seed))[0] for seed in range(99)}
    assert starts == {i / 2 for i in range(8)}
    around = Around(picture(), None, CORNER, SIDE)
    whole = drawn(around)
    seconds = [1.0, 1.125, 1.25, 1.375, 1.5]
    found = rendered(around, PAN, None, Asked(), CLIP, np.random.default_rng(0), seconds)
    assert found.truth.shape == (5, 3, SIDE, SIDE)
    assert torch.equal(found.truth[[0, 4]], whole.truth[[2, 3]])
    assert torch.equal(found.guide[[0, 4]], whole.guide[[2, 3]])
    between = (whole.truth[2].float() + whole.truth[3].float()) / 2  # of a smooth picture, panned evenly
    assert (found.truth[2].float() - between).abs().max() <= 2
    again = clip_at(pool, CLIP, 3, 5, part)
    assert torch.equal(again.truth, clip_at(pool, CLIP, 3, 5, part).truth)


def test_a_pool_without_pictures_says_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures/final holds no pictures"):
        Pool.of(tmp_path, Split.FINAL)


def test_shares_are_those_that_are_written_down() -> None:
    rng = np.random.default_rng(0)
    asked = [drawn_effect(rng) for _ in range(4000)]
    shown = [one for one in asked if one.effect is not Effect.NONE]
    assert len(shown) / 4000 == pytest.approx(0.7, abs=0.03)
    for effect in ASKED:
        assert sum(one.effect is effect for one in shown) / len(shown) == pytest.approx(0.1, abs=0.02)
    moving = sum(drawn_camera(rng).moves for _ in range(2000)) / 2000
    assert moving == pytest.approx(0.65, abs=0.04)


@pytest.mark.parametrize("effect", ASKED)
def test_any_layer_that_is_drawn_is_one_that_can_be(effect: Effect) -> None:
    """Its dials refuse what is beyond them, and a clip that cannot be made would end a run of thousands."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert layer_of(Asked(effect, Strength.STRONG), rng).amount > 0


def test_strong_is_more_than_gentle() -> None:
    amounts = {
        strength: layer_of(Asked(Effect.SNOW, strength), np.random.default_rng(0)).amount for strength in Strength
    }
    assert amounts[Strength.GENTLE] < amounts[Strength.PLAIN] < amounts[Strength.STRONG]
    share = amounts[Strength.STRONG] / LOOKS[Effect.SNOW].amount
    assert share == pytest.approx(STRENGTHS[Strength.STRONG][1], rel=0.16)


def test_a_weaker_move_is_the_same_move() -> None:
    camera = Camera(pan=10, zoom=4.0, shake=0.5)
    assert weaker(camera, 0.5) == replace(camera, pan=5, zoom=2.0, shake=0.25)
    assert weaker(Camera(), 0.5) == Camera()


@pytest.mark.parametrize("comes", [False, True])
@pytest.mark.parametrize("effect", ASKED)
def test_a_caption_names_its_effect(effect: Effect, comes: bool) -> None:
    phrases = (COMES if comes else STEADY)[effect]
    for seed in range(20):
        said = caption(Asked(effect, comes=comes), Camera(pan=5), np.random.default_rng(seed)).lower()
        assert any(phrase in said for phrase in phrases)


def test_where_nothing_is_asked_captions_name_no_effect_and_often_nothing() -> None:
    rng = np.random.default_rng(0)
    said = [caption(Asked(), Camera(zoom=1.2), rng).lower() for _ in range(300)]
    phrases = [phrase for some in STEADY.values() for phrase in some if len(phrase) > 12]
    assert not any(phrase in one for phrase in phrases for one in said)
    assert 0.15 < sum(one == "" for one in said) / 300 < 0.5
    assert any("zoom" in one for one in said)
