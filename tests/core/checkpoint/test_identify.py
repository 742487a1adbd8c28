"""What `inspect` says of files: ours, those of others, and what is no model at all."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from microcinema_core.checkpoint.format import read_header
from microcinema_core.checkpoint.identify import identify
from microcinema_core.errors import CheckpointError

UNET = ("down_blocks.0.resnets.0.conv1.weight", "up_blocks.0.resnets.0.conv1.weight", "conv_in.weight")
ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
COMPVIS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"

FOREIGN = [
    ("Stable Diffusion 2.x U-Net (diffusers", {**dict.fromkeys(UNET, 4), ATTENTION: 1024}),
    ("Stable Diffusion 1.x checkpoint, single file", {COMPVIS: 768, "first_stage_model.encoder.conv_in.weight": 4}),
    ("Stable Diffusion XL U-Net (CompVis", {COMPVIS: 2048}),
    ("LoRA", {"unet.down_blocks.0.attn1.to_q.lora_A.weight": 8}),
    ("LoRA", {"lora_unet_down_blocks_0.alpha": 8}),
    ("ModelScope-like text-to-video", {**dict.fromkeys(UNET, 4), ATTENTION: 1024, "transformer_in.norm.weight": 4,
      "down_blocks.0.temp_convs.0.conv1.0.weight": 4}),
    ("ModelScope text-to-video", {"input_blocks.1.0.temopral_conv.conv1.0.weight": 4}),
    ("AnimateDiff", {"down_blocks.0.motion_modules.0.norm.weight": 4}),
    ("ControlNet", {"controlnet_cond_embedding.conv_in.weight": 4, "conv_in.weight": 4}),
    ("TAESD tiny autoencoder (ComfyUI", {"taesd_encoder.0.weight": 4}),
    ("TAESD tiny autoencoder (diffusers", {"encoder.layers.0.weight": 4, "decoder.layers.0.weight": 4}),
    ("TAESD tiny autoencoder, one half", {"1.conv.0.weight": 4}),
    ("autoencoder (diffusers", {"encoder.down_blocks.0.resnets.0.norm1.weight": 4, "post_quant_conv.weight": 4}),
    ("CLIP text encoder", {"text_model.encoder.layers.0.layer_norm1.weight": 4}),
    ("not known here (first: a.weight)", {"b.weight": 4, "a.weight": 4}),
]  # fmt: skip


@pytest.mark.parametrize(("title", "tensors"), FOREIGN, ids=[title for title, _ in FOREIGN])
def test_models_of_others_are_named(tmp_path: Path, title: str, tensors: dict[str, int]) -> None:
    save_file({key: torch.zeros(2, width, dtype=torch.float16) for key, width in tensors.items()}, tmp_path / "x.st")
    found = identify(tmp_path / "x.st")
    assert title in found.title
    assert found.details["parameters"] == f"{2 * sum(tensors.values()):,}"
    assert found.details["precision"] == "F16"


def test_ours_say_what_they_are(weights: Path) -> None:
    video = identify(weights / "toybox-video.safetensors")
    assert "video model" in video.title
    assert video.details["clips"] == "9 frames at 2 fps, 64x64"
    assert video.details["schedule"] == "cosine, v-prediction"
    assert video.details["noise prior"] == "lambda 0.03, gamma 0"
    assert video.details["needs for vae"] == "toybox-autoencoder.safetensors"
    assert video.details["provenance seed"] == "0"
    unet, appearnet = (int(video.details[name].split()[0].replace(",", "")) for name in ("unet", "appearnet"))
    assert unet > appearnet > 10_000
    titles = {
        stage: identify(weights / f"toybox-{stage}.safetensors").title for stage in ("autoencoder", "text", "image")
    }
    assert [word in titles[stage] for stage, word in zip(titles, ("autoencoder", "encoder", "image"), strict=True)]
    assert len(set(titles.values())) == 3


class Trap:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_pickles_are_named_and_not_opened(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    (tmp_path / "old.ckpt").write_bytes(pickle.dumps(trap))
    torch.save({"state_dict": {"w": torch.zeros(2)}, "trap": trap}, tmp_path / "new.ckpt")
    for name in ("old.ckpt", "new.ckpt"):
        assert "pickle" in identify(tmp_path / name).title
    assert not trap.path.exists()


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480])
def test_a_header_whose_length_begins_as_a_pickle_does_is_no_pickle(tmp_path: Path, length: int) -> None:
    """One header in 32 has such a length: they are multiples of 8."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode().ljust(length)
    (tmp_path / "half.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for read in (identify, read_header):
        with pytest.raises(CheckpointError, match="truncated or damaged safetensors"):
            read(tmp_path / "half.safetensors")


def test_folders_are_named(tmp_path: Path) -> None:
    index = {"_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    found = identify(tmp_path)
    assert found.title == "diffusers pipeline folder"
    assert found.details == {"class": "StableDiffusionXLPipeline", "parts": "unet"}


def test_the_unreadable_is_refused_with_a_reason(tmp_path: Path, weights: Path) -> None:
    whole = (weights / "toybox-video.safetensors").read_bytes()
    torch.save({"w": torch.zeros(2)}, tmp_path / "whole.pt")
    zipped = (tmp_path / "whole.pt").read_bytes()
    contents = {
        "truncated": whole[: len(whole) // 2],
        "truncated ": whole[:100],
        "damaged or truncated archive": zipped[: len(zipped) // 2],
        "not a safetensors": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "not a safetensors ": b"",
    }
    for reason, content in contents.items():
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(CheckpointError, match=reason.strip()):
            identify(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    for name, reason in (("missing", "does not exist"), ("folder", "model_index.json")):
        with pytest.raises(CheckpointError, match=reason):
            identify(tmp_path / name)
