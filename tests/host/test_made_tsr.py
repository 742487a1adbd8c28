"""A temporal super-resolution file as the program makes it, in the workflow that asks for one."""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from conftest import InProcess
from full_size_graphs import TSR, VIDEO
from made_files import NARROW, material, run_program
from run_host import Server
from test_workflows import after_sdxl, read_video

pytestmark = pytest.mark.slow  # 45 s of work
RATE = 30
CONFIGURATION = """
stage = "tsr"
out = "{folder}/run"
start_from = "{folder}/{video}"
videos = "{folder}/videos"
residual = true
steps = 1
batch = 2
precision = "fp32"
reported = 1
[clip]
frames = 5
fps = 7.5
width = 64
height = 64
[data]
clips = 2
[optimiser]
lr = 2e-5
spatial_lr_scale = 0.1
warmup = 0
"""


def write_video(folder: Path) -> None:
    """Noise that changes, with its sentence."""
    folder.mkdir()
    with av.open(str(folder / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(RATE))
        stream.width = stream.height = 64
        for frame in np.random.default_rng(0).integers(0, 256, (RATE, 64, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    (folder / "film.txt").write_text("Snow on a screen")


@pytest.fixture
def made(pack: ModuleType, in_process: InProcess, host: Server, tmp_path: Path) -> Iterator[Path]:
    """`inflate`, then `train`: 2.1's layout with all its levels and few channels; into the server's folder."""
    source = material(pack, in_process.tree, tmp_path)
    source.inflated(source.stable_diffusion(sizes=NARROW), VIDEO, tokenizer=source.vocabulary)
    write_video(tmp_path / "videos")
    configuration = tmp_path / "tsr.toml"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path.as_posix(), video=VIDEO))
    run_program("train", str(configuration))
    folder = host.base / "models" / "microcinema"
    for path, name in ((tmp_path / VIDEO, VIDEO), (tmp_path / "run" / "model.safetensors", TSR)):
        shutil.move(path, folder / name)
    yield folder
    for name in (VIDEO, TSR):
        (folder / name).unlink()


def test_the_shipped_workflow_takes_the_file_that_the_program_makes(
    made: Path, pack: ModuleType, comfy: Any, client: ModuleType, tmp_path: Path
) -> None:
    import importlib

    read_header = importlib.import_module(f"{pack.__name__}.microcinema_core.checkpoint.format").read_header
    video, tsr = read_header(made / VIDEO), read_header(made / TSR)
    assert (tsr.kind, tsr.config.clip.frames, tsr.config.clip.fps) == ("tsr", 5, 7.5)
    assert tsr.config.unet == video.config.unet
    assert len(tsr.config.unet.block_out_channels) == 4
    assert tsr.provenance["started_from"]["command"] == "inflate"
    (file,) = comfy.run(after_sdxl("sdxl-to-video", client))
    assert read_video(comfy.download(file, tmp_path)) == (33, 8)
