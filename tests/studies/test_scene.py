"""Labels become masks, masks become views, and what is taught is what is stored."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from microcinema_core.motion.layer import Place
from microcinema_core.places.network import PLACES, Network
from studies.scene.calibrate import calibrated
from studies.scene.examples import CutOut, Example, checked, view
from studies.scene.labels import FOLDER, IGNORED, TAUGHT, TESTED, Label, mask_of, read_labels
from studies.scene.losses import order, overlap
from studies.scene.measure import Measured, asked, within
from studies.scene.pictures import carved, sources
from studies.scene.sheets import contact_sheet, grid
from studies.scene.train import Material, Normed, Run, Settings, folded, teach

SKY, PEOPLE = 1, 4


def label_of(tmp_path: Path, *lines: str) -> Label:
    path = tmp_path / "labels.txt"
    path.write_text("# a note\n" + "".join(f"one {line}\n" for line in lines), encoding="utf-8")
    return read_labels([path])["one"]


def example(landscape: bool = True) -> Example:
    """Blue above grey, people as a red square; a point near and one far."""
    picture = np.full((120, 160, 3), 128, np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    picture[:50], mask[:50] = (60, 120, 255), SKY
    picture[70:110, 60:100], mask[70:110, 60:100] = (255, 20, 20), PEOPLE
    points = np.array([(0.1, 0.95, math.log(2)), (0.9, 0.45, math.log(500))], np.float32)
    return Example("one", picture, mask, points if landscape else points[:0], landscape)


def test_nothing_that_is_tested_is_taught() -> None:
    taught, tested = read_labels([TAUGHT]), read_labels([TESTED])
    names = set((FOLDER / "test.txt").read_text(encoding="utf-8").split())
    assert len(tested) >= 80
    assert set(tested) <= names
    assert not set(taught) & names
    assert set(taught) | set(tested) == {source.name for source in sources()}
    assert 0.05 < np.mean([checked(name) for name in taught]) < 0.2


def test_edges_are_found_near_a_polygon(tmp_path: Path) -> None:
    picture = np.full((200, 300, 3), (90, 60, 30), np.uint8)
    picture[:80] = (120, 170, 250)
    noise = np.random.default_rng(0).normal(0, 6, picture.shape)
    picture = (picture + noise).clip(0, 255).astype(np.uint8)
    loose = mask_of(picture, label_of(tmp_path, "sky 0:41 50:38.5 100:41"))
    assert (loose[:79] == SKY).mean() > 0.99
    assert (loose[81:] == 0).mean() > 0.99
    exact = mask_of(picture, label_of(tmp_path, "sky= 0,0 100,0 100,42 0,42"))
    assert (exact[:84] == SKY).all()


def test_later_lines_paint_over_earlier_ones(tmp_path: Path) -> None:
    label = label_of(tmp_path, "ignore all", "animal= 0,0 50,0 50,100 0,100", "other= 0,0 20,0 20,100 0,100")
    mask = mask_of(np.zeros((50, 100, 3), np.uint8), label)
    assert (mask[:, :20] == 0).all()
    assert (mask[:, 22:49] == PEOPLE).all()
    assert (mask[:, 53:] == IGNORED).all()


@pytest.mark.parametrize("line", ["sky 1,2 3,4", "lake 1,2 3,4 5,6", "dist 1,2", "water 1,2 3,x 4,5"])
def test_a_line_that_says_nothing_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"labels\.txt:2"):
        label_of(tmp_path, line)


@pytest.mark.parametrize("seed", range(8))
def test_a_views_mask_and_points_go_with_its_picture(seed: int) -> None:
    """Whatever the light, what is marked as sky is of one colour, and another than the ground's."""
    draw = np.random.default_rng(seed)
    seen = view(example(), [], draw, (96, 128), pasting=0.0)
    assert seen.picture.shape == (96, 128, 3)
    sky, ground = (seen.picture[seen.mask == value].astype(float) for value in (SKY, 0))
    if len(sky) > 200 and len(ground) > 200:
        assert (
            np.abs(np.median(sky, 0) - np.median(ground, 0)).max() > 4 * np.abs(sky - np.median(sky, 0)).mean(0).min()
        )
    for x, y, logarithm in seen.points:
        assert (y > 0.5) == (logarithm < 3) or len(seen.points) == 1
        assert 0 < x < 1


