"""The library takes NumPy's numbers for Python's, and strings for paths; what it makes of them is the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from microcinema_core.checkpoint.format import read_checkpoint, read_header
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.checkpoint.trained import trained_in
from microcinema_core.errors import InputError
from microcinema_core.media import read_picture, read_settings, save_picture
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import PictureConfig, SamplingConfig, check_seed
from microcinema_core.standalone.components import companion_of, load_codec, load_text_encoder
from microcinema_core.standalone.pipeline import ImagePipeline, MicroCinemaPipeline

KEY = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(
        str(weights / "toybox-video.safetensors"), tsr=str(weights / "toybox-tsr.safetensors")
    )


def test_a_clip(pipeline: MicroCinemaPipeline) -> None:
    shots = [ShotConfig(frames=kind(3), motion=real(0.5)) for kind, real in ((int, float), (np.int64, np.float32))]
    steps = [SamplingConfig(steps=kind(1), cfg=real(1.5)) for kind, real in ((int, float), (np.int32, np.float64))]
    seeds = ([3, 4], np.array([3, 4]))
    clips = [pipeline(KEY, "x", shot, sampling=s, seed=n) for shot, s, n in zip(shots, steps, seeds, strict=True)]
    assert np.array_equal(clips[0].frames, clips[1].frames)
    assert json.dumps(clips[0].settings) == json.dumps(clips[1].settings)


def test_a_shot(pipeline: MicroCinemaPipeline, tmp_path: Path) -> None:
    shot = ShotConfig(frames=np.int64(3), passes=np.int8(1), width=np.int16(64), fps=np.float32(4))
    made = pipeline.shoot(
        KEY, "x", shot, sampling=SamplingConfig(steps=np.uint8(1)), seed=np.uint64(2**64 - 1), tsr_batch=np.int64(2),
        workspace=str(tmp_path / "work"),
    )  # fmt: skip
    made.save(str(tmp_path / "clip.mp4"))
    assert read_settings(str(tmp_path / "clip.mp4"))["seed"] == 2**64 - 1
    assert not (tmp_path / "work").exists()


def test_a_picture(weights: Path, tmp_path: Path) -> None:
    images = ImagePipeline.from_pretrained(str(weights / "toybox-image.safetensors"))
    made = images("x", PictureConfig(steps=np.int64(1)), seed=np.int64(5))
    made.save(str(tmp_path / "key.png"))
    assert read_settings(str(tmp_path / "key.png"))["seed"] == 5
    assert read_picture(str(tmp_path / "key.png")).size == (64, 64)
    save_picture(str(tmp_path / "again.png"), KEY, {})


def test_what_is_no_seed() -> None:
    for seed in (1.5, np.float64(2), "3", None, np.array([1, 2]), np.int64(-1), 2**64):
        with pytest.raises(InputError, match="seed must be"):
            check_seed(seed)


def test_files_by_name(weights: Path) -> None:
    path = str(weights / "toybox-video.safetensors")
    for read in (read_header, read_checkpoint, load_networks, load_codec, load_text_encoder, identify, trained_in):
        assert read(path) is not None
    assert companion_of(path).file == "toybox-video.safetensors"
