"""A U-Net's steps recorded and replayed: what is read anew, and when it is recorded again. No GPU is needed for that.

`make gpu-check` compares the graphs themselves with the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from microcinema_core.config import UNetConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.injection import Appearance
from microcinema_core.models.unet import VideoUNet
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import Compile, SamplingConfig
from microcinema_core.standalone import replaying
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.standalone.replaying import KEPT, ReplayedUNet

SMALL = UNetConfig(
    block_out_channels=(32, 64),
    layers_per_block=1,
    attention_levels=(True, True),
    attention_heads=(2, 4),
    cross_attention_dim=24,
    norm_groups=8,
    temporal_head_dim=16,
    spade_hidden=8,
)
FRAMES = 3
SHOT = ShotConfig(frames=3, after=1, passes=1)
THREE, FAST = SamplingConfig(steps=3), SamplingConfig(steps=2, cfg=1.0)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Stands in for CUDA graphs: a replay reads the same tensors and writes where the first result lies."""
    kept: list[Tensor] = []

    def recorded(step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        made = step()
        kept.append(made)
        return lambda: made.copy_(step()), made

    monkeypatch.setattr(replaying, "recorded", recorded)
    return kept


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(network: nn.Module) -> Any:
    """With every tensor drawn, zero-initialised ones too, so that no layer is idle."""
    for i, parameter in enumerate(network.parameters()):
        fan = parameter[0].numel() if parameter.ndim > 1 else 9
        parameter.data = normal(*parameter.shape, seed=i) / fan**0.5 + (parameter.ndim == 1)
    return network.eval().requires_grad_(False)


def networks() -> tuple[VideoUNet, AppearNet]:
    return drawn(VideoUNet(SMALL)), drawn(AppearNet(SMALL, text_length=7))


def appearance(appearnet: AppearNet, seed: int) -> Appearance:
    return appearnet(Guide(normal(1, 4, 1, 8, 6, seed=seed)))


@torch.no_grad()
def test_a_replay_makes_what_the_network_makes_of_whatever_is_new(records: list[Tensor]) -> None:
    unet, appearnet = networks()
    replayed, times = ReplayedUNet(unet), torch.linspace(-1, 1, FRAMES)
    one, other = appearance(appearnet, 2), appearance(appearnet, 3)
    text = normal(1, 7, 24, seed=1)
    steps = [(0, 981.0, text, one), (4, 500.0, text, one), (4, 500.0, 2 * text, one), (4, 500.0, text, other)]
    made = [
        (replayed(x, t, words, terms, times), unet(x, t, words, terms, times))
        for x, t, words, terms in (
            (normal(1, 4, FRAMES, 8, 6, seed=seed), torch.tensor(t), words, terms) for seed, t, words, terms in steps
        )
    ]
    assert len(records) == 1
    for found, wanted in made:  # the first ones too, after all replays
        assert torch.equal(found, wanted)
    assert len({round(found.std().item(), 5) for found, _ in made}) == len(steps)


@torch.no_grad()
def test_every_size_and_each_frame_that_is_shared_has_a_record_and_the_latest_stay(records: list[Tensor]) -> None:
    unet, _ = networks()
    replayed = ReplayedUNet(unet)
    given = torch.tensor(500.0), normal(1, 7, 24)
    for frames in (1, 2, 3, 4):
        replayed(normal(1, 4, frames, 8, 6), *given)
    replayed(normal(1, 4, 1, 8, 6), *given)
    assert len(records) == 4
    replayed(normal(1, 4, 3, 8, 6), *given, None, None, 1)
    assert len(records) == 5
    assert len(replayed.records) == KEPT
    replayed(normal(1, 4, 1, 8, 6), *given)
    assert len(records) == 5, "it was used after the others"
    replayed(normal(1, 4, 2, 8, 6), *given)
    assert len(records) == 6, "it was the oldest"


def test_with_gradients_nothing_is_recorded(records: list[Tensor]) -> None:
    unet, _ = networks()
    x = normal(1, 4, 2, 8, 6).requires_grad_()
    ReplayedUNet(unet)(x, torch.tensor(500.0), normal(1, 7, 24)).sum().backward()
    assert x.grad is not None
    assert not records


def test_a_shot_is_the_same(weights: Path, records: list[Tensor]) -> None:
    plain = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")
    replayed = MicroCinemaPipeline(plain.bundle, plain.tsr, Compile.CUDA_GRAPH)
    key = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    made, wanted = (
        np.stack(list(one.shoot(key, "a star", SHOT, sampling=THREE, tsr_sampling=FAST, seed=0, tsr_batch=3)))
        for one in (replayed, plain)
    )
    assert len(records) == 1
    assert np.array_equal(made, wanted)
