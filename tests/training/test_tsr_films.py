"""Temporal super-resolution on videos of one's own, from a video model's file."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from microcinema_core.checkpoint.format import Checkpoint, read_checkpoint, read_header, save_checkpoint_file
from microcinema_core.config import ClipConfig, Kind
from microcinema_core.errors import CheckpointError, InputError
from microcinema_core.media import save_clip
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.films import Film, find_films
from microcinema_core.training.loop import train
from microcinema_core.training.own_videos import OwnVideos
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage

SIDE = 64
SLOW, FAST = 8.0, 32.0


def film(folder: Path, name: str, rate: float, *, still: bool = False) -> Path:
    """A second in which a square crosses noise; beside it, its name."""
    folder.mkdir(exist_ok=True)
    ground = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    frames = np.stack([ground] * round(rate))
    for i in range(0 if still else len(frames)):
        left = i * 40 // len(frames)
        frames[i, 20:40, left : left + 20] = (200, 40, 40)
    save_clip(folder / name, frames, rate, {})
    (folder / name).with_suffix(".txt").write_text(name)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    film(folder, "slow.mp4", SLOW)
    return film(folder, "fast.mp4", FAST)


def configured(out: Path, start: Path, videos: Path, **changed: Any) -> TrainConfig:
    given = {
        "stage": "tsr", "out": str(out / "run"), "start_from": str(start), "videos": str(videos), "steps": 1,
        "batch": 8, "precision": "fp32", "sample_every": 1000, "reported": 5, "residual": True,
        "data": {"clips": 4}, "optimiser": {"warmup": 0, "spatial_lr_scale": 0.1},
    }  # fmt: skip
    return TrainConfig.from_dict(given | changed)


def test_a_pass_learns_from_films_that_reach_its_rate(
    weights: Path, videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        stage = build_stage(configured(tmp_path, weights / "toybox-video.safetensors", videos))
    assert "1 of 2 films have fewer than 32 frames a second" in caplog.text
    batches = [stage.source(Draw.of(0, step)) for step in range(4)]
    seen = {(text, 1 / times[1]) for b in batches for text, times in zip(b.texts, b.frame_time.tolist(), strict=True)}
    assert seen == {("slow.mp4", SLOW), ("fast.mp4", SLOW), ("fast.mp4", FAST)}


def test_a_video_models_weights_are_where_it_starts(weights: Path, videos: Path, tmp_path: Path) -> None:
    start = weights / "toybox-video.safetensors"
    before, stage = read_checkpoint(start), build_stage(configured(tmp_path, start, videos))
    for section, network in stage.model.sections().items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, before.sections[section][key].float()), f"{section}.{key}"
    assert [len(group.parameters) > 0 and group.scale for group in stage.groups] == [1, 0.1]
    losses = stage.loss(stage.model, stage.source(Draw.of(0, 0)), Draw.of(0, 0))
    assert losses["denoising"].isfinite()


@pytest.fixture(scope="module")
def trained(weights: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = configured(tmp_path_factory.mktemp("trained"), weights / "toybox-video.safetensors", videos)
    return train(config, build_stage, progress=False)


def test_the_file_that_it_leaves(weights: Path, trained: Path) -> None:
    before, after = read_checkpoint(weights / "toybox-video.safetensors"), read_checkpoint(trained)
    header, old = after.header, before.header.config
    assert header.kind is Kind.TSR
    assert header.config.unet == old.unet
    assert header.config.clip == ClipConfig(frames=5, fps=8.0, width=SIDE, height=SIDE)
    assert replace(header.config.diffusion, residual_std=()) == old.diffusion
    assert header.provenance["started_from"] == before.header.provenance
    assert set(after.sections) == {"unet", "appearnet", "vae", "text_encoder"}
    changed = [key for key, value in after.sections["appearnet"].items()
               if not torch.equal(value, before.sections["appearnet"][key])]  # fmt: skip
    assert changed
    assert (trained.parent / "samples" / "step-00000001.png").is_file()


def test_remainders_are_scaled_by_these_films(weights: Path, videos: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, weights / "toybox-video.safetensors", videos, batch=64)
    first, second = build_stage(config).loss.diffusion.residual_std
    batch = build_stage(replace(config, residual=False)).source(Draw.of(0, 0))
    inner, times = (batch.latents - batch.guide.latents)[:, :, 1:-1], batch.frame_time[:, 1]
    for rate, deviation in ((SLOW, first), (FAST, second)):
        # Of four clips of each, drawn with repetition.
        assert inner[times == 1 / rate].std().item() == pytest.approx(deviation, rel=0.3)


def test_a_file_gone_on_from_keeps_its_segments(videos: Path, trained: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(trained)
    deviations = (0.5, 0.125)
    config = checkpoint.header.config
    config = replace(
        config, clip=replace(config.clip, fps=4.0), diffusion=replace(config.diffusion, residual_std=deviations)
    )
    other = tmp_path / "other-tsr.safetensors"
    save_checkpoint_file(other, Checkpoint(replace(checkpoint.header, config=config), checkpoint.sections))
    stage = build_stage(configured(tmp_path, other, videos))
    assert stage.loss.diffusion.residual_std == deviations
    assert stage.report.rates == [4, 16]


def test_the_report_shows_held_out_segments_of_both_passes(weights: Path, videos: Path, tmp_path: Path) -> None:
    stage = build_stage(configured(tmp_path, weights / "toybox-video.safetensors", videos))
    with torch.no_grad():
        found = stage.report()
    assert set(found.figures) == {"error_share_8fps", "error_share_32fps"}
    assert all(np.isfinite(value) for value in found.figures.values())
    assert [row.shape for row in found.rows] == [(5, SIDE, SIDE, 3)] * (2 * 2 * 4)  # passes, made and true, four shown
    truth = stage.report.truth(FAST)
    assert truth.shape == (5, 4, 5, SIDE // 8, SIDE // 8)
    learned = stage.source.passes[1].first(4).transpose(1, 2).float()
    assert not any(torch.equal(one, other) for one in truth for other in learned)


def test_passes_of_an_untrained_model_leave_what_the_line_is_in_the_report(
    weights: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that makes the line itself has 1 of its error, and one that makes the truth none."""
    stage = build_stage(configured(tmp_path, weights / "toybox-video.safetensors", videos))
    report = stage.report
    line = lambda self, ends, level, segments: segments.line(ends).latents  # noqa: E731
    monkeypatch.setattr(type(report), "_made", line)
    assert set(report().figures.values()) == {1.0}
    monkeypatch.setattr(type(report), "_made", lambda self, ends, level, _: self.truth(self.rates[level]))
    assert set(report().figures.values()) == {0.0}


