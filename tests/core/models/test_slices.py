"""Slices, a compiled graph and shared keys and values: ways of computing that must not change what is computed."""

from dataclasses import replace

import pytest
import torch

from microcinema_core.config import Positions, TemporalLayers, UNetConfig
from microcinema_core.models import slices
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.unet import VideoUNet
from microcinema_core.models.zero_start import zero_start_

# float32 rounds at 6e-8 of a sum's size, and a product of other shape sums in another order.
TOLERANCE = 1e-5
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
MODELSCOPE = replace(SMALL, temporal_layers=TemporalLayers.MODELSCOPE, temporal_positions=Positions.NONE)
CONFIGS = [SMALL, MODELSCOPE, replace(SMALL, linear_projection=False)]
EVERY_KIND = pytest.mark.parametrize("config", CONFIGS, ids=["native", "modelscope", "conv_projection"])
CLIPS, FRAMES = 2, 5


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(network: torch.nn.Module) -> torch.nn.Module:
    """With every tensor drawn, zero-initialised ones too, so that no layer is idle."""
    for i, parameter in enumerate(network.parameters()):
        fan = parameter[0].numel() if parameter.ndim > 1 else 9
        parameter.data = normal(*parameter.shape, seed=i) / fan**0.5 + (parameter.ndim == 1)
    return network.eval().requires_grad_(False)


def given(config: UNetConfig) -> tuple[torch.Tensor, ...]:
    x, t = normal(CLIPS, 4, FRAMES, 8, 6), torch.tensor([981.0, 37.0])
    return x, t, normal(CLIPS, 7, config.cross_attention_dim, seed=1)


def deviation(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).abs().max() / other.abs().max()).item()


@EVERY_KIND
@pytest.mark.parametrize("largest", [1, 60_000, 200_000], ids=["rows_of_one", "small", "medium"])
def test_slices_change_nothing(config, largest, monkeypatch):
    """With gradients a forward is whole. 60,000 bytes are some frames of either level, 200,000 some of the first."""
    unet, appearnet = drawn(VideoUNet(config)), drawn(AppearNet(config, text_length=7))
    appearance = appearnet(Guide(normal(CLIPS, 4, 1, 8, 6, seed=2)))
    frame_time = torch.linspace(-1, 1, FRAMES)
    for shared_frame in (None, 2):
        whole = unet(*given(config), appearance, frame_time, shared_frame)
        monkeypatch.setattr(slices, "LARGEST", largest)
        with torch.no_grad():
            sliced = unet(*given(config), appearance, frame_time, shared_frame)
        assert deviation(sliced, whole) <= TOLERANCE


def test_only_a_cpu_without_gradients_gets_slices(monkeypatch):
    monkeypatch.setattr(slices, "LARGEST", 40)
    x = torch.zeros(100)
    with torch.no_grad():
        assert slices.rows_at_once(x, 5) == 2
        assert slices.rows_at_once(x, 1000) == 1
        assert slices.rows_at_once(x.to("meta"), 5) == 100
    assert slices.rows_at_once(x, 5) == 100


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=["native", "modelscope", "conv_projection"])
@torch.no_grad()
def test_one_graph_without_breaks(config):
    """`fullgraph` raises at a graph break; the eager backend needs no compiler and computes the same."""
    unet, appearnet = drawn(VideoUNet(config)), drawn(AppearNet(config, text_length=7))
    appearance = appearnet(Guide(normal(CLIPS, 4, 1, 8, 6, seed=2)))
    arguments = (*given(config), appearance, torch.linspace(-1, 1, FRAMES))
    wanted = unet(*arguments)
    torch._dynamo.reset()
    compiled = torch.compile(unet, backend="eager", fullgraph=True)
    assert deviation(compiled(*arguments), wanted) <= TOLERANCE
    assert deviation(compiled(*arguments[:3], None, None, 2), unet(*arguments[:3], None, None, 2)) <= TOLERANCE


@torch.no_grad()
def test_a_shared_frame_is_read_by_every_frame_of_its_clip():
    """A frame that reads itself twice is unchanged, since softmax then halves every weight; the others follow it."""
    unet = drawn(VideoUNet(SMALL))
    zero_start_(unet)
    x, t, context = given(SMALL)
    alone, shared = unet(x, t, context), unet(x, t, context, shared_frame=3)
    assert deviation(shared[:, :, 3], alone[:, :, 3]) <= TOLERANCE
    others = [0, 1, 2, 4]
    assert (shared - alone)[:, :, others].abs().amax(dim=(1, 3, 4)).min() > 100 * TOLERANCE * alone.abs().max()
    changed = x.clone()
    changed[0, :, 3] += normal(4, 8, 6, seed=5)
    moved = (unet(changed, t, context, shared_frame=3) - shared).abs().amax(dim=(1, 3, 4))
    assert moved[0].min() > 100 * TOLERANCE * shared.abs().max(), "every frame of the clip answers"
    assert moved[1].max() == 0, "the other clip does not"
