"""A file of Stable Diffusion 2.1's size, random weights in float16, in the real ComfyUI on a CPU."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import torch
from nodes_kit import WEIGHTS, Kit, load, pictures
from test_model import offloaded

pytestmark = pytest.mark.slow
GIB = 2**30
TOKENS = 77


@pytest.fixture(scope="module")
def file(pack: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As `microcinema inflate` lays it out, but with every tensor drawn at random; removed at the end: 3 GB."""
    core = f"{pack.__name__}.microcinema_core."
    form, config = (importlib.import_module(core + name) for name in ("checkpoint.format", "config"))
    unet = importlib.import_module(core + "models.unet").VideoUNet
    appearnet = importlib.import_module(core + "models.appearnet").AppearNet
    sd21 = config.SD21_BASE
    sections = {
        "unet": random_state(lambda: unet(sd21.unet)),
        "appearnet": random_state(lambda: appearnet(sd21.unet, text_length=TOKENS)),
    }
    path = tmp_path_factory.mktemp("full") / "sd21-video.safetensors"
    form.save_checkpoint_file(path, form.Checkpoint(form.Header(config.Kind.VIDEO, sd21), sections), torch.float16)
    yield path
    path.unlink()


def random_state(build: Any) -> dict[str, torch.Tensor]:
    """Values as large as a new network's: a norm's weights around 1, all others by their number of inputs."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        outline = build().state_dict()
    state = {}
    for key, value in outline.items():
        drawn = torch.randn(value.shape, generator=generator) * max(1, value[0].numel()) ** -0.5 * 0.7
        state[key] = (1 + 0.1 * drawn if value.ndim == 1 and key.endswith("weight") else drawn).half()
    return state


def loaded(pack: ModuleType, pack_nodes: dict[str, type], file: Path) -> Kit:
    """With Toybox's VAE, whose latents have as many channels, and its CLIP, whose texts `prompts` replaces."""
    toybox = load(pack, pack_nodes, WEIGHTS / "toybox-video.safetensors")
    return replace(load(pack, pack_nodes, file), vae=toybox.vae, clip=toybox.clip)


def prompts(kit: Kit, keyframes: torch.Tensor, frames: int) -> tuple:
    width = kit.appearnet.unet.cross_attention_dim
    texts = torch.randn(2, 1, TOKENS, width, generator=torch.Generator().manual_seed(2))
    return kit.encode(keyframes, positive=[[texts[0], {}]], negative=[[texts[1], {}]], frames=frames)


def test_one_step_at_full_size(pack: ModuleType, pack_nodes: dict[str, type], file: Path) -> None:
    """9 frames of 320x320 with guidance."""
    kit, keyframes = loaded(pack, pack_nodes, file), pictures(1, 320, 320)
    parameters = sum(weight.numel() for weight in kit.model.model.diffusion_model.parameters())
    made = kit.ksampler(prompts(kit, keyframes, 9), kit.prior(keyframes, 9), steps=1)
    used = psutil.Process().memory_info().rss / GIB
    print(f"{parameters / 1e6:.0f} M parameters, {used:.1f} GiB resident")
    assert parameters > 1e9
    assert made.shape == (9, 4, 40, 40)
    assert made.isfinite().all()
    assert used < 24


def test_partial_loading_and_float8(
    pack: ModuleType, pack_nodes: dict[str, type], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.model_management
    from comfy.patcher_extension import CallbacksMP

    keyframes, frames = pictures(1, 64, 64), 2
    kit = loaded(pack, pack_nodes, file)
    given, latent = prompts(kit, keyframes, frames), kit.prior(keyframes, frames)
    whole = kit.ksampler(given, latent, steps=1)
    partly = loaded(pack, pack_nodes, file).model
    partly.add_callback(CallbacksMP.ON_LOAD, with_little_memory)
    assert torch.equal(kit.ksampler(given, latent, steps=1, model=partly), whole)
    moved, layers = offloaded(partly)
    assert 0 < moved < layers
    comfy.model_management.unload_all_models()
    monkeypatch.setattr(comfy.model_management.args, "fp8_e4m3fn_unet", True)
    small = loaded(pack, pack_nodes, file)
    assert {w.dtype for w in small.model.model.diffusion_model.parameters()} == {torch.float8_e4m3fn}
    assert small.ksampler(given, latent, steps=1).isfinite().all()


def with_little_memory(patcher: Any, device: Any, memory: float, force: bool, full: bool) -> None:
    """A third of it resident, as on a small GPU; on a CPU the host loads everything whatever there is."""
    if full:
        patcher.load(device, lowvram_model_memory=patcher.model_size() // 3)
