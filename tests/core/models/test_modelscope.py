"""VideoUNet with ModelScope's temporal layers is diffusers' UNet3DConditionModel; what we add starts unheard."""

import hashlib
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor, nn

from microcinema_core.backend import Backend, sdpa
from microcinema_core.config import MODELSCOPE, PRESETS, Injection, Positions, TemporalLayers, UNetConfig
from microcinema_core.diffusion.streams import NoiseStream
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.modelscope import TemporalAttentions, TemporalConvs
from microcinema_core.models.unet import VideoUNet, temporal_parameters
from microcinema_core.models.zero_start import zero_start_
from microcinema_core.standalone.sampling import Conditioning, SamplingConfig, Text, sample_latents

# float32 rounds at 6e-8 of a sum's size, and two orders of summation meet in about two hundred layers.
TOLERANCE = 1e-5
HEAD = 16
SMALL = UNetConfig(
    block_out_channels=(32, 64, 96),
    layers_per_block=1,
    attention_levels=(True, True, False),
    attention_heads=(2, 4, 6),
    cross_attention_dim=24,
    norm_groups=8,
    temporal_layers=TemporalLayers.MODELSCOPE,
    temporal_head_dim=HEAD,
    temporal_positions=Positions.NONE,
    spade_hidden=8,
)
TEMPORAL = ("transformer_in.", ".temp_convs.", ".temp_attentions.")
NEW = ("frame_time_embedding.", "gates.")


def randomised(model: nn.Module) -> nn.Module:
    """No tensor is one number throughout: of a layer at zero, or a norm at one, an equality says nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.min() == parameter.max():
                parameter += 0.2 * torch.randn(parameter.shape)
    assert all(parameter.min() < parameter.max() for parameter in model.parameters())
    return model.eval()


def reference(config: UNetConfig = SMALL) -> UNet3DConditionModel:
    kinds = ["CrossAttnDownBlock3D" if attended else "DownBlock3D" for attended in config.attention_levels]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = UNet3DConditionModel(
            block_out_channels=config.block_out_channels,
            layers_per_block=config.layers_per_block,
            down_block_types=tuple(kinds),
            up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(kinds)),
            attention_head_dim=config.temporal_head_dim,
            cross_attention_dim=config.cross_attention_dim,
            norm_num_groups=config.norm_groups,
        )
        return randomised(model)


def state_of(model: UNet3DConditionModel) -> dict[str, Tensor]:
    return {key: value.squeeze(-1) if value.ndim == 5 else value for key, value in model.state_dict().items()}


def ours(model: UNet3DConditionModel, config: UNetConfig = SMALL, backend: Backend | None = None) -> VideoUNet:
    """With the reference's own tensors, and what it lacks at zero where that starts at zero."""
    unet = VideoUNet(config, backend)
    zero_start_(unet)
    given = state_of(model)
    assert {key.partition(".")[0] + "." for key in set(unet.state_dict()) - set(given)} <= set(NEW)
    unet.load_state_dict(unet.state_dict() | given, assign=True)
    return unet.eval()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def deviation(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs().max() / other.abs().max()).item()


class Inputs:
    """Two clips, as guidance makes them: noise levels and prompts differ."""

    def __init__(self, frames: int, height: int, width: int, config: UNetConfig = SMALL) -> None:
        self.x = normal(2, 4, frames, height, width)
        self.t = torch.tensor([981.0, 37.0])
        self.context = normal(2, 7, config.cross_attention_dim, seed=1)

    @torch.no_grad()
    def run(self, network: nn.Module, **more: object) -> Tensor:
        out = network(self.x, self.t, self.context, **more)
        return out if isinstance(out, Tensor) else out.sample


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 8, 8), (3, 7, 10), (9, 8, 12)])
def test_it_is_the_text_to_video_model(layers, frames, height, width):
    config = replace(SMALL, layers_per_block=layers)
    model, given = reference(config), Inputs(frames, height, width)
    assert deviation(given.run(ours(model, config)), given.run(model)) <= TOLERANCE


