"""Training on from a file of `microcinema inflate`, with its own autoencoder and text encoder, on real video files."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint, read_header
from microcinema_core.config import Kind
from microcinema_core.errors import MicroCinemaError
from microcinema_core.media import save_clip, save_picture
from microcinema_core.media.films import read_frames
from microcinema_core.training.checkpoints import checkpoints
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data import film_clips
from microcinema_core.training.data.catalogue import find_films
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "core" / "importers" / "sd_files.py")))
FPS, SECONDS = 8.0, 2.5
TEMPORAL = "unet.mid_block.temporal_attentions"


@pytest.fixture(scope="module")
def inflated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.1's layout with few channels; its autoencoder, text encoder and vocabulary are in the file."""
    folder = tmp_path_factory.mktemp("inflated")
    source = sd.write_folder(sd.build("sd21"), folder / "sd21")
    out = folder / "sd21-video.safetensors"
    assert cli.run(["inflate", str(source), "--out", str(out)]) == cli.DONE
    return out


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of different shape and kind, in which a square moves and the brightness of the ground is the time."""
    folder = tmp_path_factory.mktemp("videos")
    for name, size, text in (("left.mp4", (96, 72), "A square moves left"), ("deep/right.webm", (64, 80), "It moves")):
        count = int(SECONDS * FPS)
        frames = np.zeros((count, size[1], size[0], 3), np.uint8)
        for i in range(count):
            frames[i] = 10 * i
            frames[i, 20:40, 2 * i : 2 * i + 20] = (200, 40, 40)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        save_clip(str(path), frames, FPS, {})
        path.with_suffix(".txt").write_text(f"{text}\n")
    return folder


def configured(folder: Path, inflated: Path, videos: Path, name: str = "run", **changed: Any) -> Path:
    """Four steps at a reduced size; keyword arguments are top-level keys."""
    values = {
        "stage": "video", "out": str(folder / name), "start_from": str(inflated), "videos": str(videos), "steps": 4,
        "batch": 1, "precision": "fp32", "checkpoint_every": 2, "sample_every": 1000, "reported": 1,
    }  # fmt: skip
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in (values | changed).items()]
    tables = "[clip]\nframes = 3\nfps = 2.0\nwidth = 64\nheight = 64\n[data]\nclips = 4\n[optimiser]\nwarmup = 0"
    path = folder / f"{name}.toml"
    path.write_text("\n".join([*lines, tables, "spatial_lr_scale = 0.1"]))
    return path


@pytest.fixture(scope="module")
def trained(inflated: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command itself, without a break."""
    config = configured(tmp_path_factory.mktemp("whole"), inflated, videos)
    assert cli.run(["train", str(config)]) == cli.DONE
    return config.with_name("run") / "model.safetensors"


def test_the_trained_file_is_whole_and_says_where_it_came_from(inflated: Path, trained: Path) -> None:
    before, after = read_checkpoint(inflated), read_checkpoint(trained)
    for section in ("vae", "text_encoder"):
        assert after.sections[section].keys() == before.sections[section].keys()
        for key, value in before.sections[section].items():
            assert torch.equal(after.sections[section][key], value), key
    old, new = before.header, after.header
    assert (new.config.unet, new.config.diffusion, new.config.latent, new.config.text) == (
        old.config.unet, old.config.diffusion, old.config.latent, old.config.text,
    )  # fmt: skip
    assert (new.config.clip.frames, new.config.clip.width) == (3, 64)
    assert (new.tokenizer, new.licence) == (old.tokenizer, old.licence)
    assert not new.companions
    assert new.provenance["started_from"]["command"] == "inflate"
    assert new.provenance["data"].endswith("; 4 clips")


def test_every_part_of_the_network_learns(inflated: Path, trained: Path) -> None:
    before, after = read_checkpoint(inflated).sections, read_checkpoint(trained).sections
    started = [key for key, value in before["unet"].items() if ".temporal_" in key and not value.any()]
    assert started
    assert all(after["unet"][key].any() for key in started)
    injection = [key for key, value in before["appearnet"].items() if not value.any()]
    assert any(after["appearnet"][key].any() for key in injection)
    assert not torch.equal(after["unet"]["conv_in.weight"], before["unet"]["conv_in.weight"])
    assert (trained.parent / "samples" / "step-00000004.png").is_file()


