"""Animated GIF, frame by frame: a palette for each frame, endless repetition, times exact to the format's 10 ms.

Pillow picks the colours and FFmpeg packs the pixels. The file around them is put together here, because Pillow's writer
holds all frames, and FFmpeg's keeps no comment and guesses how long the last frame is shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from .frames import Frames, Settings
from .video import frame_rate

COLOURS = 256  # of one frame
SAMPLE = 16_384  # pixels of a frame, about, that decide on its colours
TICKS = 100  # a second, the format's unit of time
MIN_DELAY = 2  # ticks: players show shorter delays as 10
LOOP_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
COMMENT, BLOCK_END, TRAILER = b"\x21\xfe", b"\x00", b"\x3b"
DELAY = slice(4, 6)  # where a packed frame holds it


def write_gif(path: Path, frames: Iterator[Frames], fps: float, settings: Settings) -> None:
    """Frames [H, W, 3] as an animation. Frame i begins at i / fps, rounded to 1/100 s.

    At 32 fps delays are 3 and every eighth is 4; no error adds up. Above 50 fps, the most that players show, frames are
    left out; the clip keeps its duration.
    """
    rate = frame_rate(fps)
    packer: _Packer | None = None
    begun, packed, count = 0, bytearray(), 0  # of the last frame, whose delay only the next one tells
    with path.open("wb") as file:
        for count, frame in enumerate(frames, start=1):
            start = _ticks(count - 1, rate)
            if packer is None:
                packer = _Packer(*frame.shape[1::-1])
                head, packed = packer.first(frame)
                file.write(head + LOOP_FOREVER + _comment(json.dumps(dict(settings))))
            elif start - begun >= MIN_DELAY:
                file.write(_with_delay(packed, start - begun))
                begun, packed = start, packer.pack(frame)
        file.write(_with_delay(packed, max(MIN_DELAY, _ticks(count, rate) - begun)) + TRAILER)


def _ticks(frames: int, rate: Fraction) -> int:
    return round(frames * TICKS / rate)


def _with_delay(packed: bytearray, ticks: int) -> bytearray:
    packed[DELAY] = ticks.to_bytes(2, "little")
    return packed


def _comment(text: str) -> bytes:
    data = text.encode("ascii")
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + BLOCK_END


def _coloured(frame: Frames) -> av.VideoFrame:
    """With the best colours for a sample of its pixels: for all of them, each frame of a photo takes seconds."""
    step = math.ceil(math.sqrt(frame.shape[0] * frame.shape[1] / SAMPLE))
    sample = Image.fromarray(np.ascontiguousarray(frame[::step, ::step]))
    chosen = sample.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    used = np.asarray(chosen.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.full((COLOURS, 4), 255, np.uint8)  # alpha, red, green, blue
    palette[: len(used), 1:] = used
    indices = Image.fromarray(frame).quantize(palette=chosen, dither=Image.Dither.NONE)
    both: Any = (np.asarray(indices), palette)  # which PyAV takes for this format, whatever its annotations say
    return av.VideoFrame.from_ndarray(both, format="pal8")


class _Packer:
    """Frames [H, W, 3] -> the bytes of a GIF's frames, each with 256 colours of its own.

    No dithering: with that many colours for one picture it adds more noise than it hides, and the noise flickers.
    """

    def __init__(self, width: int, height: int) -> None:
        self.encoder = av.CodecContext.create("gif", "w")
        self.encoder.width, self.encoder.height, self.encoder.pix_fmt = width, height, "pal8"
        self.encoder.time_base = Fraction(1, TICKS)
        self.count = 0

    def pack(self, frame: Frames) -> bytearray:
        """The frame as packed by FFmpeg, which needs no later one for it."""
        given = _coloured(frame)
        given.pts, given.time_base = self.count, Fraction(1, TICKS)
        self.count += 1
        return bytearray().join(bytes(packet) for packet in self.encoder.encode(given))

    def first(self, frame: Frames) -> tuple[bytes, bytearray]:
        """The file's head and the first frame, which FFmpeg packs together."""
        packed = self.pack(frame)
        flags = packed[10]
        end = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)  # of the head and its palette
        return bytes(packed[:end]), packed[end:]
