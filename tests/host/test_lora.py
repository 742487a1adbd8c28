"""A LoRA that `microcinema train` wrote, in the host's own loader: the same weights as the standalone program's."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import CLOSE, FAR, Kit, apart, load, pictures, write_small

RANK, ALPHA = 2, 3.0
NAME = "zigzag é.safetensors"


@pytest.fixture(scope="module")
def kit(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return load(pack, pack_nodes, write_small(pack, tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def lora(kit: Kit) -> Path:
    """Parts beside every layer of the temporal ones, in the host's folder."""
    import folder_paths

    file, header = kit.core("checkpoint.lora_file"), kit.core("checkpoint.lora_header")
    network = kit.model.model.diffusion_model
    state = network.state_dict()
    generator, parts = torch.Generator().manual_seed(4), {}
    for name in sorted(kit.core("models.unet").temporal_parameters(network)):
        if name.endswith(".weight") and state[name].ndim > 1:
            outputs, inputs, *kernel = state[name].shape
            down = torch.randn(RANK, inputs, *kernel, generator=generator)
            up = 0.1 * torch.randn(outputs, RANK, *(1 for _ in kernel), generator=generator)
            parts[name.removesuffix(".weight")] = file.Part(down, up)
    layout = header.layout_of({name: value.shape for name, value in state.items()})
    path = Path(folder_paths.get_folder_paths("loras")[0]) / NAME
    file.save_lora_file(path, header.LoraHeader("small", layout, RANK, ALPHA), parts)
    return path


def hosts(kit: Kit, strength: float) -> Any:
    import nodes

    with torch.inference_mode():
        return nodes.LoraLoaderModelOnly().load_lora_model_only(kit.model, NAME, strength)[0]


def ours(kit: Kit, lora: Path, strength: float) -> dict[str, torch.Tensor]:
    """The weights that change, as the standalone program has them."""
    file, addition = kit.core("checkpoint.lora_file"), kit.core("checkpoint.addition").Addition(lora, strength)
    return {key: stored.read() for key, stored in file.merged(file.unet_of(kit.path), kit.path, [addition]).items()}


@pytest.mark.parametrize("strength", [1.0, 0.25, -1.5])
def test_the_hosts_patched_weights_are_ours(
    kit: Kit, lora: Path, strength: float, caplog: pytest.LogCaptureFixture
) -> None:
    import comfy.lora

    model = hosts(kit, strength)
    assert "lora key not loaded" not in caplog.text
    state, wanted = model.model.state_dict(), ours(kit, lora, strength)
    assert {key.removeprefix("diffusion_model.") for key in model.patches} == set(wanted)
    for key, patches in model.patches.items():
        made = comfy.lora.calculate_weight(patches, state[key].clone(), key)
        assert apart(made, wanted[key.removeprefix("diffusion_model.")]) < 1e-6, key  # one rounding of float32


def test_the_hosts_clips_are_ours(kit: Kit, lora: Path) -> None:
    """At 0 nothing changes; at 1 a clip is that of a model whose file has the LoRA merged in."""
    prompts, latent = kit.encode(pictures(1)), kit.prior(pictures(1))
    plain = kit.ksampler(prompts, latent)
    assert torch.equal(kit.ksampler(prompts, latent, model=hosts(kit, 0.0)), plain)
    made = kit.ksampler(prompts, latent, model=hosts(kit, 1.0))
    form = kit.core("checkpoint.format")
    checkpoint = form.read_checkpoint(kit.path)
    checkpoint.sections["unet"] |= ours(kit, lora, 1.0)
    path = kit.path.with_name("merged.safetensors")
    form.save_checkpoint_file(path, checkpoint, torch.float32)
    merged = load(kit.pack, kit.nodes, path)
    assert apart(made, merged.ksampler(prompts, latent)) < CLOSE
    assert apart(made, plain) > FAR


def test_a_lora_given_as_a_model_is_named(kit: Kit, lora: Path) -> None:
    with pytest.raises(Exception, match=r"is a LoRA, which changes a model; .*in ComfyUI to Load LoRA"):
        load(kit.pack, kit.nodes, lora)
