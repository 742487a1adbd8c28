"""A MODEL of Stable Diffusion 2.1's layout in the real ComfyUI: the same layers, few channels, random weights."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import Kit, load, pictures, standalone, write_small

AUTO = {"gamma": "auto"}
# Head sizes follow from the channels; 96 is the width of Toybox's texts.
FEW_CHANNELS = {
    "block_out_channels": (32, 64, 128, 128), "attention_heads": (1, 2, 4, 4), "cross_attention_dim": 96,
    "temporal_head_dim": 32, "spade_hidden": 8,
}  # fmt: skip
SD = {"eps": ("sd21_base", "sd"), "v": ("sd21", "sd"), "v-zsnr": ("sd21", "sd_zsnr")}
SIGMA_MAX = {"eps": 14.61, "v": 14.61, "v-zsnr": 4518.8}


@pytest.fixture(scope="module", params=list(SD))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def scaled(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory, kind: str) -> Kit:
    return load(pack, pack_nodes, write_scaled(pack, tmp_path_factory.mktemp(kind), kind))


def write_scaled(pack: ModuleType, folder: Path, kind: str) -> Path:
    config = importlib.import_module(f"{pack.__name__}.microcinema_core.config")
    name, schedule = SD[kind]
    base = config.preset(name)
    base = replace(base, diffusion=replace(base.diffusion, schedule=config.ScheduleName(schedule)))
    return write_small(pack, folder, base=base, **FEW_CHANNELS)


def shapes(module: Any) -> dict[str, int]:
    return {key: value.ndim for key, value in module.state_dict().items()}


def test_its_tensors_are_those_of_the_full_size(scaled: Kit) -> None:
    """Names and numbers of dimensions; only channels differ."""
    full = scaled.core("config").SD21.unet
    with torch.device("meta"):
        outline = scaled.core("models.unet").VideoUNet(full)
    assert shapes(scaled.model.model.diffusion_model) == shapes(outline)


def test_ksampler_equals_the_standalone_pipeline(scaled: Kit, kind: str) -> None:
    keyframes = pictures(1)
    prompts, latent = scaled.encode(keyframes), scaled.prior(keyframes, gamma=AUTO)
    sampling = scaled.model.get_model_object("model_sampling")
    assert float(sampling.sigma_max) == pytest.approx(SIGMA_MAX[kind], rel=1e-3)
    assert bool(latent["samples"].any()) == (kind != "v-zsnr")  # gamma: 0.02, and 0 where no signal is missing
    ours = scaled.ksampler(prompts, latent)
    theirs = standalone(scaled, keyframes, prompts, latent, 3, 2.0)()
    # Both hold samples of four sigma in float32, whose numbers lie 2e-3 apart there at a sigma of 4519: one step each.
    spacing = torch.finfo(torch.float32).eps * 4 * float(sampling.sigma_max)
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max() + 2 * spacing


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m_sde", "uni_pc"])
def test_samplers_and_preview(scaled: Kit, sampler: str) -> None:
    keyframes = pictures(2)
    prompts = scaled.encode(keyframes)
    made = scaled.sampler(keyframes, prompts, gamma=AUTO, sampler_name=sampler, scheduler="karras", steps=2)
    assert made.isfinite().all()
    assert type(scaled.model.model.latent_format).__name__ == "SD15"  # whose preview colours and TAESD apply


@pytest.mark.parametrize(("frames", "height", "width"), [(9, 40, 40), (17, 72, 128)])
def test_the_memory_that_the_host_is_asked_for(
    pack: ModuleType, pack_nodes: dict[str, type], frames: int, height: int, width: int
) -> None:
    """At Stable Diffusion 2.1's own size, in float16 and with attention that holds no scores, as GPUs have it.

    At least what is used, and at most twice that: more would keep weights off the device for nothing.
    """
    import comfy.ops

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{pack.__name__}.{name}")

    ledger = module("microcinema_core.training.ledger").Ledger
    half, operations, network = torch.float16, comfy.ops.disable_weight_init, module("nodes.network")
    options = {"optimized_attention_override": lambda kernel, q, k, v, heads, **others: torch.empty_like(q)}
    config = module("microcinema_core.config").SD21.unet
    attention = network.HostAttention()
    attention.transformer_options = options
    backend = module("microcinema_core.backend").Backend(operations, attention, half)
    with torch.inference_mode(), torch.device("meta"):
        appearnet = module("microcinema_core.models.appearnet").AppearNet(config, backend, text_length=77)
        unet = network.HostUNet(config, half, operations=operations)
        z_c = torch.empty(1, 4, 1, height, width, dtype=half)
        with ledger() as encoding:
            appearance = appearnet(module("microcinema_core.models.guide").Guide(z_c))
        rows = 2 * frames  # both branches of guidance
        x, context = torch.empty(rows, 4, height, width, dtype=half), torch.empty(rows, 77, 1024, dtype=half)
        clips = network.Clips(frames, appearance, torch.empty(rows))
        with ledger() as sampling:
            unet(x, torch.empty(rows), context, None, options, clips)
    asked = {
        encoding: module("nodes.appearance").memory_of(config, z_c, half),
        # The host's rule for such attention: 0.01 MiB for each byte of a number, position and frame.
        sampling: rows * height * width * 2 * 0.01 * module("nodes.model").HostConfig.memory_usage_factor * 2**20,
    }
    for used, given in asked.items():
        print(f"{frames} frames of {height}x{width}: {used.peak / 2**20:.0f} MiB, asked for {given / 2**20:.0f}")
        assert used.peak <= given <= 2 * used.peak
