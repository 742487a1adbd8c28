"""LoRA, ControlNet, noise levels, attention by stock nodes, on a MODEL of Stable Diffusion 2.1's layout, few channels.

Beside it stands the host's own model of that layout with the same spatial weights. Our temporal layers are at their
start, where each frame is what the image model makes of it: what a guest does to one it must do to the other.
"""

import importlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from loopback_only import ADDRESS_AT, is_loopback
from nodes_kit import CLOSE, FAR, FRAMES, Kit, apart, load, pictures, write_small
from safetensors.torch import save_file

SIZES = {
    "block_out_channels": (64, 64, 128, 128), "attention_heads": (1, 1, 2, 2), "cross_attention_dim": 96,
    "temporal_head_dim": 32, "spade_hidden": 8,
}  # fmt: skip
# The same in the host's words, as it detects Stable Diffusion 2.1 but for model_channels, channel_mult and context_dim.
LAYOUT = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 64, "channel_mult": [1, 1, 2, 2],
    "num_res_blocks": [2, 2, 2, 2], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "use_spatial_transformer": True,
    "use_linear_in_transformer": True, "context_dim": 96, "adm_in_channels": None, "legacy": False,
}  # fmt: skip
RANK = 2
NAME = "mein Stil é.safetensors"
ZERO = {"gamma": "value", "value": 0.0}


@pytest.fixture(autouse=True)
def no_connection() -> Iterator[None]:
    """Each try to reach another machine fails the test that makes it."""
    tried: list[object] = []
    watching = [True]

    def hook(event: str, arguments: tuple) -> None:
        if watching and event in ADDRESS_AT and not is_loopback(arguments[ADDRESS_AT[event]]):
            tried.append(arguments[ADDRESS_AT[event]])

    sys.addaudithook(hook)
    yield
    watching.clear()  # a hook cannot be removed
    assert not tried


@dataclass(frozen=True, slots=True)
class Pair:
    """Ours, the host's, and the host's name of each tensor that they share: diffusers' name -> host's own."""

    kit: Kit
    host: Any
    names: dict[str, str]

    def layers(self) -> dict[str, torch.Tensor]:
        """The weights that a LoRA may have parts for, by diffusers' name without `.weight`."""
        state = self.kit.model.model.diffusion_model.state_dict()
        weights = {name.removesuffix(".weight"): state[name] for name in self.names if name.endswith(".weight")}
        return {name: weight for name, weight in weights.items() if weight.ndim > 1}

    def sampled(self, model: Any, prompts: tuple, cfg: float = 2.0) -> torch.Tensor:
        return self.kit.ksampler(prompts, self.kit.prior(pictures(1), gamma=ZERO), model=model, steps=2, cfg=cfg)

    def ours(self, model: Any = None) -> torch.Tensor:
        return self.sampled(model or self.kit.model, self.prompts())

    def hosts(self, model: Any = None) -> torch.Tensor:
        return self.sampled(model or self.host, (self.kit.text("a star"), self.kit.text("")))

    def prompts(self) -> tuple:
        return self.kit.encode(pictures(1), "a star", strength=0.0)


@pytest.fixture(scope="module")
def pair(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    config = importlib.import_module(f"{pack.__name__}.microcinema_core.config").preset("sd21_base")
    base = replace(config, diffusion=replace(config.diffusion, prior_lambda=0.0))
    kit = load(pack, pack_nodes, write_small(pack, tmp_path_factory.mktemp("layout"), base=base, **SIZES))
    network = kit.model.model.diffusion_model
    with torch.inference_mode():
        kit.core("models.zero_start").zero_start_(network)
        return Pair(kit, *twin(network))


def twin(network: Any) -> tuple[Any, dict[str, str]]:
    """The host's model with this network's spatial weights, and the names of those."""
    import comfy.model_patcher
    import comfy.supported_models
    import comfy.utils

    config = comfy.supported_models.SD20(LAYOUT)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, device="cpu")
    wanted = model.diffusion_model.state_dict().keys()
    names = {ours: theirs for ours, theirs in comfy.utils.unet_to_diffusers(LAYOUT).items() if theirs in wanted}
    state = network.state_dict()
    model.diffusion_model.load_state_dict({theirs: state[ours] for ours, theirs in names.items()})  # strict
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu")), names


