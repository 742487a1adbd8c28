"""Training reaches everything: the zero-initialised layers in the first step, every parameter from the second."""

from fnmatch import fnmatch

import pytest
import torch
from torch.nn import functional as F

from microcinema_core.config import Injection, Positions, UNetConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.temporal import TemporalConv, TemporalTransformer
from microcinema_core.models.unet import VideoUNet
from microcinema_core.models.zero_start import zero_start_

EVERY_MODE = pytest.mark.parametrize("injection", list(Injection))
CLIPS, FRAMES, HEIGHT, WIDTH, TOKENS = 2, 3, 8, 6, 5


def config_of(injection: Injection, positions: Positions = Positions.ROTARY) -> UNetConfig:
    """Groups of more than one channel: a bias before a norm over its channel alone could have no gradient."""
    return UNetConfig(
        block_out_channels=(16, 32),
        layers_per_block=1,
        attention_levels=(False, True),
        attention_heads=(2, 4),
        cross_attention_dim=12,
        norm_groups=4,
        temporal_head_dim=8,
        temporal_positions=positions,
        pooled_text=True,
        injection=injection,
        spade_hidden=4,
    )


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Training:
    """A freshly inflated model and one batch; float64, so that a gradient of zero is one."""

    def __init__(self, config: UNetConfig) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.unet, self.appearnet = VideoUNet(config).double(), AppearNet(config, text_length=TOKENS).double()
            for parameter in (*self.unet.parameters(), *self.appearnet.parameters()):
                parameter.data += 0.05 * torch.randn_like(parameter)  # norms as an image model has them after training
        zero_start_(self.unet)
        zero_start_(self.appearnet)
        if config.injection is not Injection.CONCAT:
            self.appearnet.null_context.copy_(normal(1, TOKENS, config.cross_attention_dim, seed=1))
        self.context = normal(CLIPS, TOKENS, config.cross_attention_dim, seed=2)
        self.parameters = {
            **{f"unet.{name}": p for name, p in self.unet.named_parameters()},
            **{f"appearnet.{name}": p for name, p in self.appearnet.named_parameters()},
        }

    def backward(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None
        size = (CLIPS, 4, FRAMES, HEIGHT, WIDTH)
        frame_time = torch.tensor([[-0.5, 0.0, 0.5], [0.0, 0.25, 0.75]], dtype=torch.float64)
        z_c = normal(CLIPS, 4, 1, HEIGHT, WIDTH, seed=5)
        t = torch.tensor([700.0, 90.0], dtype=torch.float64)
        out = self.unet(normal(*size, seed=3), t, self.context, self.appearnet(Guide(z_c)), frame_time)
        F.mse_loss(out, normal(*size, seed=4)).backward()

    def untouched(self) -> set[str]:
        return {name for name, p in self.parameters.items() if p.grad is None or not p.grad.any()}


@EVERY_MODE
def test_the_first_gradient_reaches_what_starts_at_zero_and_the_second_everything(injection):
    training = Training(config_of(injection))
    zero = {name for name, parameter in training.parameters.items() if not parameter.any()}
    gates = {name for name in training.parameters if name.startswith("unet.gates.")}
    final = [".taps.", "temporal_attentions.*.proj_out.", "frame_time_embedding.linear_2.", "unet.gates."]
    final += ["appearnet.concat.", "appearnet.add.", "appearnet.spade.*.conv_out."]
    assert zero == {name for name in training.parameters if any(fnmatch(name, f"*{part}*") for part in final)}

    training.backward()
    assert training.untouched() & zero == gates  # a gate multiplies what is still zero

    torch.optim.SGD(training.parameters.values(), lr=0.1).step()
    training.backward()
    assert training.untouched() == set()


@pytest.mark.parametrize("positions", list(Positions))
def test_positions_leave_no_parameter_behind(positions):
    training = Training(config_of(Injection.ADD_BOTH_SPADE, positions))
    training.backward()
    torch.optim.SGD(training.parameters.values(), lr=0.1).step()
    training.backward()
    assert training.untouched() == set()


def test_first_gradients_of_the_temporal_layers_have_full_rank():
    """Random features reach them, so one step can already change every direction of the output."""
    training = Training(config_of(Injection.ADD_BOTH_SPADE))
    training.backward()
    attentions = {n: m for n, m in training.unet.named_modules() if isinstance(m, TemporalTransformer)}
    assert attentions
    for name, layer in attentions.items():
        assert torch.linalg.matrix_rank(layer.proj_out.weight.grad) == layer.proj_out.weight.shape[0], name
    for name, conv in training.unet.named_modules():
        if isinstance(conv, TemporalConv):
            for tap in conv.taps.weight.grad.flatten(1).chunk(3):
                assert torch.linalg.matrix_rank(tap) == tap.shape[0], name


@EVERY_MODE
def test_mixed_precision_trains_too(injection):
    """Under autocast some layers answer in bfloat16 and others in float32; every sum of both must still work."""
    training = Training(config_of(injection))
    training.backward()
    torch.optim.SGD(training.parameters.values(), lr=0.1).step()
    training.unet.float(), training.appearnet.float()
    training.context = training.context.float()
    x, z_c = normal(CLIPS, 4, FRAMES, HEIGHT, WIDTH, seed=3).float(), normal(CLIPS, 4, 1, HEIGHT, WIDTH, seed=5).float()

    def forward() -> torch.Tensor:
        return training.unet(
            x, torch.tensor([700.0, 90.0]), training.context, training.appearnet(Guide(z_c)), torch.ones(FRAMES)
        )

    for parameter in training.parameters.values():
        parameter.grad = None
    with torch.no_grad():
        exact = forward()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = forward()
    rounded.float().square().sum().backward()
    assert training.untouched() == set()
    assert all(parameter.grad.isfinite().all() for parameter in training.parameters.values())
    # bfloat16 keeps 8 bits, 0.4 %; its errors grow over some forty layers.
    assert (rounded.float() - exact).abs().max() < 0.1 * exact.abs().max()
