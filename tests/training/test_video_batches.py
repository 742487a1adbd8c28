"""What the video stage draws: frame rates that frame time tells apart, and hard motions more often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from microcinema_core.errors import ConfigError
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.diffusion import video
from microcinema_core.training.stage import Draw


def test_frame_time_follows_each_clips_rate(write_config: Callable[..., Path]) -> None:
    config = TrainConfig.load(write_config("video", batch=64))
    data = replace(config.data, other_rates=(4.0,), other_rate_clips=2, other_rate_share=0.5, other_keyframes=0.0)
    batch = video(replace(config, data=data)).source(Draw.of(0, 0))
    slow = torch.linspace(-2, 2, 9)
    known = {2: slow, 4: slow / 2}
    rates = [next(r for r, times in known.items() if torch.allclose(row, times)) for row in batch.frame_time]
    assert 20 < rates.count(4) < 44
    # Half the time passes, so half as much changes, from frame to frame.
    change = (batch.latents[:, :, 1:] - batch.latents[:, :, :-1]).abs().mean(dim=(1, 2, 3, 4))
    assert change[[r == 4 for r in rates]].mean() < 0.8 * change[[r == 2 for r in rates]].mean()


def test_hard_motions_are_drawn_more_often(write_config: Callable[..., Path]) -> None:
    config = TrainConfig.load(write_config("video", batch=64))
    scenes = video(config).source.clips.stored.scenes
    present = scenes[0].motion
    share = sum(scene.motion == present for scene in scenes) / len(scenes)
    stage = video(replace(config, data=replace(config.data, hard_motions=(str(present),), hard_share=0.9)))
    drawn = [stage.source.clips.index(Draw.of(0, step).rng) for step in range(200)]
    hits = sum(scenes[i].motion == present for i in drawn) / len(drawn)
    assert hits == pytest.approx(0.9 + 0.1 * share, abs=0.06)
    with pytest.raises(ConfigError, match="'sideways' is none of left"):
        video(replace(config, data=replace(config.data, hard_motions=("sideways",))))
