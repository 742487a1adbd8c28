"""The memory of the whole job, keyframe to file: what it takes above its weights does not grow with the frames."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
import torch

from microcinema_core.backend import Backend
from microcinema_core.config import SD21_BASE, LatentConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.autoencoder_kl import Autoencoder
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.training.ledger import peak_of
from studies.memory import META, MIB, FullSize
from studies.speed.gauge import peak_bytes
from studies.speed.given import Place

CPU = torch.device("cpu")
kit = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("full_job.py"))))


@pytest.fixture(scope="module")
def full() -> FullSize:
    return FullSize()


def test_the_count_without_numbers_is_the_allocators_own() -> None:
    config = replace(
        SD21_BASE.unet, block_out_channels=(64, 128), attention_levels=(True, False), attention_heads=(1, 2),
        cross_attention_dim=64,
    )  # fmt: skip

    def step(device: torch.device) -> object:
        backend = Backend(device=device)
        unet, appearnet = (kind(config, backend).requires_grad_(False) for kind in (VideoUNet, AppearNet))
        with device:
            appearance = appearnet(Guide(torch.zeros(1, 4, 1, 16, 16)))
            given = torch.zeros(2, 4, 9, 16, 16), torch.zeros(2), torch.zeros(2, 77, 64), appearance, torch.zeros(9)
        return lambda: unet(*given)

    with torch.no_grad():
        assert peak_of(step(META)) == peak_bytes(step(CPU), Place(CPU, torch.float32))


def test_129_frames_through_the_autoencoder_need_no_more_than_17(full: FullSize) -> None:
    """At 320x320, decoded into a stream of frames; encoded, latents stay, which are small.

    With Stable Diffusion's channels and one block in each level, which is as large at its peak and sooner counted.
    """
    with META:
        codec = LatentCodec(Autoencoder((128, 256, 512, 512), 1, 4).to(full.dtype), LatentConfig())

    def decode(frames: int) -> int:
        latents = full.empty(frames, 4, 40, 40)
        return peak_of(lambda: sum(len(part) for part in codec.decoded(latents)))

    def encode(frames: int) -> int:
        pictures = full.empty(frames, 3, 320, 320)
        return peak_of(lambda: codec.encode(pictures))

    assert decode(129) == decode(17)  # more than two parts are the same again
    latents = 112 * 4 * 40 * 40 * 4  # bytes, of the frames that 129 have more
    assert encode(129) <= encode(17) + 4 * latents  # the parts, their join, and the same scaled
    assert encode(129) < 1.1 * encode(17)


@pytest.mark.parametrize("pixels", [320, 512])
def test_nine_frames_fit_into_six_gigabytes(full: FullSize, pixels: int) -> None:
    """Each stage in float16 with all of its network on the GPU; the sixth gigabyte is for the driver and the screen."""
    for part in full.parts(pixels):
        print(f"{part.name}: {part.total / MIB:.0f} MiB, {part.activations / MIB:.0f} of them activations")
        assert part.total < 5e9


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's own figures of a process")
def test_the_job_takes_as_much_for_129_frames_as_for_33(tmp_path: Path) -> None:
    """A model of Stable Diffusion's layout, from `microcinema inflate`; the animated file has that many frames.

    What 129 take more is the window of the file's encoder, which 33 frames do not fill: 11 MiB, whatever the length.
    """
    video, tsr = kit.write_models(tmp_path, full=False)
    done = subprocess.run(
        [sys.executable, kit.__file__, "--measure", str(video), str(tsr), str(tmp_path), "128"],
        env=os.environ | kit.ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {
        record["frames"]: record["peak"] - record["before"] for record in map(json.loads, done.stdout.splitlines())
    }
    print({frames: f"{mib:.0f} MiB" for frames, mib in found.items()})
    for frames in found:
        with av.open(str(tmp_path / f"{frames}.mp4")) as container:
            assert container.streams.video[0].frames == frames
    assert found[33] > 150  # MiB, far above that window and chance
    assert abs(found[129] - found[33]) <= 0.1 * found[33]
