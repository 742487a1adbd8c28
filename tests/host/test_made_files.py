"""Files of `microcinema inflate` and `convert` in the real ComfyUI: all four outputs, and what is missing."""

import runpy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import InProcess
from made_files import LAYERS, Material, material
from nodes_kit import FRAMES, ROOT, Kit, load, pictures, standalone

PROMPTS = ("", "A red star moves left slowly", "a (very:1.3) red star, ünder «clouds» " * 3)


@pytest.fixture(scope="module")
def made(pack: ModuleType, in_process: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Material]:
    """Removed at the end: 1.5 GB."""
    found = material(pack, in_process.tree, tmp_path_factory.mktemp("made"))
    yield found
    shutil.rmtree(found.folder)


@pytest.fixture(scope="module")
def inflated(made: Material, pack_nodes: dict[str, type]) -> Kit:
    path = made.inflated(made.stable_diffusion(), "sd21-video.safetensors", tokenizer=made.vocabulary)
    return load(made.pack, pack_nodes, path)


@pytest.fixture(scope="module")
def converted(made: Material, pack_nodes: dict[str, type]) -> Kit:
    return load(made.pack, pack_nodes, made.converted(made.text_to_video(), "modelscope-video.safetensors"))


@pytest.fixture(params=["inflated", pytest.param("converted", marks=pytest.mark.slow)])
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.getfixturevalue(request.param)
    return found


def test_a_clip_equals_the_standalone_programs(kit: Kit) -> None:
    """Load MicroCinema, AppearNet Encode, KSampler, VAE Decode, on the file's own four parts."""
    keyframes = pictures(1)
    prompts, latent = kit.encode(keyframes), kit.prior(keyframes)
    ours = kit.ksampler(prompts, latent)
    theirs = standalone(kit, keyframes, prompts, latent, 3, 2.0)()
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    other = kit.ksampler(kit.encode(keyframes, "A blue circle grows"), latent)
    assert (ours - other).abs().max() > 1e-3 * ours.abs().max()  # the prompt arrives
    with torch.inference_mode():
        frames = kit.vae.decode(ours)
    assert frames.shape == (FRAMES, 32, 40, 3)
    assert frames.isfinite().all()
    assert frames.std() > 0.01


def test_the_clip_is_the_hosts_own_of_stable_diffusion_2(made: Material, kit: Kit) -> None:
    """Its penultimate layer, its padding with the token 0, its emphasis in brackets: as CLIPLoader would give them."""
    import comfy.sd
    import comfy.text_encoders.sd2_clip as sd2
    import comfy.utils
    from comfy.supported_models_base import ClipTarget

    state = {f"x.{key}": value for key, value in made.text.items()}
    state = comfy.utils.clip_text_transformers_convert(state, "x.", "clip_h.transformer.")
    sizes = {"clip_h_model_config": {"num_hidden_layers": LAYERS}}
    theirs = comfy.sd.CLIP(
        ClipTarget(sd2.SD2Tokenizer, sd2.SD2ClipModel), state_dict=[state], model_options=sizes, parameters=1
    )
    missing, unexpected = theirs.load_sd(state, full_model=True)
    assert not [key for key in (*missing, *unexpected) if "logit_scale" not in key]
    other = replace(kit, clip=theirs)
    for prompt in PROMPTS:
        [[found, _]], [[wanted, _]] = kit.text(prompt), other.text(prompt)
        assert found.shape == wanted.shape
        assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max(), prompt


def test_the_vae_is_the_hosts_own(made: Material, kit: Kit) -> None:
    import comfy.sd

    theirs, latents = comfy.sd.VAE(sd=dict(made.autoencoder)), torch.randn(2, 4, 4, 5)
    with torch.inference_mode():
        assert torch.equal(kit.vae.decode(latents), theirs.decode(latents))
        assert torch.equal(kit.vae.encode(pictures(1)), theirs.encode(pictures(1)))
        assert type(kit.model.model.latent_format).__name__ == "SD15"  # whose preview colours and TAESD apply


def assert_missing(kit: Kit, part: str, lacks: str) -> None:
    with pytest.raises(AttributeError) as refused:
        kit.vae.encode(pictures(1)) if part == "VAE" else kit.clip.tokenize("")
    said = str(refused.value)
    assert said.startswith(f"Load MicroCinema: there is no {part}: "), said
    assert f"{kit.path}: holds no {lacks}" in said, said
    assert f"take {part} from another node" in said, said


@pytest.mark.parametrize("command", ["inflate", "convert"])
@pytest.mark.slow
def test_what_a_file_was_made_without_is_taken_from_another_node(
    made: Material, inflated: Kit, pack_nodes: dict[str, type], command: str
) -> None:
    """A U-Net alone, and a text encoder without its vocabulary: MODEL works with the CLIP and the VAE of others."""
    encoder = made.saved({f"cond_stage_model.model.{key}": v for key, v in made.text.items()}, "text.safetensors")
    if command == "inflate":
        path = made.inflated(made.stable_diffusion(bare=True), "bare-video.safetensors", text_encoder=encoder)
    else:
        path = made.converted(made.text_to_video(bare=True), "zeroscope-video.safetensors", text_encoder=encoder)
    bare = load(made.pack, pack_nodes, path)
    assert_missing(bare, "VAE", "vae")
    assert_missing(bare, "CLIP", "text_encoder")
    whole: Any = replace(bare, clip=inflated.clip, vae=inflated.vae)
    keyframes = pictures(1)
    latent = whole.prior(keyframes)
    made, other = (whole.ksampler(whole.encode(keyframes, text), latent, steps=1) for text in ("a star", "a circle"))
    assert made.isfinite().all()
    assert (made - other).abs().max() > 1e-3 * made.abs().max()  # the prompt arrives


WRONG = {
    "LoRA": "LoRA weights;",
    "SD 2.1": "Stable Diffusion 2.x checkpoint, single file (CompVis layout); `microcinema inflate` makes",
    "SDXL": "Stable Diffusion XL checkpoint, single file (CompVis layout);",
    "VAE": "Stable Diffusion autoencoder (CompVis layout);",
    "ModelScope": "ModelScope-like text-to-video U-Net (diffusers' UNet3D); `microcinema convert` makes",
    "AnimateDiff": "AnimateDiff motion module;",
    "SVD": "Stable Video Diffusion-like U-Net;",
    "Wan": "Wan-like video transformer;",
    "half": "is a truncated or damaged safetensors file",
    "pickle": "is a pickle (.ckpt, .pt), which can run code when opened and is never loaded",
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_named_for_what_it_is(pack_nodes: dict[str, type], tmp_path: Path, kind: str) -> None:
    """As in tests/core/importers/test_wrong_files.py, of Load MicroCinema."""
    import folder_paths

    write = runpy.run_path(str(ROOT / "tests" / "core" / "importers" / "wrong_files.py"))["write"]
    path = Path(folder_paths.models_dir) / "microcinema" / "wrong.safetensors"
    shutil.copy(write(kind, tmp_path), path)
    try:
        with pytest.raises(Exception, match="Load MicroCinema: ") as refused:
            pack_nodes["MicroCinemaLoad"].execute(file=path.name)
    finally:
        path.unlink()
    said = str(refused.value)
    assert f"{path}: " in said
    assert WRONG[kind] in said, said
    assert "other models have loaders of their own" in said