def test_an_interrupted_run_reaches_the_same_weights(
    inflated: Path, videos: Path, trained: Path, tmp_path: Path
) -> None:
    config = TrainConfig.load(configured(tmp_path, inflated, videos, sample_every=2))

    def stop(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, build_stage, progress=False, on_step=stop)
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["checkpoint-00000002"]
    again = read_checkpoint(train(config, build_stage, progress=False)).sections
    for section, state in read_checkpoint(trained).sections.items():
        for key, value in state.items():
            assert torch.equal(again[section][key], value), f"{section}.{key}"


def test_a_run_that_goes_on_from_another_s_file_encodes_nothing(
    trained: Path, videos: Path, inflated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are others, its autoencoder's weights are not."""
    folder = trained.parents[1]
    path = configured(folder, trained, videos, "second")
    monkeypatch.setattr(film_clips, "read_frames", None)
    batch = build_stage(TrainConfig.load(path)).source(Draw.of(0, 0))
    assert batch.latents.shape[2] == 3
    assert load_coders(TrainConfig.load(path)).weights == load_coders(TrainConfig.load(folder / "run.toml")).weights
    weights = Path(__file__).parents[2] / "weights"
    config = TrainConfig(Kind.VIDEO, str(tmp_path), start_from=str(weights / "toybox-video.safetensors"))
    named = {"autoencoder": "toybox-autoencoder", "text_encoder": "toybox-text"}
    files = {key: str(weights / f"{name}.safetensors") for key, name in named.items()}
    whole, apart = load_coders(config), load_coders(replace(config, start_from="", **files))
    assert whole.weights == apart.weights != load_coders(TrainConfig.load(path)).weights


def test_a_converted_file_is_trained_on_too(inflated: Path, videos: Path, tmp_path: Path) -> None:
    """ModelScope's network with the other parts of the Stable Diffusion above; the configuration gives it a prior."""
    source = tmp_path / "modelscope"
    sd.write_modelscope(inflated.parent / "sd21", source)
    converted = tmp_path / "converted.safetensors"
    assert cli.run(["convert", str(source), "--out", str(converted)]) == cli.DONE
    path = configured(tmp_path, converted, videos, steps=1, prior_lambda=0.03)
    made = read_checkpoint(train(TrainConfig.load(path), build_stage, progress=False))
    assert made.header.config.diffusion.prior_lambda == 0.03
    before = read_checkpoint(converted).sections["unet"]
    changed = [key for key, value in made.sections["unet"].items() if not torch.equal(value, before[key])]
    assert any(".temp_attentions." in key for key in changed)
    assert made.header.provenance["started_from"]["command"] == "convert"


def test_animate_takes_the_trained_file(trained: Path, tmp_path: Path) -> None:
    import av

    save_picture(tmp_path / "key.png", np.full((64, 64, 3), 90, np.uint8), {})
    words = ["animate", "--image", str(tmp_path / "key.png"), "--prompt", "a square", "--steps", "2"]
    assert cli.run([*words, "--model", str(trained), "--out", str(tmp_path / "clip.mp4")]) == cli.DONE
    with av.open(str(tmp_path / "clip.mp4")) as video:
        assert [(f.width, f.height) for f in video.decode(video=0)] == [(64, 64)] * 3


def test_temporal_super_resolution_starts_from_it_and_animate_takes_both(
    trained: Path, videos: Path, tmp_path: Path
) -> None:
    """Segments of three frames, which double a rate."""
    import av

    config = configured(tmp_path, trained, videos, "tsr", stage="tsr", steps=1)
    assert cli.run(["train", str(config)]) == cli.DONE
    made = config.with_name("tsr") / "model.safetensors"
    assert read_header(made).provenance["started_from"]["started_from"]["command"] == "inflate"
    save_picture(tmp_path / "key.png", np.full((64, 64, 3), 90, np.uint8), {})
    words = ["animate", "--image", str(tmp_path / "key.png"), "--prompt", "a square", "--steps", "1", "--passes", "1"]
    files = ["--model", str(trained), "--tsr-model", str(made), "--tsr-steps", "1", "--out", str(tmp_path / "clip.mp4")]
    assert cli.run([*words, *files]) == cli.DONE
    with av.open(str(tmp_path / "clip.mp4")) as video:
        assert video.streams.video[0].average_rate == 4
        assert [(f.width, f.height) for f in video.decode(video=0)] == [(64, 64)] * 5


def test_frames_are_those_shown_at_the_times_asked_for(videos: Path, tmp_path: Path) -> None:
    """A frame is shown until the next comes; the ground of frame i has the level 10 i."""
    films = find_films(videos, tmp_path / "films.jsonl")[0]
    assert {film.name: film.text for film in films} == {
        "left.mp4": "A square moves left", "deep/right.webm": "It moves",
    }  # fmt: skip
    for film in films:
        assert film.seconds == pytest.approx(SECONDS, abs=0.01)
        times = [0.0, 0.3, 1.01, 1.01, 2.49, 9.0]
        levels = [frame[-4:].mean() / 10 for frame in read_frames(film.video, times)]
        assert levels == pytest.approx([0, 2, 8, 8, 19, 19], abs=0.3)  # the codecs lose a little


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("no videos", "holds no videos; put .mp4"),
        ("no text", r"left\.txt: does not exist; give a text file with one sentence"),
        ("no video", r"left\.mp4: cannot be read as a video"),
        ("short", r"plays for 2\.50 s, a clip needs 4\.00; .*\[clip\]"),
        ("hard motions", "hard_motions are Toybox's"),
        ("tsr", "stage image learns from Toybox alone; leave `videos` out"),
        ("no vocabulary", r"holds no text_encoder .*--tokenizer\), or name .* with `autoencoder`"),
        ("another kind", "is a file of kind autoencoder; a file of kind video is needed"),
    ],
)
def test_what_cannot_be_trained_on_is_named(
    inflated: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: str, message: str
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    if spoil != "no videos":
        (folder / "left.mp4").write_bytes(b"no video" if spoil == "no video" else (videos / "left.mp4").read_bytes())
    if spoil != "no text":
        (folder / "left.txt").write_text("A square")
    path = configured(tmp_path, inflated, folder)
    text = path.read_text()
    if spoil == "short":
        text = text.replace("frames = 3", "frames = 9")
    if spoil == "hard motions":
        text = text.replace("clips = 4", 'clips = 4\nhard_motions = ["left"]')
    if spoil == "tsr":
        text = text.replace('"video"', '"image"')
    if spoil == "no vocabulary":
        without = tmp_path / "without.safetensors"
        source = sd.write_single(sd.build("sd21"), tmp_path / "sd21.safetensors")
        assert cli.run(["inflate", str(source), "--out", str(without)]) == cli.DONE
        text = text.replace(str(inflated), str(without))
    if spoil == "another kind":
        toybox = Path(__file__).parents[2] / "weights" / "toybox-autoencoder.safetensors"
        text = text.replace(str(inflated), str(toybox))
    path.write_text(text)
    with pytest.raises(MicroCinemaError, match=message):
        build_stage(TrainConfig.load(path))
    assert cli.run(["train", str(path)]) == cli.WRONG_INPUT
    assert capsys.readouterr().err.count("\n") >= 1


def test_toybox_files_go_on_with_their_own_companions(videos: Path, tmp_path: Path) -> None:
    """Without `autoencoder` and `text_encoder` the published files' companions are taken, into the one new file."""
    weights = Path(__file__).parents[2] / "weights"
    path = configured(tmp_path, weights / "toybox-video.safetensors", videos, steps=1)
    made = train(TrainConfig.load(path), build_stage, progress=False)
    assert set(read_checkpoint(made).sections) == {"unet", "appearnet", "vae", "text_encoder"}
    assert read_header(made).config.name == "toybox"
