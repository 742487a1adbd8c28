"""The whole job, keyframe to file, with a model of Stable Diffusion 2.1's layout and random weights: its peak memory.

    PYTHONPATH=. python tests/core/standalone/full_job.py

writes the files (13 GB, removed at the end), makes clips of 33 and of 129 frames in one process, one step each without
guidance, and says what each took above the weights. It needs 17 GB of memory. `--reduced` tries it with small networks.
"""

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

# One arena and a fixed threshold from which blocks are mapped by themselves: what is freed leaves the process at once,
# so that the figure is what the program holds and not what the C library keeps for later.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
PASSES = {33: 1, 129: 2}


def write_models(folder: Path, *, full: bool) -> tuple[Path, Path]:
    """A video file, as `microcinema inflate` makes it of a Stable Diffusion, and the TSR file that goes with it."""
    from microcinema_core import cli

    sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "importers" / "sd_files.py")))
    model = sd.build("sd21", full=full)
    if not full:  # wide enough that activations are far above all else
        config = replace(model.config, block_out_channels=(128, 256), attention_heads=(2, 4))
        model = replace(model, config=config, unet=sd.image_model(config))
    source, video = sd.write_folder(model, folder / "sd"), folder / "sd21-video.safetensors"
    assert cli.run(["inflate", str(source), "--out", str(video)]) == 0
    shutil.rmtree(source)
    return video, write_tsr(video)


def write_tsr(video: Path) -> Path:
    """The video file's own networks as a TSR model's: their sizes are the same, their numbers do not matter here."""
    import torch

    from microcinema_core.checkpoint.format import APPEARNET, UNET, Header, read_header
    from microcinema_core.config import Kind
    from microcinema_core.importers.lazy import open_file
    from microcinema_core.importers.stream import write_stream

    config = read_header(video).config
    state = {k: v for k, v in open_file(video)[0].items() if k.partition(".")[0] in (UNET, APPEARNET)}
    header = Header(Kind.TSR, replace(config, clip=replace(config.clip, frames=5, fps=8.0)))
    path = video.with_name("sd21-tsr.safetensors")
    write_stream(path, state, torch.float16, header.to_metadata())
    return path


def measure(video: Path, tsr: Path, folder: Path, side: int) -> None:
    """Prints one line of JSON for each length: MiB of the process before and at its peak, and seconds."""
    from PIL import Image

    from microcinema_core.shot.plan import ShotConfig
    from microcinema_core.shot.settings import TSR_SAMPLING, SamplingConfig
    from microcinema_core.standalone.pipeline import MicroCinemaPipeline

    pipeline = MicroCinemaPipeline.from_pretrained(video, tsr=tsr, device="cpu")

    def make(passes: int, side: int, out: str) -> None:
        shot = ShotConfig(passes=passes, width=side, height=side)
        made = pipeline.shoot(
            Image.linear_gradient("L").convert("RGB"), "a red star", shot, sampling=SamplingConfig(steps=1, cfg=1.0),
            tsr_sampling=replace(TSR_SAMPLING, steps=1), workspace=folder / "unfinished",
        )  # fmt: skip
        made.save(folder / out)

    make(1, 64, "first.mp4")  # what is loaded on first use is no part of the figure
    for frames, passes in PASSES.items():
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts anew
        before, start = resident("VmRSS"), time.monotonic()
        make(passes, side, f"{frames}.mp4")
        seconds = time.monotonic() - start
        print(
            json.dumps({"frames": frames, "before": before, "peak": resident("VmHWM"), "seconds": seconds}), flush=True
        )


def resident(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=192, help="of the pictures, in pixels")
    parser.add_argument("--reduced", action="store_true", help="small networks, to try the command")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go for the time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, start = Path(name), time.monotonic()
        video, tsr = write_in_a_process(folder, full=not given.reduced)
        print(f"files written in {time.monotonic() - start:.0f} s", flush=True)
        command = [sys.executable, __file__, "--measure", str(video), str(tsr), str(folder), str(given.side)]
        found = {}
        with subprocess.Popen(command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                record = json.loads(line)
                above = found[record["frames"]] = record["peak"] - record["before"]
                print(
                    f"{record['frames']} frames of {given.side}x{given.side}: {record['before']:.0f} MiB of weights "
                    f"and program, {above:.0f} MiB above them at the peak, {record['seconds']:.0f} s",
                    flush=True,
                )
        if process.returncode or set(found) != set(PASSES):
            sys.exit("the job did not end")
    print(f"129 frames take {found[129] / found[33]:.3f} of what 33 take")


def write_in_a_process(folder: Path, *, full: bool) -> tuple[Path, Path]:
    """Whose memory is given back: the random Stable Diffusion takes 5 GB."""
    command = [sys.executable, __file__, "--write", str(folder), "full" if full else "reduced"]
    written = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return Path(written[-2]), Path(written[-1])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--write", folder, size]:
            print(*write_models(Path(folder), full=size == "full"), sep="\n")
        case ["--measure", video, tsr, folder, side]:
            measure(Path(video), Path(tsr), Path(folder), int(side))
        case _:
            main()
