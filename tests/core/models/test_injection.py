"""Appearance, gates, the temporal layers' maps and what a host can exchange: checked against plain formulas."""

import importlib.util
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microcinema_core import backend as backend_module
from microcinema_core.backend import Backend, attention_named, sdpa
from microcinema_core.config import Injection, Positions, UNetConfig
from microcinema_core.errors import InputError
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.embedding import Turns, rotate
from microcinema_core.models.guide import Guide
from microcinema_core.models.injection import Appearance, add_appearance, denormalise
from microcinema_core.models.temporal import TemporalConv, TemporalTransformer
from microcinema_core.models.unet import VideoUNet

EVERY_MODE = pytest.mark.parametrize("injection", list(Injection))
EXACT = {"rtol": 0, "atol": 1e-12}  # float64 rounds at 1e-16; sums of a few thousand terms of size 1 to 10
TOKENS = 5
SMALL = UNetConfig(
    block_out_channels=(16, 32),
    layers_per_block=1,
    attention_levels=(False, True),
    attention_heads=(2, 4),
    cross_attention_dim=12,
    norm_groups=4,
    temporal_head_dim=8,
    pooled_text=True,
    spade_hidden=4,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def networks(config: UNetConfig = SMALL, backend: Backend | None = None) -> tuple[VideoUNet, AppearNet]:
    """Random weights everywhere, gates and injection included; float64, so that equal means equal."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet, appearnet = VideoUNet(config, backend), AppearNet(config, backend, text_length=TOKENS)
    if config.injection is not Injection.CONCAT:
        appearnet.null_context.copy_(normal(1, TOKENS, config.cross_attention_dim, seed=9))
    return unet.double().eval(), appearnet.double().eval()


class Given:
    """A batch: frames, noise levels, prompts and frame times all differ."""

    def __init__(self, clips: int = 2, frames: int = 3, height: int = 8, width: int = 6) -> None:
        self.x = normal(clips, 4, frames, height, width)
        self.t = torch.tensor([700.0, 90.0, 400.0, 5.0], dtype=torch.float64)[:clips]
        self.context = normal(clips, TOKENS, SMALL.cross_attention_dim, seed=1)
        self.z_c = normal(clips, 4, 1, height, width, seed=2)
        self.frame_time = normal(clips, frames, seed=3)

    @torch.no_grad()
    def run(self, unet: VideoUNet, appearance: Appearance | None) -> Tensor:
        return unet(self.x, self.t, self.context, appearance, self.frame_time)


def tensors(appearance: Appearance) -> dict[str, Tensor]:
    named = {f"add.{k}": v for k, v in appearance.add.items()} | {f"spade.{k}": v for k, v in appearance.spade.items()}
    return named if appearance.concat is None else named | {"concat": appearance.concat}


# Appearance


@EVERY_MODE
@torch.no_grad()
def test_one_latent_for_each_frame_equals_one_shared_by_all(injection):
    """Temporal super-resolution's form with equal frames is the keyframe's form."""
    unet, appearnet = networks(replace(SMALL, injection=injection))
    given = Given()
    shared, per_frame = appearnet(Guide(given.z_c)), appearnet(Guide(given.z_c.expand(-1, -1, 3, -1, -1)))
    assert {v.shape[1] for v in tensors(shared).values()} == {1}
    assert {v.shape[1] for v in tensors(per_frame).values()} == {3}
    torch.testing.assert_close(given.run(unet, per_frame), given.run(unet, shared), **EXACT)


@EVERY_MODE
@torch.no_grad()
def test_each_clip_and_frame_gets_its_own_appearance(injection):
    _, appearnet = networks(replace(SMALL, injection=injection))
    z_c = normal(2, 4, 3, 8, 6)
    together = tensors(appearnet(Guide(z_c)))
    for b in range(2):
        for i in range(3):
            alone = tensors(appearnet(Guide(z_c[b : b + 1, :, i : i + 1])))
            for name, value in together.items():
                torch.testing.assert_close(value[b, i], alone[name][0, 0], **EXACT)
    assert all((value[0, 0] - value[1, 2]).abs().max() > 1e-3 for value in together.values())


@EVERY_MODE
@torch.no_grad()
def test_guidance_branches_share_one_appearance(injection):
    """Appearance of B clips in a batch of 2B is the same as saying it twice."""
    unet, appearnet = networks(replace(SMALL, injection=injection))
    given, clips = Given(clips=4), Given(clips=2)
    appearance = appearnet(Guide(clips.z_c))
    twice = appearnet(Guide(torch.cat([clips.z_c, clips.z_c])))
    torch.testing.assert_close(given.run(unet, appearance), given.run(unet, twice), **EXACT)
    swapped = appearnet(Guide(clips.z_c.flip(0)))
    assert (given.run(unet, swapped) - given.run(unet, twice)).abs().max() > 1e-3


@EVERY_MODE
@torch.no_grad()
def test_appearance_reaches_the_output(injection):
    unet, appearnet = networks(replace(SMALL, injection=injection))
    given = Given()
    without = given.run(unet, None)
    assert (given.run(unet, appearnet(Guide(given.z_c))) - without).abs().max() > 1e-2 * without.abs().max()


@torch.no_grad()
def test_appearance_moves_as_a_whole():
    _, appearnet = networks()
    moved = appearnet(Guide(Given().z_c)).to(torch.device("cpu"), torch.float32)
    assert {v.dtype for v in tensors(moved).values()} == {torch.float32}


@torch.no_grad()
def test_add_decoder_leaves_the_encoder_alone():
    """Skips and the encoder's output stay; the middle and the decoder change."""
    unet, appearnet = networks(replace(SMALL, injection=Injection.ADD_DECODER))
    given, seen = Given(), {}
    for name in ("down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1"):
        unet.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.setdefault(name, []).append(out)
        )
    given.run(unet, None)
    appearance = appearnet(Guide(given.z_c))
    assert set(appearance.add) == {"mid", "up_0", "up_1"}
    given.run(unet, appearance)
    for name, (without, with_it) in seen.items():
        if name.startswith("down"):
            assert all(torch.equal(a, b) for a, b in zip(without, with_it, strict=True)), name
        else:
            assert not torch.equal(without, with_it), name


