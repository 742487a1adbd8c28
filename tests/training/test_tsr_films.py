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

from microcinema_core.checkpoint.format import Checkpoint, read_checkpoint, save_checkpoint_file
from microcinema_core.config import ClipConfig, Kind
from microcinema_core.errors import CheckpointError, InputError
from microcinema_core.media import save_clip
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.catalogue import Films, find_films
from microcinema_core.training.data.film_clips import FilmMaterial
from microcinema_core.training.loop import train
from microcinema_core.training.memory import step_memory
from microcinema_core.training.own_videos import OwnVideos
from microcinema_core.training.reports.segments import SegmentsMade
from microcinema_core.training.stage import Draw, Stage
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


@pytest.fixture(scope="module")
def start(weights: Path) -> Path:
    return weights / "toybox-video.safetensors"


@pytest.fixture(scope="module")
def config(start: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    return configured(tmp_path_factory.mktemp("tsr"), start, videos)


@pytest.fixture(scope="module")
def stage(config: TrainConfig) -> Stage[Any]:
    return build_stage(config)


def test_a_pass_learns_from_films_that_reach_its_rate(config: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        stage = build_stage(config)
    assert "1 of 2 films have fewer than 32 frames a second" in caplog.text
    batches = [stage.source(Draw.of(0, step)) for step in range(4)]
    seen = {(text, 1 / times[1]) for b in batches for text, times in zip(b.texts, b.frame_time.tolist(), strict=True)}
    assert seen == {("slow.mp4", SLOW), ("fast.mp4", SLOW), ("fast.mp4", FAST)}


def test_a_video_models_weights_are_where_it_starts(start: Path, stage: Stage[Any]) -> None:
    before = read_checkpoint(start)
    for section, network in stage.model.sections().items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, before.sections[section][key].float()), f"{section}.{key}"
    assert [len(group.parameters) > 0 and group.scale for group in stage.groups] == [1, 0.1]
    losses = stage.loss(stage.model, stage.source(Draw.of(0, 0)), Draw.of(0, 0))
    assert losses["denoising"].isfinite()


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> Path:
    return train(config, build_stage, progress=False)


def test_the_file_that_it_leaves(start: Path, trained: Path) -> None:
    before, after = read_checkpoint(start), read_checkpoint(trained)
    header, old = after.header, before.header.config
    assert header.kind is Kind.TSR
    assert header.config.unet == old.unet
    assert header.config.clip == ClipConfig(frames=5, fps=8.0, width=SIDE, height=SIDE)
    assert replace(header.config.diffusion, residual_std=()) == old.diffusion
    assert header.provenance["started_from"] == before.header.provenance
    assert set(after.sections) == {"unet", "appearnet", "vae", "text_encoder"}
    for section in ("unet", "appearnet"):
        assert any(not torch.equal(v, before.sections[section][key]) for key, v in after.sections[section].items())
    assert (trained.parent / "samples" / "step-00000001.png").is_file()


def test_remainders_are_scaled_by_these_films(config: TrainConfig, stage: Stage[Any]) -> None:
    first, second = stage.loss.diffusion.residual_std
    batch = build_stage(replace(config, batch=64, residual=False)).source(Draw.of(0, 0))
    inner, times = (batch.latents - batch.guide.latents)[:, :, 1:-1], batch.frame_time[:, 1]
    for rate, deviation in ((SLOW, first), (FAST, second)):
        # Of four clips of each, drawn with repetition.
        assert inner[times == 1 / rate].std().item() == pytest.approx(deviation, rel=0.3)


def test_what_a_step_takes_is_counted_of_segments(config: TrainConfig) -> None:
    told, longer = (replace(config, batch=1, clip=ClipConfig(frames, 8.0, SIDE, SIDE)) for frames in (5, 9))
    assert step_memory(replace(config, batch=1)) == step_memory(told)
    assert step_memory(told).working < step_memory(longer).working


def test_a_file_gone_on_from_keeps_its_segments(config: TrainConfig, trained: Path, tmp_path: Path) -> None:
    checkpoint, deviations = read_checkpoint(trained), (0.5, 0.125)
    model = checkpoint.header.config
    diffusion = replace(model.diffusion, residual_std=deviations)
    model = replace(model, clip=replace(model.clip, fps=4.0), diffusion=diffusion)
    other = tmp_path / "other-tsr.safetensors"
    save_checkpoint_file(other, Checkpoint(replace(checkpoint.header, config=model), checkpoint.sections))
    stage = build_stage(replace(config, start_from=str(other)))
    assert stage.loss.diffusion.residual_std == deviations
    assert stage.report.rates == [4, 16]


def test_the_report_shows_held_out_segments_of_both_passes(stage: Stage[Any]) -> None:
    with torch.no_grad():
        found = stage.report()
    assert set(found.figures) == {"error_share_8fps", "error_share_32fps"}
    assert all(np.isfinite(value) for value in found.figures.values())
    assert [row.shape for row in found.rows] == [(5, SIDE, SIDE, 3)] * (2 * 2 * 4)  # passes, made and true, four shown
    assert stage.report.truth(FAST).shape == (5, 4, 5, SIDE // 8, SIDE // 8)


@pytest.mark.parametrize(
    ("made", "share"),
    [
        (lambda report, ends, level, segments: segments.line(ends).latents, 1.0),
        (lambda report, ends, level, segments: report.truth(report.rates[level]), 0.0),
    ],
)
def test_the_reports_shares(made: Any, share: float, stage: Stage[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that makes the line itself has all of its error, and one that makes the truth none."""
    monkeypatch.setattr(SegmentsMade, "_made", made)
    monkeypatch.setattr(SegmentsMade, "_rows", lambda report, made, truth: [])
    assert set(stage.report().figures.values()) == {share}


def test_films_too_slow_for_the_last_pass(start: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, start, film(tmp_path / "films", "ntsc.mp4", 29.97))
    with pytest.raises(InputError, match=r"no film has 32 frames .*has 29\.97\. Set fps = 7\.5 in \[clip\].* 30 "):
        build_stage(config)
    stage = build_stage(replace(config, clip=ClipConfig(5, 7.5, SIDE, SIDE)))
    assert stage.report.rates == [7.5, 30]


def test_neither_a_tsr_nor_a_video_model(weights: Path, config: TrainConfig) -> None:
    with pytest.raises(CheckpointError, match="is a file of kind image; a file of kind tsr or video is needed"):
        build_stage(replace(config, start_from=str(weights / "toybox-image.safetensors")))


def test_films_in_which_nothing_moves(start: Path, tmp_path: Path) -> None:
    folder = film(tmp_path / "films", "still.gif", 33.0, still=True)
    with pytest.raises(InputError, match="nothing moves in these clips"):
        build_stage(configured(tmp_path, start, folder))


def test_a_film_is_held_out_of_every_pass(tmp_path: Path) -> None:
    def films(found: list[int]) -> Films:
        path = tmp_path / f"{found}.jsonl"
        path.write_text("".join(
            f'{{"name": "{rate}", "video": ["{rate}", "", 0, 0], "text": "", "seconds": 1.0, "rate": {rate}, '
            f'"key": "{rate:032x}"}}\n' for rate in found
        ))  # fmt: skip
        return Films.read(path)

    def of(used: list[int], held_out: list[int]) -> OwnVideos:
        nothing: Any = None  # of coders and report, as no clip is made
        return OwnVideos(films(held_out), FilmMaterial(films(used), nothing, Path(), 0, nothing))

    def rates(found: Films) -> list[float]:
        return [one.rate for one in found]

    videos = of([8, 30, 32], [24, 60])
    assert (rates(videos.at(30).used), rates(videos.at(30).held_out)) == ([30, 32], [60])
    assert rates(of([8, 30, 32], [8]).at(30).held_out) == [30, 32]
    assert rates(of([8], [24, 60]).at(30).used) == [60]
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
    (found,) = find_films(tmp_path, tmp_path / "films.jsonl")[0]
    assert found.rate == pytest.approx(rate, rel=0.1 if name == "vary.webm" else 1e-3)


def test_a_video_model_starts_it_on_toybox_too(config: TrainConfig, start: Path) -> None:
    stage = build_stage(replace(config, videos=""))
    assert stage.report.rates == [8, 32]
    weight = read_checkpoint(start).sections["unet"]["conv_in.weight"]
    assert torch.equal(stage.model.unet.conv_in.weight, weight.float())
