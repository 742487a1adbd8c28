"""Motions that Toybox does not have: true clips are read as what they are, the world's own as neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microcinema_core.media.films import read_frames
from microcinema_core.training.data.catalogue import find_films
from microcinema_core.worlds.toybox.triples import TIMES, read_triples
from microcinema_core.worlds.toybox.world import Motion
from studies.cases import Case
from studies.motion_lora.__main__ import CONFIG, see
from studies.motion_lora.moves import ASKED, TAUGHT, Move, Pool, bounce, cases, write_clips, zigzag


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("pool", [TAUGHT, ASKED], ids=["taught", "asked"])
def test_true_clips_are_read_as_their_motion_alone(move: Move, pool: Pool) -> None:
    for case in cases(move, pool, 6, 3):
        seen = see(case, case.truth())
        assert [name for name, does in seen["moves"].items() if does] == [move]
        assert seen["size"][move] == pytest.approx(1, abs=0.15)
        assert seen["looks"]


def test_the_worlds_own_motions_are_read_as_neither() -> None:
    some = [Case.of(triple) for triple in read_triples("select")[::7]]
    assert len({case.scene.motion for case in some}) >= len(Motion) // 2
    for case in some:
        assert not any(see(case, case.truth())["moves"].values()), case.prompt


def test_the_waves() -> None:
    quarters = np.arange(0, 2, 0.5)
    assert zigzag(quarters).tolist() == [0, 1, 0, -1]
    assert bounce(quarters).tolist() == [1, 0.75, 0, 0.75]


def test_a_folder_of_clips_is_one_that_training_reads(tmp_path: Path) -> None:
    write_clips(Move.BOUNCE, tmp_path / "videos", 2, 1)
    films = list(find_films(tmp_path / "videos", tmp_path / "films.jsonl")[0])
    assert len({film.text for film in films}) == 2
    assert all("bounces" in film.text for film in films)
    path = sorted((tmp_path / "videos").glob("*.mp4"))[0]
    assert len(list(read_frames(path, [t - TIMES[0] for t in TIMES]))) == len(TIMES)
    assert "zigzags" in CONFIG.read_text(encoding="utf-8")
