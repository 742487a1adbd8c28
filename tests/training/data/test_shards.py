"""The cache of latents alone: what is there is read, what is missing is made, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from microcinema_core.training.data.shards import Shard, kept, shard_folder


class Maker:
    """Clip i is full of i and its note says so; it remembers what it was asked for, and can be stopped."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.asked: list[range] = []
        self.stop_at = stop_at

    def __call__(self, part: range) -> Shard:
        if self.stop_at in part:
            raise KeyboardInterrupt
        self.asked.append(part)
        return Shard(torch.tensor([float(i) for i in part]).half().view(-1, 1, 1, 1, 1), [f"clip {i}" for i in part])


def test_what_is_missing_is_made_and_what_is_there_is_read(tmp_path: Path) -> None:
    first, second = Maker(), Maker()
    made = kept(tmp_path, 7, 3, first)
    assert first.asked == [range(3), range(3, 6), range(6, 7)]
    assert made.latents.flatten().tolist() == list(range(7))
    assert made.notes == [f"clip {i}" for i in range(7)]
    read = kept(tmp_path, 7, 3, second)
    assert not second.asked
    assert torch.equal(read.latents, made.latents)
    assert read.notes == made.notes


def test_interrupted_it_goes_on_at_the_shard_it_was_at(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, 7, 2, Maker(stop_at=5))
    assert len(list(tmp_path.iterdir())) == 2  # whole shards, and nothing begun
    again = Maker()
    assert kept(tmp_path, 7, 2, again).latents.flatten().tolist() == list(range(7))
    assert again.asked == [range(4, 6), range(6, 7)]


def test_more_clips_are_made_beside_those_that_are_there(tmp_path: Path) -> None:
    kept(tmp_path, 5, 2, Maker())
    more = Maker()
    assert kept(tmp_path, 7, 2, more).latents.flatten().tolist() == list(range(7))
    assert more.asked == [range(4, 6), range(6, 7)]  # the shard of one clip is another than that of two


def test_clips_without_notes(tmp_path: Path) -> None:
    assert kept(tmp_path, 3, 2, lambda part: Shard(torch.zeros(len(part), 1, 1, 1, 1).half(), [])).notes == []


def test_each_part_of_the_key_names_another_folder(tmp_path: Path) -> None:
    folders = {shard_folder(tmp_path, "clips", *key) for key in (("a", 0), ("b", 0), ("a", 1), ("a", 0))}
    assert len(folders) == 3
