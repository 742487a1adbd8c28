"""Sampling that stops being numbers is an error at its step, not a black clip."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint, save_checkpoint_file
from microcinema_core.diffusion.samplers import sample
from microcinema_core.errors import InputError
from microcinema_core.standalone.pipeline import MicroCinemaPipeline


def overflowing(weights: Path, folder: Path, name: str, section: str, key: str) -> Path:
    """A file of finite weights with one tensor whose results are beyond float32; its companions beside it."""
    for path in weights.glob("*.safetensors"):
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / name
    checkpoint = read_checkpoint(path)
    state = checkpoint.sections[section]
    huge = replace(
        checkpoint, sections=checkpoint.sections | {section: state | {key: torch.full(state[key].shape, 1e37)}}
    )
    save_checkpoint_file(path, huge, torch.float32)
    return folder / "toybox-video.safetensors"


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m", "diffusers:unipc", "diffusers:heun"])
@pytest.mark.parametrize("section", ["unet", "appearnet"])
def test_weights_that_overflow(
    weights: Path, tmp_path: Path, section: str, sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = overflowing(weights, tmp_path, "toybox-video.safetensors", section, "conv_in.weight")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "key.png")
    args = ["animate", f"--image={tmp_path / 'key.png'}", "--prompt=a star", f"--model={model}", "--steps=3"]
    code = cli.run([*args, f"--out={tmp_path / 'clip.mp4'}", f"--sampler={sampler}", "--passes=0", "--frames=3"])
    assert code == cli.WRONG_INPUT
    line = capfd.readouterr().err
    assert "the latents became NaN or infinite at step 1 of " in line
    assert line.count("\n") == 1
    assert not list(tmp_path.glob("clip*"))


def test_interpolation_that_overflows(weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = overflowing(weights, tmp_path, "toybox-tsr.safetensors", "unet", "conv_in.weight")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "key.png")
    args = ["animate", f"--image={tmp_path / 'key.png'}", "--prompt=a star", f"--model={model}", "--steps=1"]
    assert cli.run([*args, f"--out={tmp_path / 'clip.mp4'}", "--passes=1", "--frames=3"]) == cli.WRONG_INPUT
    assert "the latents became NaN or infinite at step 1 of " in capfd.readouterr().err
    assert not (tmp_path / "clip.mp4").exists()


def test_the_step_is_said() -> None:
    def denoise(y: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return y / 0 if sigma < 2 else torch.zeros_like(y)

    with pytest.raises(InputError, match=r"at step 3 of 4; lower cfg"):
        sample("euler", denoise, torch.ones(1, 4, 1, 2, 2), torch.tensor([8.0, 4.0, 1.0, 0.5, 0.0]))


def test_pictures_that_overflow(weights: Path) -> None:
    pipeline = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")
    with pytest.raises(InputError, match="its autoencoder made NaN or infinity"):
        pipeline.bundle.decode(torch.full((1, 4, 1, 8, 8), torch.nan))
