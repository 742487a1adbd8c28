"""Toybox as material: what a stored clip can stand for, and that the same seed gives the same clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from microcinema_core.config import ClipConfig
from microcinema_core.shot.timing import frame_times
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.toybox import OPPOSITE, Excerpt, StoredScenes, Toybox
from microcinema_core.worlds.toybox.world import Motion, Scene, combinations, render, sample_scene


def test_opposite_motion_is_the_clip_played_backwards() -> None:
    times = frame_times(9, 2.0, 4)
    rng = np.random.default_rng(0)
    seen = set()
    while len(seen) < len(Motion):
        scene = sample_scene(rng, times)
        seen.add(scene.motion)
        reverse = replace(scene, motion=OPPOSITE[scene.motion])
        assert np.array_equal(render(scene, times, 32)[::-1], render(reverse, times, 32))


def test_clips_held_out_of_training_never_come_from_playing_backwards() -> None:
    scene = Scene.from_dict(
        {"speed": "slow", "background": "sky", "x": 0.5, "y": 0.5, "radius": 0.12, "texture": 0.5}
        | {"shape": "circle", "colour": "red", "motion": "left"}
    )
    scenes = [replace(scene, shape=s, colour=c, motion=m) for s, c, m in combinations(held_out=False)]
    clips = StoredScenes(torch.zeros(len(scenes), 9, 4, 2, 2), scenes, fps=2.0)
    shown = [clips.clip(i, backwards=True)[1] for i in range(len(clips))]
    assert not any(scene.held_out for scene in shown)
    assert sum(a.motion != b.motion for a, b in zip(scenes, shown, strict=True)) > 150


def test_latents_are_cached(write_config: Callable[..., Path], tmp_path: Path) -> None:
    coders = load_coders(TrainConfig.load(write_config("image")))
    clip = ClipConfig(frames=3, width=64, height=64)
    first = Toybox(coders, tmp_path / "cache", seed=0).scenes(clip, 3)
    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    stamps = [path.stat().st_mtime_ns for path in files]
    again = Toybox(coders, tmp_path / "cache", seed=0).scenes(clip, 3)
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert torch.equal(first.latents, again.latents)
    assert first.scenes == again.scenes
    assert first.latents.shape == (3, 3, 4, 8, 8)
    # Standardised per channel, over frames of 128 pixels: not far from it here.
    assert 0.3 < first.latents.float().std() < 3
    other = Toybox(coders, tmp_path / "cache", seed=1).scenes(clip, 3)
    assert other.scenes != first.scenes


def test_excerpts_start_anywhere_within_a_clip() -> None:
    whole = ClipConfig(frames=9, fps=2.0)
    drawn = Excerpt(ClipConfig(frames=5, fps=8.0), within=whole).draw(np.random.default_rng(0), 200)
    starts = [times[0] for _, times in drawn]
    assert all(np.allclose(np.diff(times), 1 / 8) and times[-1] <= 2 for _, times in drawn)
    assert min(starts) < -1.9
    assert max(starts) > 1.4
    assert all(scene.in_view(frame_times(9, 2.0, 4)) for scene, _ in drawn)
