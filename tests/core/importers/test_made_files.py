"""`microcinema animate` on files of `microcinema inflate` and `microcinema convert`, by the program itself."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from microcinema_core import cli
from microcinema_core.media import save_picture

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("sd_files.py"))))
Animate = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.1's layout with few channels, the same with ModelScope's network, and two keyframes."""
    made = tmp_path_factory.mktemp("made")
    model = sd.build("sd21")
    sd.write_folder(model, made / "sd21")
    sd.write_single(model, made / "sd21.safetensors")
    sd.write_modelscope(made / "sd21", made / "modelscope")
    for name, words in (("inflated", ["inflate", "sd21"]), ("converted", ["convert", "modelscope"])):
        assert cli.run([words[0], str(made / words[1]), "--out", str(made / f"{name}.safetensors")]) == cli.DONE
    for name, level in (("dark", 20), ("light", 230)):
        save_picture(made / f"{name}.png", np.full((64, 72, 3), level, np.uint8), {})
    return made


@pytest.fixture
def animate(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Animate:
    def run(model: str, *more: str, key: str = "dark", prompt: str = "a red star") -> np.ndarray:
        """The video's frames, [3, 64, 72, 3]."""
        out = tmp_path / "clip.mp4"
        words = ["animate", "--model", str(folder / f"{model}.safetensors"), "--image", str(folder / f"{key}.png")]
        words += ["--prompt", prompt, "--steps", "2", "--frames", "3", "--width", "72", "--height", "64"]
        assert cli.run([*words, "--out", str(out), "--json", *more]) == cli.DONE, capsys.readouterr().err
        said = json.loads(capsys.readouterr().out)
        assert (said["frames"], said["width"], said["height"]) == (3, 72, 64)
        assert said["model"] == f"{model}.safetensors"
        with av.open(str(out)) as video:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]).astype(float)

    return run


@pytest.mark.parametrize("model", ["inflated", "converted"])
def test_a_clip_that_prompt_seed_and_keyframe_change(animate: Animate, model: str) -> None:
    """All by the file's own autoencoder and text encoder. A codec loses about a level, these change far more."""
    first = animate(model, "--gamma", "0.5")
    assert first.shape == (3, 64, 72, 3)
    assert first.std() > 3
    assert (animate(model, "--gamma", "0.5") == first).all()
    others = {
        "prompt": animate(model, "--gamma", "0.5", "--cfg", "9", prompt="two blue circles"),
        "seed": animate(model, "--gamma", "0.5", "--seed", "1"),
        "keyframe": animate(model, "--gamma", "0.5", key="light"),
    }
    changed = {name: abs(other - first).mean() for name, other in others.items()}
    assert min(changed.values()) > 1.5, changed


def test_the_frames_a_second_are_the_sources(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, fps in (("inflated", 2), ("converted", 8)):
        words = ["animate", "--model", str(folder / f"{model}.safetensors"), "--image", str(folder / "dark.png")]
        words += ["--prompt", "a star", "--steps", "1", "--frames", "2", "--width", "64", "--height", "64"]
        assert cli.run([*words, "--out", str(tmp_path / "clip.mp4"), "--json"]) == cli.DONE
        assert json.loads(capsys.readouterr().out)["fps"] == fps


def test_a_file_made_without_text_encoder_says_what_to_do(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bare.safetensors"
    assert cli.run(["inflate", str(folder / "sd21.safetensors"), "--out", str(out)]) == cli.DONE
    capsys.readouterr()
    words = ["animate", "--model", str(out), "--image", str(folder / "dark.png"), "--prompt", "a star"]
    assert cli.run([*words, "--out", str(tmp_path / "clip.mp4")]) == cli.WRONG_INPUT
    said = capsys.readouterr().err
    assert (
        f"{out}: holds no text_encoder and names no companion file that does; make it anew from a source with" in said
    )
    assert "--tokenizer" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.safetensors"]
