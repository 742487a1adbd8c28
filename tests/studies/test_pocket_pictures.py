"""Pocket's pictures: what is left out, what is kept apart, and that the committed lists say the same."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies.pocket.pictures import (
    CUT_OUTS,
    PICTURES,
    Candidate,
    Form,
    chosen,
    cut_out_name,
    details_of,
    is_flat,
    write,
)
from studies.pocket.splits import (
    EVERYBODY,
    FINAL,
    SEEN,
    SELECT,
    SPLITS,
    TESTED,
    TRAIN,
    split_of_cut_out,
    split_of_picture,
)

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "studies" / "pocket" / "lists"


def listed(split: str) -> list[list[str]]:
    """Kind, name, package, licence and hash of each."""
    return [line.split("\t") for line in (LISTS / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]]


def noise(seed: int, size: tuple[int, int] = (320, 280)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def candidate(name: str, picture: Image.Image, package: str = "budgie-backgrounds_3.0-1") -> Candidate:
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=60)
    return Candidate(PICTURES, name, package, "CC0-1.0", stored.getvalue(), details_of(picture))


def test_lists_are_apart_and_follow_the_rule() -> None:
    every = {split: listed(split) for split in SPLITS}
    names = [(row[0], row[1]) for rows in every.values() for row in rows]
    digests = [row[4] for rows in every.values() for row in rows]
    assert len(set(names)) == len(names)
    assert len(set(digests)) == len(digests)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)
    for split, rows in every.items():
        for kind, name, package, licence, _ in rows:
            assert split == (split_of_cut_out(name) if kind == CUT_OUTS else split_of_picture(name, package)), name
            assert "Unsplash" not in licence
    count = {split: Counter(row[0] for row in rows) for split, rows in every.items()}
    assert count[FINAL][PICTURES] >= 40 <= count[SELECT][PICTURES]
    assert count[TRAIN][PICTURES] > 500


def test_nothing_that_is_held_out_elsewhere_is_trained_on() -> None:
    rows = [row for row in listed(TRAIN) if row[0] == PICTURES]
    assert not {row[1] for row in rows} & TESTED
    assert not {row[2] for row in rows} & set(EVERYBODY)
    final = [row[2] for row in listed(FINAL) if row[0] == PICTURES]
    assert not set(final) & set(SEEN)
    assert sum(package in EVERYBODY for package in final) >= 20


def test_the_page_counts_what_is_listed() -> None:
    told: Counter[tuple[str, str]] = Counter()
    for line in (ROOT / "docs" / "pocket.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"-|\d+ \+ \d+ \+ \d+", cells[3]):
            for kind, cell in ((PICTURES, cells[3]), (CUT_OUTS, cells[4])):
                numbers = [0, 0, 0] if cell == "-" else [int(number) for number in cell.split(" + ")]
                told.update({(kind, split): number for split, number in zip(SPLITS, numbers, strict=True)})
    assert told == Counter((row[0], split) for split in SPLITS for row in listed(split))


def test_of_two_alike_the_held_out_one_stays() -> None:
    dark = Image.fromarray((np.asarray(noise(1)) * 0.4).astype(np.uint8)).resize((400, 350))
    train = [candidate("one", dark), candidate("two", noise(2))]
    made = list(chosen([*train, candidate("known", noise(1), "opencv-doc")], 1e9))
    assert {one.name for one in made} == {"known", "two"}
    assert {one.file for one in made} == {"pictures/final/known.jpg", "pictures/train/two.jpg"}


def test_a_small_form_keeps_held_out_ones_and_stays_within_its_bytes(tmp_path: Path) -> None:
    known = candidate("known", noise(0), "opencv-doc")
    others = [candidate(f"other-{n}", noise(n)) for n in range(1, 6)]
    most = len(known.stored) + sum(len(one.stored) for one in others) * 0.5
    made = list(chosen([*others, known], most))
    assert known in made
    assert 2 <= len(made) < 6
    assert sum(len(one.stored) for one in made) <= most
    write(tmp_path, made)
    assert len((tmp_path / "lists" / "train.tsv").read_text(encoding="utf-8").splitlines()) == len(made)
    assert (tmp_path / "pictures" / "final" / "known.jpg").read_bytes() == known.stored
    form = Form(megabytes=24)
    assert form.bytes_of(PICTURES) + form.bytes_of(CUT_OUTS) == pytest.approx(24e6)


def test_flat_pictures_are_flat_in_every_form() -> None:
    slope = Image.linear_gradient("L").convert("RGB")
    for longest in (1200, 512):
        assert is_flat(slope.resize((longest, longest)))
        assert not is_flat(noise(3, (longest, longest // 2)))


def test_names_of_cut_outs_tell_where_they_are_from() -> None:
    stamp = Path("tuxpaint-stamps-default/usr/share/tuxpaint/stamps/animals/birds/Crow (black).png")
    portrait = Path("wesnoth-1.16-data/usr/share/images/portraits/elves/archer+female.webp")
    assert cut_out_name(stamp) == ("tuxpaint-stamps-default", "tuxpaint-stamps-default_animals-birds-crow--black-")
    assert cut_out_name(portrait) == ("wesnoth-1.16-data", "wesnoth-1.16-data_elves-archer-female")
