"""A wrong file is named for what it is, with what to do instead, and nothing appears under the name asked for.

pytest tests/core/importers/test_wrong_files.py -v
"""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import save_file

from microcinema_core import cli
from microcinema_core.media import save_picture

wrong = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("wrong_files.py"))))
sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("sd_files.py"))))

SHARD = r"-00002-of-00002\.safetensors: this shard, which .*index\.json names, is missing; get it into that folder"
HALF = r"truncated or damaged safetensors file: 0\.3 of 0\.6 MB are there; get the file anew"
PICKLE = r"PyTorch pickle .*can run code when opened: never loaded here; get the model as \.safetensors"

GIVE_SD = "; give a Stable Diffusion 1.x or 2.x model"
INFLATE = {
    "LoRA": "something else: LoRA weights, in safetensors; give the model that it belongs to, and this file with --l",
    "SDXL": "is something else: Stable Diffusion XL checkpoint, single file (CompVis layout), in safetensors" + GIVE_SD,
    "VAE": "is something else: Stable Diffusion autoencoder (CompVis layout), in safetensors; a Stable Diffusion 1.x",
    "ModelScope": "ModelScope-like text-to-video U-Net (diffusers' UNet3D), in safetensors; `microcinema convert`",
    "AnimateDiff": "is something else: AnimateDiff motion module, in safetensors" + GIVE_SD,
    "SVD": "is something else: Stable Video Diffusion-like U-Net, in safetensors" + GIVE_SD,
    "CogVideoX": "is something else: CogVideoX-like video transformer, in safetensors" + GIVE_SD,
}
GIVE = "; give a ModelScope text-to-video model or a fine-tune of it, such as ZeroScope"
TAKES = ", without layers over time; `microcinema inflate` takes such models"
CONVERT = {
    "LoRA": "is something else: LoRA weights, in safetensors" + GIVE,
    "SD 2.1": "is a Stable Diffusion 2.x checkpoint, single file (CompVis layout), in safetensors" + TAKES,
    "SD 1.5": "is a Stable Diffusion 1.x checkpoint, single file (CompVis layout), in safetensors" + TAKES,
    "SDXL": "is something else: Stable Diffusion XL checkpoint, single file (CompVis layout), in safetensors" + GIVE,
    "VAE": "is something else: Stable Diffusion autoencoder (CompVis layout), in safetensors" + GIVE,
    "ModelScope's VAE": "is something else: Stable Diffusion autoencoder (diffusers layout), in safetensors" + GIVE,
    "AnimateDiff": "is something else: AnimateDiff motion module, in safetensors" + GIVE,
    "SVD": "is something else: Stable Video Diffusion-like U-Net, in safetensors" + GIVE,
    "I2VGen-XL": "is something else: I2VGen-XL U-Net (diffusers layout), in safetensors" + GIVE,
    "VideoCrafter": "is something else: VideoCrafter- or DynamiCrafter-like U-Net, in safetensors" + GIVE,
    "CogVideoX": "is something else: CogVideoX-like video transformer, in safetensors" + GIVE,
    "Wan": "is something else: Wan-like video transformer, in safetensors" + GIVE,
}
NOT_OURS = "is a safetensors file, but not MicroCinema's (no microcinema.format in its metadata): "
INSPECT = "; `microcinema inspect` says what it holds"
MAKES = "; `microcinema {} makes a MicroCinema file of such a model" + INSPECT
ANIMATE = {
    "LoRA": NOT_OURS + "LoRA weights" + INSPECT,
    "SD 1.5": NOT_OURS + "Stable Diffusion 1.x checkpoint, single file (CompVis layout)" + MAKES.format("inflate`"),
    "SD 2.1": NOT_OURS + "Stable Diffusion 2.x checkpoint, single file (CompVis layout)" + MAKES.format("inflate`"),
    "SDXL": NOT_OURS + "Stable Diffusion XL checkpoint, single file (CompVis layout)" + INSPECT,
    "VAE": NOT_OURS + "Stable Diffusion autoencoder (CompVis layout)" + INSPECT,
    "ModelScope": NOT_OURS + "ModelScope-like text-to-video U-Net (diffusers' UNet3D)" + MAKES.format("convert`"),
    "AnimateDiff": NOT_OURS + "AnimateDiff motion module" + INSPECT,
    "SVD": NOT_OURS + "Stable Video Diffusion-like U-Net" + INSPECT,
    "I2VGen-XL": NOT_OURS + "I2VGen-XL U-Net (diffusers layout)" + INSPECT,
    "CogVideoX": NOT_OURS + "CogVideoX-like video transformer" + INSPECT,
    "Wan": NOT_OURS + "Wan-like video transformer" + INSPECT,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; the wrong file lies elsewhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def refused(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said, on one line; nothing is left under the asked name or beside it, nor beside what was given."""
    before = sorted(folder.rglob("*"))
    assert cli.run(words) == cli.WRONG_INPUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    left = [path for path in sorted(folder.rglob("*")) if path not in before and not path.is_dir()]
    assert not left
    return said


def asked(command: str, source: Path) -> list[str]:
    """A command line that names `source` and a file to write."""
    if command != "animate":
        return [command, str(source), "--out", "made/video.safetensors"]
    picture = source.parent / "key.png"
    save_picture(picture, np.zeros((64, 64, 3), np.uint8), {})
    return ["animate", "--model", str(source), "--image", str(picture), "--prompt", "a star", "--out", "made/clip.mp4"]


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        (command, kind, message)
        for command, table in (("inflate", INFLATE), ("convert", CONVERT), ("animate", ANIMATE))
        for kind, message in table.items()
    ],
)
def test_another_model_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str, message: str
) -> None:
    source = wrong.write(kind, folder)
    said = refused(asked(command, source), folder, capsys)
    assert f"{source}: {message}" in said if message.startswith("is ") else message in said, said


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        ("inflate", "half", HALF),
        ("inflate", "pickle", PICKLE),
        ("inflate", "shard", SHARD),
        ("convert", "half", HALF),
        ("convert", "pickle", PICKLE),
        ("convert", "shard", SHARD),
        ("animate", "half", r"is a truncated or damaged safetensors file .*; give a MicroCinema \.safetensors file"),
        ("animate", "pickle", r"is a pickle .*never loaded .*; give a MicroCinema \.safetensors file"),
        ("animate", "shard", r"is a folder; give a MicroCinema \.safetensors file"),
    ],
)
def test_what_is_damaged_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str, message: str
) -> None:
    source = wrong.write(kind, folder)
    if kind == "shard":
        wrong.of_class(source, {"inflate": "UNet2DConditionModel"}.get(command, "UNet3DConditionModel"))
    said = refused(asked(command, source), folder, capsys)
    assert re.search(message, said), said


@pytest.mark.parametrize(("name", "asked_for"), [("sd15", "sd21"), ("sd21", "sd15")])
def test_another_family_than_the_preset_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, asked_for: str
) -> None:
    source = folder / "unet.safetensors"
    save_file(sd.image_model(sd.small(name)).state_dict(), source)
    said = refused([*asked("inflate", source), "--preset", asked_for], folder, capsys)
    number = {"sd15": "1.x", "sd21": "2.x"}[name]
    assert (
        f"is a Stable Diffusion {number} model, {asked_for} was asked for; give such a model, or --preset {name}"
        in said
    )


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (
            "UNetSpatioTemporalConditionModel",
            "is something else: model folder (UNetSpatioTemporalConditionModel)" + GIVE,
        ),
        ("I2VGenXLUNet", "is something else: model folder (I2VGenXLUNet)" + GIVE),
        ("UNet2DConditionModel", "is a model folder (UNet2DConditionModel)" + TAKES),
    ],
)
def test_folders_are_named_by_their_class(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str, advice: str
) -> None:
    source = wrong.of_class(wrong.write("shard", folder), kind) / "unet"
    assert advice in refused(asked("convert", source), folder, capsys)
