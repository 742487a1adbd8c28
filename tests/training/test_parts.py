"""The parts of the training loop that can be wrong without a run noticing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from microcinema_core.config import ClipConfig
from microcinema_core.errors import ConfigError
from microcinema_core.training.config import OptimiserConfig, TrainConfig
from microcinema_core.training.latents import OPPOSITE, Excerpt, LatentClips, latent_clips
from microcinema_core.training.optim import WeightAverage, learning_rate
from microcinema_core.training.stage import Draw
from microcinema_core.worlds.toybox.world import Motion, Scene, clip_times, combinations, render, sample_scene

ROOT = Path(__file__).resolve().parents[2]


def test_draw_is_a_function_of_seed_step_and_rank() -> None:
    def numbers(seed: int, step: int, rank: int) -> tuple[float, float]:
        draw = Draw.of(seed, step, rank)
        return draw.rng.random(), torch.rand(1, generator=draw.generator).item()

    assert numbers(1, 2, 3) == numbers(1, 2, 3)
    others = [numbers(0, 2, 3), numbers(1, 0, 3), numbers(1, 2, 0)]
    assert len({numbers(1, 2, 3), *others}) == 4


def test_learning_rate_warms_up_and_ends_low() -> None:
    config = OptimiserConfig(lr=1e-3, warmup=10, final_lr=0.05)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[100] == pytest.approx(5e-5)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_weight_average_follows_and_swaps_back() -> None:
    model = nn.Linear(2, 1, bias=False)
    average = WeightAverage(model, decay=0.5)
    nn.init.constant_(model.weight, 1.0)
    start = average.average["weight"].clone()
    average.update(model.named_parameters())
    # The first update's decay is 1/11, whatever the final one.
    assert torch.allclose(average.average["weight"], start / 11 + 10 / 11)
    kept = average.average["weight"].clone()
    average.swap(model)
    assert torch.equal(model.weight, kept)
    average.swap(model)
    assert torch.equal(model.weight, torch.ones(1, 2))
    assert torch.equal(average.average["weight"], kept)


def test_opposite_motion_is_the_clip_played_backwards() -> None:
    times = clip_times(9, 2.0, 4)
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
    clips = LatentClips(torch.zeros(len(scenes), 9, 4, 2, 2), scenes)
    shown = [clips.clip(i, backwards=True)[1] for i in range(len(clips))]
    assert not any(scene.held_out for scene in shown)
    assert sum(a.motion != b.motion for a, b in zip(scenes, shown, strict=True)) > 150


def test_latents_are_cached(tmp_path: Path) -> None:
    autoencoder = ROOT / "weights" / "toybox-autoencoder.safetensors"
    clip = Excerpt(ClipConfig(frames=3, width=64, height=64))
    first = latent_clips(autoencoder, clip, 3, seed=0, cache=tmp_path, bf16=False)
    files = sorted(tmp_path.rglob("*.safetensors"))
    stamps = [path.stat().st_mtime_ns for path in files]
    again = latent_clips(autoencoder, clip, 3, seed=0, cache=tmp_path, bf16=False)
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert torch.equal(first.latents, again.latents)
    assert first.scenes == again.scenes
    assert first.latents.shape == (3, 3, 4, 8, 8)
    # Standardised per channel, over frames of 128 pixels: not far from it here.
    assert 0.3 < first.latents.float().std() < 3
    other = latent_clips(autoencoder, clip, 3, seed=1, cache=tmp_path, bf16=False)
    assert other.scenes != first.scenes


def test_excerpts_start_anywhere_within_a_clip() -> None:
    whole = ClipConfig(frames=9, fps=2.0)
    drawn = Excerpt(ClipConfig(frames=5, fps=8.0), within=whole).draw(np.random.default_rng(0), 200)
    starts = [times[0] for _, times in drawn]
    assert all(np.allclose(np.diff(times), 1 / 8) and times[-1] <= 2 for _, times in drawn)
    assert min(starts) < -1.9
    assert max(starts) > 1.4
    assert all(scene.in_view(clip_times(9, 2.0, 4)) for scene, _ in drawn)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = 'nothing'\nout = 'x'", "stage: 'nothing' is none of autoencoder"),
        ("stage = 'video'\nout = 'x'\nsteps = 0", "at least 1"),
        ("stage = 'video'\nout = 'x'\nstpes = 5", "unknown key 'stpes'"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = nan", "lr: expected a number, got nan"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = -1", "lr and clip_norm must be positive"),
        ("stage = ", "Invalid value"),
    ],
)
def test_bad_configuration_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.load(path)
    assert str(path) in str(caught.value)
