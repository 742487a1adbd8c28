"""Sources alone, on clips that say who they are: every kind of batch from every kind of material."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from microcinema_core.config import ClipConfig, Kind
from microcinema_core.media import save_clip
from microcinema_core.shot.segments import Segments
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.catalogue import find_films
from microcinema_core.training.data.clips import Clip, Mixed
from microcinema_core.training.data.film_clips import FilmMaterial
from microcinema_core.training.data.report import VideoReport
from microcinema_core.training.data.sources import FrameBatches, KeyframeBatches, SegmentBatches
from microcinema_core.training.stage import Draw

WEIGHTS = Path(__file__).resolve().parents[3] / "weights"


@dataclass(frozen=True)
class Numbered:
    """Clips whose frame i is full of the square of its seconds, so that no three lie on a line."""

    name: str
    fps: float
    frames: int = 5

    def draw(self, rng: np.random.Generator) -> Clip:
        seconds = torch.arange(self.frames) / self.fps
        return Clip((seconds**2).view(-1, 1, 1, 1).expand(-1, 4, 2, 2), self.name, self.fps)


def test_single_frames_have_no_guide() -> None:
    batch = FrameBatches(Numbered("still", 2.0, frames=1), 3)(Draw.of(0, 0))
    assert batch.latents.shape == (3, 4, 1, 2, 2)
    assert batch.texts == ["still"] * 3
    assert batch.guide is None
    assert batch.frame_time is None


def test_frame_time_and_guide_belong_to_each_clips_keyframe() -> None:
    batch = KeyframeBatches(Numbered("clip", 2.0), 64, elsewhere=0.5)(Draw.of(0, 0))
    keys = (batch.frame_time == 0).nonzero()[:, 1]
    assert 20 < (keys != 2).sum() < 32  # half are drawn from all five frames, the centre one among them
    for clip, z_c, times, key in zip(batch.latents, batch.guide.latents, batch.frame_time, keys, strict=True):
        assert torch.equal(z_c, clip[:, key : key + 1])
        assert times.tolist() == [(i - key.item()) / 2 for i in range(5)]


def test_other_kinds_of_clips_come_as_often_as_asked_for() -> None:
    clips = Mixed(Numbered("main", 2.0), [Numbered("slow", 1.0), Numbered("fast", 4.0)], share=0.4)
    batch = KeyframeBatches(clips, 400)(Draw.of(0, 0))
    counts = Counter(batch.texts)
    assert [counts[name] / 400 for name in ("main", "slow", "fast")] == pytest.approx([0.6, 0.2, 0.2], abs=0.07)
    rates = {"main": 2.0, "slow": 1.0, "fast": 4.0}
    steps = (batch.frame_time[:, 1] - batch.frame_time[:, 0]).tolist()
    assert steps == [1 / rates[name] for name in batch.texts]


def test_segments_are_what_the_line_leaves_over_their_passes_deviation() -> None:
    segments = Segments(5, residual_std=(2.0, 0.25))
    source = SegmentBatches([Numbered("first", 8.0), Numbered("second", 32.0)], segments, 50, first_share=0.5)
    batch = source(Draw.of(0, 0))
    assert 12 < batch.texts.count("first") < 38
    for text, latents, line, times in zip(
        batch.texts, batch.latents, batch.guide.latents, batch.frame_time, strict=True
    ):
        rate, deviation = (8.0, 2.0) if text == "first" else (32.0, 0.25)
        seconds = torch.arange(5) / rate
        assert torch.equal(times, seconds)
        assert torch.equal(line[0, :, 0, 0], torch.linspace(0, 1, 5) * seconds[-1] ** 2)
        assert torch.allclose(latents[0, :, 0, 0] * deviation + line[0, :, 0, 0], seconds**2)


def test_segments_of_ones_own_films(tmp_path: Path) -> None:
    """Temporal super-resolution learns from any material: no stage has to know which."""
    ramp = np.repeat(np.arange(20, dtype=np.uint8), 64 * 64 * 3).reshape(20, 64, 64, 3) * 10
    save_clip(str(tmp_path / "film.mp4"), ramp, 8.0, {})
    (tmp_path / "film.txt").write_text("It brightens")
    files = {key: str(WEIGHTS / f"toybox-{name}.safetensors") for key, name in
             (("autoencoder", "autoencoder"), ("text_encoder", "text"))}  # fmt: skip
    coders = load_coders(TrainConfig(Kind.TSR, str(tmp_path / "run"), preset="toybox_tsr", **files))
    found, _ = find_films(tmp_path, tmp_path / "films.jsonl")
    films = FilmMaterial(found, coders, tmp_path / "cache", 0, VideoReport(tmp_path, str(tmp_path)))
    passes = [films.clips(ClipConfig(frames=5, fps=rate, width=64, height=64), 2) for rate in (8.0, 32.0)]
    batch = SegmentBatches(passes, Segments(5), 16, first_share=0.5)(Draw.of(0, 0))
    assert batch.latents.shape == batch.guide.latents.shape == (16, 4, 5, 8, 8)
    assert set(batch.texts) == {"It brightens"}
    assert {times[1] for times in batch.frame_time.tolist()} == {1 / 8, 1 / 32}
    assert torch.equal(batch.latents[:, :, [0, -1]], batch.guide.latents[:, :, [0, -1]])
