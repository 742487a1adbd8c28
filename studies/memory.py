"""What the networks take of memory at full size, computed.

They run without numbers, on PyTorch's meta device, while every tensor is counted as long as it lives. The count is that
of the allocator (a test compares it); what kernels use inside themselves is not in it.
`python -m studies.memory` writes the table of docs/full-size.md anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from microcinema_core.backend import Backend
from microcinema_core.config import SD21_BASE, LatentConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.injection import Appearance
from microcinema_core.models.unet import VideoUNet
from microcinema_core.shot.settings import TSR_BATCH, segments_at_once
from microcinema_core.standalone.autoencoder_kl import Autoencoder
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.training.ledger import peak_of

META = torch.device("meta")
MIB = 2**20
TABLE = re.compile(r"\| pictures \| stage .*?\n(?!\|)", re.DOTALL)
SD_VAE = ((128, 256, 512, 512), 2, 4)  # channels of its levels, blocks of each, latent channels


def fused(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention [B, N, C] as a GPU's fused kernels allocate it: the result alone, no matrix of scores."""
    return torch.empty_like(q)


def size_of(network: nn.Module) -> int:
    """Bytes of its weights."""
    return sum(p.nbytes for p in network.parameters())


def features_of(appearance: Appearance) -> int:
    """Bytes of what AppearNet made."""
    return sum(t.nbytes for t in (*appearance.add.values(), *appearance.spade.values()))


@dataclass(frozen=True, slots=True)
class Part:
    """One stage of the job: bytes of its weights, of AppearNet's features that it holds, and of its activations."""

    name: str
    weights: int
    features: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.features + self.activations


class FullSize:
    """Networks of Stable Diffusion 2.1's size in one precision. pixels: the side of a square picture."""

    def __init__(self, dtype: torch.dtype = torch.float16) -> None:
        backend = Backend(attention=fused, dtype=dtype, device=META)
        self.config, self.dtype = SD21_BASE.unet, dtype
        self.unet = VideoUNet(self.config, backend).requires_grad_(False)
        self.appearnet = AppearNet(self.config, backend).requires_grad_(False)
        with META:
            self.vae = Autoencoder(*SD_VAE).to(dtype).requires_grad_(False)

    def empty(self, *shape: int) -> Tensor:
        """A tensor [*shape] without memory."""
        return torch.empty(shape, dtype=self.dtype, device=META)

    def encode(self, clips: int, frames: int, pixels: int) -> tuple[Appearance, int]:
        """AppearNet on latents [clips, C, frames, h, w], and its peak."""
        made = []
        keyframes = self.empty(clips, self.config.in_channels, frames, pixels // 8, pixels // 8)
        peak = peak_of(lambda: made.append(self.appearnet(Guide(keyframes))))
        return made[0], peak

    def step(self, rows: int, frames: int, pixels: int, appearance: Appearance) -> int:
        """The peak of one forward of `rows` clips, which are branches of guidance or segments."""
        x = self.empty(rows, self.config.in_channels, frames, pixels // 8, pixels // 8)
        text, t = self.empty(rows, 77, self.config.cross_attention_dim), torch.zeros(rows, device=META)
        return peak_of(lambda: self.unet(x, t, text, appearance, torch.zeros(frames, device=META)))

    def parts(self, pixels: int, frames: int = 9, segments: int = TSR_BATCH) -> Iterator[Part]:
        """Every stage, each with what the others have left behind that it needs."""
        keyframe, peak = self.encode(1, 1, pixels)
        yield Part("AppearNet, the keyframe", size_of(self.appearnet), 0, peak)
        features = features_of(keyframe)
        peak = self.step(2, frames, pixels, keyframe)
        yield Part(f"a step of {frames} frames with guidance", size_of(self.unet), features, peak)
        segments = segments_at_once(segments, pixels // 8, pixels // 8)
        line, peak = self.encode(segments, 5, pixels)
        yield Part(f"AppearNet, {segments} segments of TSR", size_of(self.appearnet), 0, peak)
        peak = self.step(segments, 5, pixels, line)
        yield Part(f"a step of {segments} segments of TSR", size_of(self.unet), features_of(line), peak)
        codec = LatentCodec(self.vae, LatentConfig())
        together = codec.at_once(pixels // 8, pixels // 8, META)
        latents = self.empty(together, 4, pixels // 8, pixels // 8)
        what = f"VAE, {together} frames" if together > 1 else "VAE, a frame"
        yield Part(f"{what} decoded", size_of(self.vae), 0, peak_of(lambda: list(codec.decoded(latents))))
        pictures = self.empty(together, 3, pixels, pixels)
        yield Part(f"{what} encoded", size_of(self.vae), 0, peak_of(lambda: codec.encode(pictures)))


def table(full: FullSize, sizes: tuple[int, ...] = (320, 512)) -> str:
    """Markdown, in MiB."""
    lines = ["| pictures | stage | weights | features | activations | together |", "|---|---|---|---|---|---|"]
    for pixels in sizes:
        for part in full.parts(pixels):
            figures = (part.weights, part.features, part.activations, part.total)
            shown = " | ".join(f"{value / MIB:.0f}" for value in figures)
            lines.append(f"| {pixels}x{pixels} | {part.name} | {shown} |")
    return "\n".join(lines)


def main(page: str = "docs/full-size.md") -> None:
    """Put the table into the page anew."""
    path, made = Path(page), table(FullSize())
    text = path.read_text(encoding="utf-8")
    path.write_text(TABLE.sub(lambda _: made + "\n", text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