def kohya(layers: dict[str, torch.Tensor], prefix: str = "lora_unet_") -> dict[str, torch.Tensor]:
    """A LoRA file as kohya's trainer writes it, with parts for these layers; convolutions have LoCon's."""
    torch.manual_seed(4)
    file = {}
    for name, weight in layers.items():
        key = prefix + name.replace(".", "_")
        outputs, inputs, *kernel = weight.shape
        file[f"{key}.lora_up.weight"] = 0.1 * torch.randn(outputs, RANK, *(1 for _ in kernel))
        file[f"{key}.lora_down.weight"] = 0.1 * torch.randn(RANK, inputs, *kernel)
        file[f"{key}.alpha"] = torch.tensor(RANK / 2)
    return file


def stored(folder: str, tensors: dict[str, torch.Tensor]) -> str:
    """The file's name in that folder of the host's models, for its loaders."""
    import folder_paths

    path = Path(folder_paths.get_folder_paths(folder)[0]) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return NAME


def with_lora(tensors: dict[str, torch.Tensor], model: Any, clip: Any = None, strength: float = 1.0) -> tuple:
    import nodes

    name = stored("loras", tensors)
    with torch.inference_mode():
        if clip is None:
            return nodes.LoraLoaderModelOnly().load_lora_model_only(model, name, strength)
        return nodes.LoraLoader().load_lora(model, clip, name, strength, strength)


def patched(model: Any) -> dict[str, torch.Tensor]:
    """Each patched weight as the host makes it, by its name in the network."""
    import comfy.lora

    state = model.model.state_dict()
    with torch.inference_mode():
        return {
            key.removeprefix("diffusion_model."): comfy.lora.calculate_weight(patches, state[key].clone(), key)
            for key, patches in model.patches.items()
        }


def test_frames_are_those_of_the_hosts_own_model(pair: Pair) -> None:
    assert apart(pair.ours(), pair.hosts()) < CLOSE