def test_what_is_pasted_is_in_the_mask() -> None:
    thing = CutOut(np.full((40, 40, 3), 200, np.uint8), np.full((40, 40), 255, np.uint8), PEOPLE)
    bare = Example(
        "bare", np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8), np.zeros((0, 3), "f4"), False
    )
    views = [view(bare, [thing], np.random.default_rng(seed), (96, 128), pasting=1.0) for seed in range(8)]
    shares = [(seen.mask == PEOPLE).mean() for seen in views]
    assert max(shares) > 0.1
    assert [seen.there[3] == 1 for seen in views] == [share >= 0.01 for share in shares]


def test_order_asks_for_what_is_nearer() -> None:
    points = torch.tensor([[(0.25, 0.5, 0.0), (0.75, 0.5, 2.0), (math.nan, math.nan, math.nan)]])
    right = torch.tensor([[[[0.0, 0.0, 2.0, 2.0]]]]).expand(1, 1, 4, 4)
    assert order(right, points) < order(right.flip(3), points)
    assert order(right, points * math.nan) == 0


def test_overlap_is_one_minus_intersection_over_union() -> None:
    masks = torch.zeros(1, 4, 8, dtype=torch.long)
    masks[:, :2] = SKY
    surely = torch.full((1, 5, 4, 8), -30.0)
    surely[:, SKY, :, :4] = 30  # half of the sky, and as much of what is none
    surely[:, 0, :, 4:] = 30
    assert overlap(surely, masks) == pytest.approx(1 - 8 / 24, abs=1e-5)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    taught = Network(Normed)
    pictures = torch.rand(2, 3, 64, 96)
    for _ in range(3):
        taught(pictures)  # statistics other than those of the start
    stored = Network()
    stored.load_state_dict(folded(taught))
    for made, truth in zip(stored.eval()(pictures), taught.eval()(pictures), strict=True):
        assert (made - truth).abs().max() < 1e-4 * truth.abs().max()  # float32


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    settings = Settings(steps=3, batch=2, small=1.0)
    material = Material([example(), example(False)], [], settings)

    def run(stops: bool) -> dict[str, torch.Tensor]:
        state, out = tmp_path / f"{stops}.pt", tmp_path / f"{stops}.safetensors"
        first = Run(settings)
        if stops:
            first.advance(material.batch(0))
            torch.save(first.state(), state)
            first = Run(settings)
        teach(first, material, state, out, [example()])
        return load_file(out)

    once, twice = run(False), run(True)
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_it_is_surer_where_it_is_right() -> None:
    """Of a network that says sky everywhere: right about a sky, wrong about the same picture without one."""
    network = Network().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.out.bias[SKY] = 3
    sky = Example(
        "sky", np.zeros((96, 128, 3), np.uint8), np.full((96, 128), SKY, np.uint8), np.zeros((0, 3), "f4"), True
    )
    none = Example("none", sky.picture, np.zeros((96, 128), np.uint8), sky.points, False)
    often, seldom = (calibrated(network, [sky] * n + [none] * (4 - n)) for n in (3, 1))
    values = torch.tensor([0.0, torch.tensor(3.0).sigmoid().logit(), 0.0, 1.0])
    assert (often[0] * values).sum() > (seldom[0] * values).sum()


def test_pairs_are_always_the_same_ones() -> None:
    one = Measured("a", None, {}, {}, True, tuple(range(100)))  # type: ignore[arg-type]
    assert asked([one], 10) == asked([one], 10)
    assert len(set(asked([one], 10))) == 10
    assert within([0.0, 0.02, 0.5], 0.02) == pytest.approx(2 / 3)


def test_pictures_of_a_resource_file(tmp_path: Path) -> None:
    _, png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8))
    stored = png.tobytes()
    (tmp_path / "a.rcc").write_bytes(b"qres" + len(stored).to_bytes(4, "big") + stored + b"more")
    assert carved(tmp_path / "a.rcc") == [stored]


def test_sheets_hold_their_pictures() -> None:
    picture = example().picture
    assert grid(picture, "one").shape == (160, 200, 3)
    assert contact_sheet([[picture, picture]] * 2, ["one", "two"]).shape == (600, 800, 3)
    assert set(Place) > set(PLACES)
