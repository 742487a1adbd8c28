"""Every injection mode and both settings of the prior train and sample from configuration alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from microcinema_core.checkpoint.format import read_header
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.config import Injection, Kind
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stages import build_stage

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


FAST = ((Injection.CONCAT, 0.0), (Injection.ADD_BOTH_SPADE, 0.03))  # the two ends; the others take a minute together
MODES = [
    pytest.param(injection, prior_lambda, marks=() if (injection, prior_lambda) in FAST else pytest.mark.slow)
    for prior_lambda in (0.0, 0.03)
    for injection in Injection
]


@pytest.mark.parametrize(("injection", "prior_lambda"), MODES)
def test_mode_trains_and_samples(
    injection: Injection, prior_lambda: float, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """A clip sampled from the trained file must depend on the keyframe and on gamma."""
    path = write_config("video", injection=str(injection), prior_lambda=prior_lambda, steps=2)
    model = train(TrainConfig.load(path), build_stage, progress=False)
    networks = load_networks(model, kind=Kind.VIDEO)
    assert networks.unet.config.injection is injection
    assert read_header(model).config.diffusion.prior_lambda == prior_lambda
    for name in ("toybox-autoencoder", "toybox-text"):
        (tmp_path / "run" / f"{name}.safetensors").symlink_to(WEIGHTS / f"{name}.safetensors")
    pipeline = MicroCinemaPipeline.from_pretrained(model)
    keyframes = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    clips = [
        pipeline(k, "a red star moves left", sampling=SamplingConfig(2, 1.5, gamma=g), seed=1).frames
        for k, g in ((keyframes[0], 0.0), (keyframes[1], 0.0), (keyframes[0], 0.2))
    ]
    assert clips[0].shape == (1, 9, 128, 128, 3)
    assert (clips[0] != clips[1]).any()
    assert (clips[0] != clips[2]).any()