def test_a_kohya_lora_does_what_it_does_to_the_hosts_model(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """One with parts for every spatial layer: all of them arrive, at the same values, and no other layer changes."""
    layers = pair.layers()
    kinds = (
        "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "attn2.to_v",
        "attn2.to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "time_emb_proj",
        "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "conv_in", "conv_out", "linear_1", "linear_2",
    )  # fmt: skip
    assert {kind for kind in kinds for name in layers if name.endswith(kind)} == set(kinds)
    with caplog.at_level(logging.WARNING):
        (ours,), (hosts,) = (with_lora(kohya(layers), model) for model in (pair.kit.model, pair.host))
    assert "lora key not loaded" not in caplog.text
    made, expected = patched(ours), patched(hosts)
    assert set(made) == {f"{name}.weight" for name in layers}
    temporal = pair.kit.core("models.unet").temporal_parameters(pair.kit.model.model.diffusion_model)
    assert temporal
    assert temporal.isdisjoint(made)
    for name, weight in made.items():
        assert torch.equal(weight, expected[pair.names[name]]), name
    changed, plain = pair.ours(ours), pair.ours()
    assert apart(changed, pair.hosts(hosts)) < CLOSE
    assert apart(changed, plain) > FAR
    print(f"{len(made)} layers patched; the clip differs by {apart(changed, plain):.2f} of its extreme")


@pytest.mark.parametrize("with_clip", [False, True])
def test_a_lora_at_strength_0_is_neutral(pair: Pair, with_clip: bool) -> None:
    clip = pair.kit.clip if with_clip else None
    model = with_lora(kohya(pair.layers()), pair.kit.model, clip, strength=0.0)[0]
    assert torch.equal(pair.ours(model), pair.ours())


TEXT_LAYERS = ("mlp.fc1", "mlp.fc2", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj")


def test_a_loras_part_for_the_text_encoder(pair: Pair) -> None:
    state = pair.kit.clip.cond_stage_model.state_dict()
    start, depth = "clip_l.transformer.", 3
    names = [f"text_model.encoder.layers.{number}.{kind}" for number in range(depth) for kind in TEXT_LAYERS]
    file = kohya({name: state[f"{start}{name}.weight"] for name in names}, "lora_te_")
    _, clip = with_lora(file, pair.kit.model, pair.kit.clip)
    assert set(clip.patcher.patches) == {f"{start}{name}.weight" for name in names}
    _, neutral = with_lora(file, pair.kit.model, pair.kit.clip, strength=1e-30)  # at 0 the host gives back the CLIP
    texts = [replace(pair.kit, clip=given).text("a star")[0][0] for given in (pair.kit.clip, clip, neutral)]
    assert apart(texts[1], texts[0]) > FAR
    assert torch.equal(texts[2], texts[0])


def renamed(file: dict[str, torch.Tensor], layers: dict[str, torch.Tensor], style: str) -> dict[str, torch.Tensor]:
    """The same LoRA under other programs' names."""
    ends = {
        "peft": (".lora_B.weight", ".lora_A.weight"),
        "diffusers": ("_lora.up.weight", "_lora.down.weight"),
        "generic": (".lora_up.weight", ".lora_down.weight"),
    }[style]
    made = {}
    for name in layers:
        key = {
            "peft": f"unet.{name}",
            "diffusers": f"unet.{name}".replace(".to_", ".processor.to_").replace("to_out.0", "to_out"),
            "generic": f"diffusion_model.{name}",
        }[style]
        start = "lora_unet_" + name.replace(".", "_")
        made[key + ends[0]], made[key + ends[1]] = file[f"{start}.lora_up.weight"], file[f"{start}.lora_down.weight"]
    return made


@pytest.mark.parametrize(("style", "ours", "hosts"), [("generic", 1, 0), ("peft", 0, 1), ("diffusers", 0, 1)])
def test_loras_of_other_formats(pair: Pair, style: str, ours: int, hosts: int) -> None:
    """Ours takes the layers' own names; diffusers' two formats reach the host's model alone: convert them to kohya's.

    PEFT's names of attention's layers reach not even that.
    """
    layers = pair.layers()
    file = renamed(kohya(layers), layers, style)
    (model,), (theirs,) = (with_lora(file, model) for model in (pair.kit.model, pair.host))
    inside = sum(".to_" in name for name in layers) if style == "peft" else 0
    assert len(model.patches) == ours * len(layers)
    assert len(theirs.patches) == hosts * (len(layers) - inside)


SAMPLINGS = [
    ("eps", False, True),
    ("eps", True, True),
    ("lcm", False, True),
    ("v_prediction", False, False),
    ("x0", False, False),
]


@pytest.mark.parametrize(("sampling", "zsnr", "allowed"), SAMPLINGS)
def test_another_schedule_is_allowed_and_another_prediction_is_not(
    pair: Pair, sampling: str, zsnr: bool, allowed: bool
) -> None:
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    (model,) = ModelSamplingDiscrete().patch(pair.kit.model, sampling, zsnr)
    (hosts,) = ModelSamplingDiscrete().patch(pair.host, sampling, zsnr)
    if allowed:
        assert apart(pair.ours(model), pair.hosts(hosts)) < CLOSE
        return
    with pytest.raises(Exception, match="ModelSamplingDiscrete makes the sampler read this MODEL as one of"):
        pair.ours(model)


@pytest.mark.parametrize(
    ("module", "name", "given"),
    [
        ("nodes_pag", "PerturbedAttentionGuidance", {"scale": 30.0}),
        ("nodes_nag", "NAGuidance", {"nag_scale": 5.0, "nag_alpha": 0.5, "nag_tau": 1.5}),
        ("nodes_sag", "SelfAttentionGuidance", {"scale": 0.5, "blur_sigma": 2.0}),
    ],
)
def test_guidance_by_replaced_attention_does_what_it_does_to_the_hosts_model(
    pair: Pair, module: str, name: str, given: dict[str, float]
) -> None:
    """At latents of 16x16: the lowest level is 2x2 then, where attention is none of one position only."""
    node = getattr(importlib.import_module(f"comfy_extras.{module}"), name)
    keyframe, kit = pictures(1, 128, 128), pair.kit
    latent = kit.prior(keyframe, gamma=ZERO)

    def sampled(model: Any, prompts: tuple) -> torch.Tensor:
        return kit.ksampler(prompts, latent, model=model, steps=2, cfg=2.0)

    ours, theirs = kit.encode(keyframe, "a star", strength=0.0), (kit.text("a star"), kit.text(""))
    made, expected = (
        sampled(node.execute(model, **given).result[0], prompts)
        for model, prompts in ((kit.model, ours), (pair.host, theirs))
    )
    assert apart(made, expected) < CLOSE
    assert apart(made, sampled(kit.model, ours)) > FAR


def test_attention_in_every_block_is_found_by_the_hosts_name(pair: Pair) -> None:
    """The host's model calls a replacement in as many blocks, with queries of the same shape and numbers."""
    seen: dict[str, list[tuple]] = {"ours": [], "hosts": []}
    places = [("middle", 0), *(("input", n) for n in range(1, 9)), *(("output", n) for n in range(12))]
    layout = [place for place in places if place not in [("input", 3), ("input", 6), ("input", 7), ("input", 8)]]
    layout = [place for place in layout if place not in [("output", n) for n in range(3)]]

    def model_of(model: Any, whose: str) -> Any:
        def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, extra: dict) -> torch.Tensor:
            seen[whose].append((extra["block"], q.shape, extra["n_heads"], float(q.abs().sum())))
            return v

        clone = model.clone()
        for place in layout:
            clone.set_model_attn1_replace(watched, *place)
        return clone

    pair.ours(model_of(pair.kit.model, "ours"))
    pair.hosts(model_of(pair.host, "hosts"))
    assert len(seen["ours"]) == len(seen["hosts"]) == 2 * len(layout)
    for mine, other in zip(seen["ours"], seen["hosts"], strict=True):
        assert mine[:3] == other[:3]
        assert mine[3] == pytest.approx(other[3], rel=FAR)


def test_attention_that_frames_share_cannot_be_replaced(pair: Pair) -> None:
    clone = pair.kit.model.clone()
    clone.set_model_attn1_replace(lambda q, k, v, extra: v, "middle", 0)
    prompts = pair.kit.encode(pictures(1), "a star", strength=0.0, share_attention=True)
    with pytest.raises(Exception, match="turn share_attention off, or take that node out"):
        pair.sampled(clone, prompts)
    clone.set_model_attn1_replace(lambda q, k, v, extra: v, "input", 3)
    with pytest.raises(Exception, match=r"acts inside the blocks of another network .attn1 of input 3"):
        pair.ours(clone)


def control_file() -> dict[str, torch.Tensor]:
    """A ControlNet of the layout with random weights, in the format of those for Stable Diffusion 2.1."""
    import comfy.cldm.cldm

    sizes = {key: value for key, value in LAYOUT.items() if key not in ("out_channels", "transformer_depth_output")}
    torch.manual_seed(3)
    net = comfy.cldm.cldm.ControlNet(hint_channels=3, num_head_channels=64, **sizes)
    return {key: torch.randn_like(value) * 0.05 for key, value in net.state_dict().items()}


def test_a_controlnet_does_what_it_does_to_the_hosts_model(pair: Pair) -> None:
    """Through the stock loader and node, with a picture for each frame; at strength 0 nothing changes."""
    import nodes

    with torch.inference_mode():
        net = nodes.ControlNetLoader().load_controlnet(stored("controlnet", control_file()))[0]
    hints = pictures(FRAMES)

    def controlled(prompts: tuple, strength: float) -> tuple:
        return nodes.ControlNetApplyAdvanced().apply_controlnet(*prompts, net, hints, strength, 0.0, 1.0)

    plain = pair.ours()
    assert torch.equal(pair.sampled(pair.kit.model, controlled(pair.prompts(), 0.0)), plain)
    changed = pair.sampled(pair.kit.model, controlled(pair.prompts(), 1.0))
    assert apart(changed, plain) > FAR
    expected = pair.sampled(pair.host, controlled((pair.kit.text("a star"), pair.kit.text("")), 1.0))
    assert apart(changed, expected) < CLOSE