@torch.no_grad()
def test_concat_is_a_wider_first_convolution():
    unet, appearnet = networks(replace(SMALL, injection=Injection.CONCAT))
    given, plain = Given(), nn.Conv2d(8, 16, 3, padding=1).double()
    plain.weight.copy_(torch.cat([unet.conv_in.weight, appearnet.concat.weight], dim=1))
    plain.bias.copy_(unet.conv_in.bias + appearnet.concat.bias)
    wanted = given.run(unet, appearnet(Guide(given.z_c)))

    class Widened(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z_c = given.z_c.expand_as(given.x).transpose(1, 2).flatten(0, 1)
            return plain(torch.cat([x, z_c], dim=1))

    unet.conv_in = Widened()
    torch.testing.assert_close(given.run(unet, None), wanted, **EXACT)


# Formulas of injection


@pytest.mark.parametrize("frames_of_feature", [1, 3])
def test_denormalisation_is_eq_2_with_a_gate(frames_of_feature):
    """Two branches of guidance, two clips, three frames, each item by hand."""
    branches, clips, frames, channels = 2, 2, 3, 5
    h = normal(branches * clips * frames, channels, 4, 3)
    feature = normal(clips, frames_of_feature, 2 * channels, 4, 3, seed=1)
    gate = normal(branches * clips * frames, channels, 1, 1, seed=2)
    found = denormalise(h, feature, gate, frames)
    for n in range(len(h)):
        clip, frame = (n // frames) % clips, n % frames
        gamma, beta = feature[clip, min(frame, frames_of_feature - 1)].chunk(2)
        torch.testing.assert_close(found[n], (1 + gate[n] * gamma) * h[n] + gate[n] * beta, **EXACT)


@pytest.mark.parametrize("frames_of_feature", [1, 3])
def test_the_additive_term_is_gated(frames_of_feature):
    h, feature = normal(12, 5, 4, 3), normal(2, frames_of_feature, 5, 4, 3, seed=1)
    gate = normal(12, 5, 1, 1, seed=2)
    found = add_appearance(h, feature, gate, 3)
    for n in range(len(h)):
        term = feature[(n // 3) % 2, min(n % 3, frames_of_feature - 1)]
        torch.testing.assert_close(found[n], h[n] + gate[n] * term, **EXACT)


@torch.no_grad()
def test_gates_are_one_plus_w_times_the_frames_time_embedding():
    """A gate of -1 everywhere is appearance with the other sign; a gate of 0 is none at all."""
    unet, appearnet = networks()
    given = Given()
    appearance = appearnet(Guide(given.z_c))
    without = given.run(unet, None)
    negated = replace(
        appearance,
        add={name: -value for name, value in appearance.add.items()},
        spade={name: -value for name, value in appearance.spade.items()},
    )
    for layer in unet.gates.values():
        layer.weight.zero_()
    plain, inverse = given.run(unet, appearance), given.run(unet, negated)

    class Constant(nn.Module):
        def __init__(self, value: float, channels: int) -> None:
            super().__init__()
            self.value, self.channels = value, channels

        def forward(self, emb: Tensor) -> Tensor:
            assert emb.shape == (2 * 3, SMALL.time_embed_dim)  # one for each frame
            return torch.full((len(emb), self.channels), self.value, dtype=emb.dtype)

    for value, wanted in ((0.0, plain), (-2.0, inverse), (-1.0, without)):
        for name, layer in list(unet.gates.items()):
            channels = layer.channels if isinstance(layer, Constant) else layer.weight.shape[0]
            unet.gates[name] = Constant(value, channels)
        torch.testing.assert_close(given.run(unet, appearance), wanted, **EXACT)


# Frames


@pytest.mark.parametrize(("height", "width"), [(8, 6), (5, 9), (7, 7), (1, 3)])
@pytest.mark.parametrize("frames", [1, 4])
@EVERY_MODE
@torch.no_grad()
def test_any_size_and_number_of_frames(injection, frames, height, width):
    config = replace(SMALL, injection=injection, block_out_channels=(16, 16, 32), attention_levels=(False, True, True),
                     attention_heads=(2, 2, 4))  # fmt: skip
    unet, appearnet = networks(config)
    given = Given(2, frames, height, width)
    out = given.run(unet, appearnet(Guide(given.z_c)))
    assert out.shape == given.x.shape
    assert out.isfinite().all()


@torch.no_grad()
def test_frame_time_may_be_shared_by_all_clips():
    unet, appearnet = networks()
    given = Given()
    appearance, times = appearnet(Guide(given.z_c)), given.frame_time[0]
    shared = unet(given.x, given.t, given.context, appearance, times)
    torch.testing.assert_close(shared, unet(given.x, given.t, given.context, appearance, times.expand(2, 3)), **EXACT)
    assert (shared - given.run(unet, appearance)).abs().max() > 1e-3
    one_time = unet(given.x, given.t[0], given.context, appearance, times)
    torch.testing.assert_close(
        one_time, unet(given.x, given.t[:1].expand(2), given.context, appearance, times), **EXACT
    )


@torch.no_grad()
def test_frame_time_can_be_left_out_of_the_model():
    unet, appearnet = networks(replace(SMALL, frame_time=False))
    assert not any(name.startswith("frame_time") for name in unet.state_dict())
    given = Given()
    appearance = appearnet(Guide(given.z_c))
    assert torch.equal(given.run(unet, appearance), unet(given.x, given.t, given.context, appearance))


def change_of_other_frames(unet: VideoUNet, appearance: Appearance) -> float:
    """How much the other frames' output moves when frame 1 is another one."""
    given = Given()
    before = given.run(unet, appearance)
    given.x[:, :, 1] = normal(*given.x[:, :, 1].shape, seed=7)
    return (given.run(unet, appearance) - before)[:, :, [0, 2]].abs().max().item()


@torch.no_grad()
def test_only_the_temporal_layers_mix_frames():
    unet, appearnet = networks()
    appearance = appearnet(Guide(Given().z_c))
    assert change_of_other_frames(unet, appearance) > 1e-3
    for module in unet.modules():
        if isinstance(module, TemporalConv | TemporalTransformer):
            module.register_forward_hook(lambda _, given, __: given[0])
    assert change_of_other_frames(unet, appearance) == 0


@pytest.mark.parametrize("positions", list(Positions))
@torch.no_grad()
def test_attention_without_positions_does_not_know_the_order_of_frames(positions):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = TemporalTransformer(16, replace(SMALL, temporal_positions=positions), Backend()).double()
    x = normal(2, 5, 16, 3, 2)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = layer(x[:, order].flatten(0, 1), 5).unflatten(0, (2, 5))
    found = (permuted - layer(x.flatten(0, 1), 5).unflatten(0, (2, 5))[:, order]).abs().max()
    assert found < 1e-12 if positions is Positions.NONE else found > 1e-4


def test_rotary_scores_depend_on_the_distance_of_frames_alone():
    q, k = (normal(1, 1, 3 * 8, seed=seed).expand(1, 7, -1) for seed in (0, 1))
    q, k = (rotate(x, 3, Turns.of(7, 8, x)).unflatten(-1, (3, 8)) for x in (q, k))
    scores = torch.einsum("bihd,bjhd->hij", q, k)
    # Angles are made in float32, which rounds 6 rad at 4e-7.
    torch.testing.assert_close(scores[:, 1:, 1:], scores[:, :-1, :-1], rtol=0, atol=1e-5)
    assert (scores[:, 0, 1:] - scores[:, 0, :-1]).abs().min() > 1e-3
    torch.testing.assert_close(q.norm(dim=-1), q[:, :1].norm(dim=-1).expand(1, 7, 3), **EXACT)


def test_rotary_leaves_the_first_frame_alone_and_turns_pairs():
    x = normal(1, 3, 4)
    found = rotate(x, 1, Turns.of(3, 4, x))
    assert torch.equal(found[:, 0], x[:, 0])
    for pair, angle in ((0, 2.0), (1, 2.0 * 10000**-0.5)):
        turned = torch.view_as_complex(torch.stack([x[0, 2, pair], x[0, 2, pair + 2]])) * torch.tensor(1j * angle).exp()
        torch.testing.assert_close(found[0, 2, pair::2], torch.view_as_real(turned), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_temporal_convolution_of_large_frames_is_that_of_small_ones_and_has_its_hook():
    """A low-rank part that is learning is a forward hook of the layer."""
    conv, x = TemporalConv(6, Backend()).double(), normal(10, 6, 20, 15)
    conv.taps.weight.copy_(normal(*conv.taps.weight.shape, seed=1))
    assert conv._plain(x)
    torch.testing.assert_close(conv(x, 5), conv._in_place(x, 5), **EXACT)
    before = conv(x, 5)
    conv.taps.register_forward_hook(lambda layer, given, made: made + 1)
    torch.testing.assert_close(conv(x, 5), conv._out_of_place(x, 5), **EXACT)
    assert (conv(x, 5) - before).abs().min() > 1.9  # two taps at an end, else three


@pytest.mark.parametrize("frames", [1, 2, 5])
@torch.no_grad()
def test_the_temporal_convolution_is_conv1d(frames):
    conv = TemporalConv(6, Backend()).double()
    plain = nn.Conv1d(6, 6, 3, padding=1, bias=False).double()
    plain.weight.copy_(torch.stack(conv.taps.weight[:, :, 0, 0].chunk(3), dim=-1))
    x = normal(2, frames, 6, 4, 3)
    sequences = x.permute(0, 3, 4, 2, 1).flatten(0, 2)  # [B*H*W, C, T]
    wanted = x + plain(sequences).unflatten(0, (2, 4, 3)).permute(0, 4, 3, 1, 2)
    torch.testing.assert_close(conv(x.flatten(0, 1), frames), wanted.flatten(0, 1), **EXACT)


@torch.no_grad()
def test_norm_over_frames_is_the_papers_3d_group_norm():
    unet, appearnet = networks(replace(SMALL, norm_over_frames=True))
    per_frame, _ = networks()
    per_frame.load_state_dict(unet.state_dict())
    given = Given()
    appearance = appearnet(Guide(given.z_c))
    assert (given.run(unet, appearance) - given.run(per_frame, appearance)).abs().max() > 1e-3
    seen = {}
    unet.conv_norm_out.register_forward_hook(lambda _, args, out: seen.update(given=args[0], out=out))
    given.run(unet, appearance)
    assert seen["given"].shape == (2, 16, 3, 8, 6)
    groups = seen["out"].reshape(2, 4, -1)  # every frame of a clip in one statistic; weights are 1, biases 0
    torch.testing.assert_close(groups.mean(-1), torch.zeros(2, 4, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(groups.var(-1, correction=0), torch.ones(2, 4, dtype=torch.float64), rtol=0, atol=1e-2)


# What a host exchanges


class Stored(nn.Module):
    """A host's way with layers: weights kept in half precision and cast to the activations as they are used."""

    def cast(self, x: Tensor) -> dict[str, Tensor | None]:
        return {name: None if p is None else p.to(x) for name, p in self._parameters.items()}


class Linear(Stored, nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, **self.cast(x))


class Conv2d(Stored, nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, **self.cast(x))


class GroupNorm(Stored, nn.GroupNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_groups, eps=self.eps, **self.cast(x))


class LayerNorm(Stored, nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, eps=self.eps, **self.cast(x))


HOST = SimpleNamespace(Linear=Linear, Conv2d=Conv2d, GroupNorm=GroupNorm, LayerNorm=LayerNorm)


@EVERY_MODE
@torch.no_grad()
def test_every_layer_with_weights_comes_from_the_hosts_operations(injection):
    """So a host can cast, offload or quantise all of them; here the weights are half, the activations float64."""
    config = replace(SMALL, injection=injection, linear_projection=injection is Injection.ADD_BOTH)
    plain = networks(config)
    with torch.random.fork_rng():
        hosted = VideoUNet(config, Backend(HOST)), AppearNet(config, Backend(HOST), text_length=TOKENS)
    for ours, theirs in zip(plain, hosted, strict=True):
        holders = [m for m in theirs.modules() if m._parameters and not isinstance(m, Stored)]
        assert holders == []
        theirs.half().load_state_dict(ours.state_dict())
        ours.load_state_dict(theirs.state_dict())
    given = Given()
    found = given.run(hosted[0], hosted[1](Guide(given.z_c)))
    torch.testing.assert_close(found, given.run(plain[0], plain[1](Guide(given.z_c))), **EXACT)


@torch.no_grad()
def test_dtype_and_device_reach_every_layer():
    for network in (VideoUNet(SMALL, Backend(dtype=torch.bfloat16, device="meta")),
                    AppearNet(SMALL, Backend(dtype=torch.bfloat16, device="meta"))):  # fmt: skip
        state = network.state_dict().values()
        assert {value.dtype for value in state} == {torch.bfloat16}
        assert {value.device.type for value in state} == {"meta"}


@torch.no_grad()
def test_every_attention_goes_through_the_given_function():
    calls = []

    def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        calls.append((q.shape, k.shape, heads))
        return sdpa(q, k, v, heads)

    given = Given()
    unet, appearnet = networks(backend=Backend(attention=attention))
    found = given.run(unet, appearnet(Guide(given.z_c)))
    plain = networks()
    torch.testing.assert_close(found, given.run(plain[0], plain[1](Guide(given.z_c))), **EXACT)
    # 8x6 latents: 4x3 at the level with attention. Three spatial transformers in AppearNet's and the main encoder, the
    # middle and two in the decoder; AppearNet sees one frame of each of two clips, the main branch three.
    n, heads = 4 * 3, 4
    appearnet_calls = [((2, n, 32), (2, n, 32), heads), ((2, n, 32), (2, TOKENS, 32), heads)] * 2
    spatial = [((6, n, 32), (6, n, 32), heads), ((2, 3 * n, 32), (2, TOKENS, 32), heads)]
    temporal = [((2 * n, 3, 32), (2 * n, 3, 32), 32 // SMALL.temporal_head_dim)]
    assert calls == appearnet_calls + (spatial + temporal) * 4


@pytest.mark.parametrize("keys", [1, 9, backend_module.SHORT, backend_module.SHORT + 1])
def test_attention_on_short_sequences_is_pytorchs(keys):
    q, k, v = (normal(3, n, 4 * 8, seed=n).float() for n in (11, keys, keys))
    split = [x.unflatten(-1, (4, 8)).transpose(1, 2) for x in (q, k, v)]
    wanted = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
    # float32 rounds weights that sum to 1 at 6e-8 each, values reach 4.
    torch.testing.assert_close(sdpa(q, k, v, 4), wanted, rtol=0, atol=1e-6)


def test_attention_is_chosen_by_name(monkeypatch):
    assert attention_named("sdpa") is sdpa
    with pytest.raises(InputError, match="'flash' is unknown; choose sdpa or xformers"):
        attention_named("flash")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="xformers is not installed; pip install xformers, or use sdpa"):
        attention_named("xformers")


@EVERY_MODE
@torch.no_grad()
def test_channels_last_memory_gives_the_same(injection):
    unet, appearnet = networks(replace(SMALL, injection=injection))
    given = Given()
    wanted = given.run(unet, appearnet(Guide(given.z_c)))
    unet.to(memory_format=torch.channels_last), appearnet.to(memory_format=torch.channels_last)
    torch.testing.assert_close(given.run(unet, appearnet(Guide(given.z_c))), wanted, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("injection", list(Injection))
@torch.no_grad()
def test_both_networks_compile_as_one_graph_each(injection):
    """Graph capture alone, with no compiler behind it: what breaks a graph breaks here."""
    torch.compiler.reset()
    unet, appearnet = networks(replace(SMALL, injection=injection))
    given = Given()
    wanted = given.run(unet, appearnet(Guide(given.z_c)))
    graph, appearance_graph = (
        torch.compile(m, fullgraph=True, backend="eager", dynamic=False) for m in (unet, appearnet)
    )
    torch.testing.assert_close(given.run(graph, appearance_graph(Guide(given.z_c))), wanted, **EXACT)