def test_the_equality_would_see_each_layer_and_the_order_of_frames():
    model, given = reference(), Inputs(5, 6, 6)
    wanted = given.run(model)
    assert deviation(wanted.flip(2), wanted) > 1000 * TOLERANCE
    unet = ours(model)
    layers = {name: m for name, m in unet.named_modules() if isinstance(m, TemporalConvs | TemporalAttentions)}
    assert len(layers) == 1 + 11 + 7  # conv_in; 3 levels down, middle and up of 3 + 2 + 6 ResBlocks; 2 + 1 + 4 attended
    for name, layer in layers.items():
        final = layer.conv4[-1] if isinstance(layer, TemporalConvs) else layer.proj_out
        kept = final.weight.data.clone()
        final.weight.data *= 1.1
        assert deviation(given.run(unet), wanted) > 10 * TOLERANCE, name
        final.weight.data = kept
    assert deviation(given.run(unet), wanted) <= TOLERANCE


def test_gradients_are_those_of_the_text_to_video_model():
    """SiLU works in place, which must not change what flows back."""
    model, given = reference(), Inputs(3, 6, 6)
    unet = ours(model)
    found = []
    for network in (model, unet):
        x = given.x.clone().requires_grad_()
        out = network(x, given.t, given.context)
        (out if isinstance(out, Tensor) else out.sample).square().sum().backward()
        found.append(x.grad)
    assert deviation(found[1], found[0]) <= 10 * TOLERANCE  # as many layers again


@pytest.mark.parametrize("injection", list(Injection))
def test_appearance_at_zero_and_frame_time_change_nothing(injection):
    config = replace(SMALL, injection=injection)
    model, given = reference(config), Inputs(3, 7, 6)
    unet, appearnet = ours(model, config), AppearNet(config, text_length=7).eval()
    zero_start_(appearnet)
    z_c = normal(1, 4, 1, 7, 6, seed=2)
    with torch.no_grad():
        appearance = appearnet(Guide(z_c))
    seconds = torch.tensor([-0.5, 0.0, 0.5])
    assert torch.equal(given.run(unet, appearance=appearance, frame_time=seconds), given.run(unet))

    randomised(appearnet)
    with torch.no_grad():
        appearance = appearnet(Guide(z_c))
    assert deviation(given.run(unet, appearance=appearance), given.run(unet)) > 1000 * TOLERANCE


def test_the_noise_priors_gamma_acts_without_training():
    """It is in the starting noise, which the keyframe shifts by gamma z_c at full noise; without gamma nothing does."""
    unet, appearnet = ours(reference()), AppearNet(SMALL, text_length=7).eval()
    zero_start_(appearnet)
    assert MODELSCOPE.diffusion.prior_lambda == 0

    def clip(z_c: Tensor, gamma: float) -> Tensor:
        text, guide = Text(normal(1, 7, 24, seed=1), normal(1, 7, 24, seed=3)), Guide(z_c)
        given = Conditioning(text, guide, appearnet(guide))
        config = SamplingConfig(steps=2, cfg=2.0, gamma=gamma)
        return sample_latents(unet, MODELSCOPE.diffusion, given, [NoiseStream(5)], (3, 6, 6), config)

    one, other = normal(1, 4, 1, 6, 6, seed=2), normal(1, 4, 1, 6, 6, seed=4)
    with torch.no_grad():
        assert torch.equal(clip(one, 0.0), clip(other, 0.0))
        assert deviation(clip(one, 0.02), clip(one, 0.0)) > 1e-3