def test_films_too_slow_for_the_last_pass(weights: Path, tmp_path: Path) -> None:
    folder = film(tmp_path / "films", "ntsc.mp4", 29.97)
    start = weights / "toybox-video.safetensors"
    config = configured(tmp_path, start, folder)
    with pytest.raises(InputError, match=r"no film has 32 frames .*has 29\.97\. Set fps = 7\.5 in \[clip\].* 30 "):
        build_stage(config)
    stage = build_stage(replace(config, clip=ClipConfig(5, 7.5, SIDE, SIDE)))
    assert stage.report.rates == [7.5, 30]


def test_neither_a_tsr_nor_a_video_model(weights: Path, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a file of kind image; a file of kind tsr or video is needed"):
        build_stage(configured(tmp_path, weights / "toybox-image.safetensors", videos))


def test_films_in_which_nothing_moves(weights: Path, tmp_path: Path) -> None:
    folder = film(tmp_path / "films", "still.gif", 50.0, still=True)
    with pytest.raises(InputError, match="nothing moves in these clips"):
        build_stage(configured(tmp_path, weights / "toybox-video.safetensors", folder))


def test_a_film_is_held_out_of_every_pass() -> None:
    def films(rates: list[float]) -> list[Film]:
        return [Film(Path(f"{i}.mp4"), "", 1.0, rate) for i, rate in enumerate(rates)]

    def rates(found: list[Film]) -> list[float]:
        return [one.rate for one in found]

    videos = OwnVideos(films([8, 30, 32]), films([24, 60]), None, Path(), 0)  # type: ignore[arg-type]
    assert (rates(videos.at(30).used), rates(videos.at(30).held_out)) == ([30, 32], [60])
    assert rates(replace(videos, held_out=films([8])).at(30).held_out) == [30, 32]
    assert rates(replace(videos, used=films([8])).at(30).used) == [60]
    assert [videos.reach(rate) for rate in (60, 60.5, 61)] == [True, True, False]
    assert videos.fastest == 60


def variable(path: Path) -> None:
    """Six frames in a second, at uneven times of a clock that counts milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=1000)
        stream.width = stream.height = SIDE
        for pts in (0, 10, 20, 400, 500, 900):
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), pts % 251, np.uint8), format="rgb24")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(("name", "rate"), [("a.mp4", 29.97), ("a.webm", 24.0), ("a.gif", 12.5), ("vary.webm", 6.0)])
def test_a_films_own_rate(name: str, rate: float, tmp_path: Path) -> None:
    film(tmp_path, name, rate)
    if name == "vary.webm":
        variable(tmp_path / name)
    (found,) = find_films(tmp_path, 0.5)
    assert found.rate == pytest.approx(rate, rel=0.15 if name == "vary.webm" else 1e-3)


def test_an_embedded_video_model_starts_it_on_toybox_too(weights: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, weights / "toybox-video.safetensors", Path(), videos="")
    stage = build_stage(config)
    assert stage.report.rates == [8, 32]
    assert read_header(Path(config.start_from)).kind is Kind.VIDEO
