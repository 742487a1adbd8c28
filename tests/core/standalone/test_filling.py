"""A fill model in the place of the push-pull pyramid: what is known stays, what it makes up follows from the seed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_models import write_fill

from microcinema_core.checkpoint.identify import identify
from microcinema_core.config import Kind
from microcinema_core.errors import CheckpointError
from microcinema_core.motion.fill import fill
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.scene import Motion, cut
from microcinema_core.standalone import filling
from microcinema_core.standalone.filling import Filler, greyed_guide_of, guide_of
from microcinema_core.standalone.keyframe import ImagePipeline


@pytest.fixture(scope="module")
def filler(stages: dict[Kind, Path], tmp_path_factory: pytest.TempPathFactory) -> Filler:
    return Filler.load(write_fill(tmp_path_factory.mktemp("fill"), stages))


def holed(height: int = 40, width: int = 56) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture of sides that are no multiples of 8's powers, its right part unknown: NaN-free garbage there."""
    picture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, height, width)
    known[..., 2 * width // 3 :] = 0
    return picture, known


def test_what_is_known_stays_bit_for_bit(filler: Filler) -> None:
    picture, known = holed(43, 57)
    made = filler(picture, known)
    assert torch.equal(made * known, picture * known)
    assert made.shape == picture.shape
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, filler(torch.where(known > 0, picture, 0.9), known))  # what a hole holds is not seen
    assert torch.equal(filler(picture, torch.zeros_like(known)), fill(picture, torch.zeros_like(known)))


def test_seeds_decide_what_is_made_up(filler: Filler) -> None:
    picture, known = holed()
    first, again, other = filler(picture, known), filler(picture, known), replace(filler, seed=1)(picture, known)
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.01
    both = filler.samples(picture, known, [0, 1])
    alone = filler.samples(picture, known, [1])
    assert torch.allclose(both[1:], alone, atol=1e-4)  # other sizes of batches sum in other orders


def test_large_pictures_are_made_smaller_for_the_model(filler: Filler, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    encode = filler.codec.encode
    monkeypatch.setattr(filling, "AREA", 32 * 32)
    monkeypatch.setattr(filler.codec, "encode", lambda pixels: sizes.append(pixels.shape[-2:]) or encode(pixels))
    picture, known = holed(64, 128)
    assert filler(picture, known).shape == picture.shape
    assert [tuple(size) for size in sizes] == [(16, 40)]  # of at most so many pixels


def test_a_guide_says_what_is_known_in_both_ways(filler: Filler) -> None:
    """The program's holes have a pyramid's colour, the host's are grey: where all is known both are the encoding."""
    picture, known = holed()
    given = picture[None], known[None]
    ours, theirs = (way(filler.codec, *given) for way in (guide_of, greyed_guide_of))
    plain = filler.codec.encode(given[0])[:, :, None]
    for guide in (guide_of, greyed_guide_of):
        whole = guide(filler.codec, given[0], torch.ones_like(given[1]))
        assert torch.allclose(whole.latents, plain, atol=1e-5)
        assert float(whole.known.min()) == 1
    assert torch.equal(ours.known[0, 0, 0, 0], torch.tensor([1, 1, 1, 1, 5 / 8, 0, 0]))
    assert torch.equal(theirs.known[0, 0, 0, 0], torch.tensor([1.0, 1, 1, 1, 1, 0, 0]))
    assert torch.allclose(theirs.latents[..., 0], plain[..., 0], atol=0.3)


def test_a_plate_is_filled_once_and_regions_carry_on_by_themselves() -> None:
    asked = []

    def by(picture: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        asked.append(known)
        return torch.where(known > 0, picture, 0.25)

    picture, mask = torch.rand(3, 32, 48), torch.zeros(32, 48)
    mask[8:20, 10:30] = 1
    motion = Motion(Plan(Camera(horizontal=0.2)), ()).with_region(Region(horizontal=0.1), mask)
    scene = cut(picture, motion)
    filled = scene.filled(by)
    assert len(asked) == 1
    background, region = filled.plates
    assert float(background.colour[:, scene.plates[0].given[0] == 0].sub(0.25).abs().max()) == 0
    assert torch.equal(region.colour, scene.filled().plates[1].colour)


def test_other_files_are_refused(stages: dict[Kind, Path]) -> None:
    with pytest.raises(CheckpointError, match="is a file of kind video that fills nothing; name a fill model"):
        Filler.load(stages[Kind.VIDEO])


def test_a_fill_model_is_named_and_makes_no_keyframes(stages: dict[Kind, Path], tmp_path: Path) -> None:
    path = write_fill(tmp_path, stages)
    assert identify(path).title.startswith("MicroCinema fill model")
    with pytest.raises(CheckpointError, match="is a fill model, which makes no picture from text"):
        ImagePipeline.from_pretrained(path)