def test_layers_over_time_can_start_as_identities():
    """Then it is Stable Diffusion's U-Net on each frame, as our own layers' start is."""
    model, given = reference(), Inputs(3, 7, 6)
    unet = ours(model)
    zero_start_(unet)
    kinds = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
    image = UNet2DConditionModel(
        block_out_channels=SMALL.block_out_channels,
        layers_per_block=1,
        down_block_types=kinds,
        up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(kinds)),
        attention_head_dim=SMALL.attention_heads,
        cross_attention_dim=24,
        use_linear_projection=True,
        norm_num_groups=8,
    ).eval()
    spatial = {key: value for key, value in state_of(model).items() if not any(part in key for part in TEMPORAL)}
    image.load_state_dict(spatial)
    with torch.no_grad():
        frames = [image(given.x[:, :, i], given.t, given.context).sample for i in range(3)]
    assert deviation(given.run(unet), torch.stack(frames, dim=2)) <= TOLERANCE
    added = {key for key in unet.state_dict() if key not in image.state_dict()}
    assert temporal_parameters(unet) == added


def test_layers_and_attention_come_from_the_host():
    class Linear(nn.Linear):
        pass

    class Conv2d(nn.Conv2d):
        pass

    class GroupNorm(nn.GroupNorm):
        pass

    class LayerNorm(nn.LayerNorm):
        pass

    class Host:
        pass

    host, calls = Host(), []
    host.Linear, host.Conv2d, host.GroupNorm, host.LayerNorm = Linear, Conv2d, GroupNorm, LayerNorm

    def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        calls.append((*q.shape, heads))
        return sdpa(q, k, v, heads)

    model, given = reference(), Inputs(3, 4, 4)
    unet = ours(model, backend=Backend(host, attention))
    with_weights = [m for m in unet.modules() if m._parameters]
    assert {type(m) for m in with_weights} == {Linear, Conv2d, GroupNorm, LayerNorm}
    assert deviation(given.run(unet), given.run(model)) <= TOLERANCE
    over_time = [
        call for call in calls if call[1] == 3
    ]  # sequences of 3 frames; other queries are longer or of 1 pixel
    assert calls.count((2 * 16, 3, 8 * HEAD, 8)) == 2  # after conv_in: 8 heads, twice, for each of 16 pixels
    assert len(over_time) >= 2 * 8


# Everything else stays as it was. Counted and hashed (names, shapes, order) with the code before these layers existed.
KEYS = {
    "sd21": ((991, "01dfef3f4f3cf479"), (405, "904234a07dce24a7")),
    "sd15": ((991, "46a4d00e54230093"), (405, "057442bbcd25c535")),
    "toybox": ((301, "08294fe580309347"), (145, "2adf696826abc98f")),
    "toybox_tsr": ((178, "a4dc4f7a3a8a18d9"), (119, "208adb540538df7d")),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_tensors_of_other_models_are_what_they_were(name):
    on_meta = Backend(device="meta")
    for network, wanted in zip((VideoUNet, AppearNet), KEYS[name], strict=True):
        state = network(PRESETS[name].unet, on_meta).state_dict()
        lines = "\n".join(f"{key} {list(value.shape)}" for key, value in state.items())
        assert (len(state), hashlib.sha256(lines.encode()).hexdigest()[:16]) == wanted


def test_the_preset_has_the_published_size():
    """1.41 B parameters: what diffusers builds by default, which is how ModelScope's model is published."""
    with torch.device("meta"):
        published = UNet3DConditionModel().state_dict()
    found = VideoUNet(MODELSCOPE.unet, Backend(device="meta")).state_dict()
    own = {key: value.numel() for key, value in found.items() if not key.startswith(NEW)}
    assert own == {key: value.numel() for key, value in published.items()}
    assert sum(own.values()) == 1_411_233_860


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size_equality(record_property):
    """5.7 GB: both networks hold the same tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = randomised(UNet3DConditionModel())
    config = MODELSCOPE.unet
    unet = VideoUNet(config, Backend(device="meta"))
    new = {key: torch.zeros(value.shape) for key, value in unet.state_dict().items() if key.startswith(NEW)}
    unet.load_state_dict(new | state_of(model), assign=True)
    given = Inputs(3, 12, 10, config)
    found = deviation(given.run(unet.eval()), given.run(model))
    record_property("max|diff| / max|out|", f"{found:.1e}")
    print(f"max|diff| / max|out| = {found:.2e}")
    assert found <= 1e-4  # the bound; float32 over thrice the width of the small one
