"""`animate --lora`: what it makes of a clip, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from animating import frames, refused, result, run
from PIL import Image

from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.checkpoint.lora_file import Part, save_lora_file
from microcinema_core.checkpoint.lora_header import LoraHeader, layout_of
from microcinema_core.standalone.pipeline import MicroCinemaPipeline

LAYER = "temporal_conv_out.taps"


@pytest.fixture
def model(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a picture and a LoRA that changes everything; the model's name."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), (200, 40, 40)).save("key.png")
    path = weights / "toybox-video.safetensors"
    unet = read_checkpoint(path).sections["unet"]
    outputs, inputs = unet[f"{LAYER}.weight"].shape[:2]
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, inputs, 1, 1, generator=generator), torch.randn(outputs, 2, 1, 1, generator=generator)
    header = LoraHeader("toybox", layout_of({key: value.shape for key, value in unet.items()}), 2, 2.0, "Spins round")
    save_lora_file("lora.safetensors", header, {LAYER: Part(down, up)})
    return str(path)


def asked(model: str, *more: str, prompt: str = "a star spins round") -> list[str]:
    return ["key.png", "--model", model, "--prompt", prompt, "--passes=0", "--frames=3", "--steps=1", *more]


def test_the_clip_changes_by_its_strength_and_says_so(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At 0 nothing changes; a note misses the words that the LoRA was taught with."""
    run(*asked(model, "--out=none/"))
    run(*asked(model, "--lora=lora.safetensors:0", "--out=zero/"))
    told, notes = result(capsys, *asked(model, *["--lora=lora.safetensors:0.5"] * 2, "--out=one/"))
    none, zero, one = (frames(f"{name}/*.png").astype(int) for name in ("none", "zero", "one"))
    assert (none == zero).all()
    assert abs(one - none).max() > 20
    assert told["loras"] == ["lora.safetensors:0.5"] * 2
    assert "was taught" not in notes
    _, notes = result(capsys, *asked(model, "--lora=lora.safetensors", "--out=two/", prompt="a star spins"))
    assert "lora.safetensors: was taught by sentences with 'Spins round', which the prompt does not say" in notes


def test_the_library_takes_it_and_leaves_the_second_model_alone(model: str) -> None:
    plain = MicroCinemaPipeline.from_pretrained(model)
    made = MicroCinemaPipeline.from_pretrained(
        model, loras=["lora.safetensors:0.5", Addition(Path("lora.safetensors"))]
    )
    assert plain.tsr is not None
    assert made.tsr is not None
    for one, other in ((plain.appearnet, made.appearnet), (plain.tsr.unet, made.tsr.unet)):
        states = one.state_dict(), other.state_dict()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    states = plain.bundle.networks.unet.state_dict(), made.bundle.networks.unet.state_dict()
    assert [key for key in states[0] if not torch.equal(states[0][key], states[1][key])] == [f"{LAYER}.weight"]
    assert plain.bundle.identity != made.bundle.identity


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lora=lora.safetensors:11"], "the strength '11' is no number between -10 and 10; give FILE:STRENGTH"),
        (["--lora=lora.safetensors:nan"], "the strength 'nan' is no number"),
        (["--lora=gone.safetensors"], "gone.safetensors: does not exist; give a LoRA of a video model"),
        (["--lora=key.png"], "key.png: "),
        (["--lora=lora.safetensors", "--out=lora.safetensors"], "lora.safetensors"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(
    model: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MicroCinemaPipeline, "from_pretrained", None)
    assert message in refused(capsys, *asked(model, "--out=clip.mp4", *words))
    assert "--lora is for a video model, and none was asked for" in refused(
        capsys, "key.png", "--lora=lora.safetensors", "--out=clip.mp4"
    )
