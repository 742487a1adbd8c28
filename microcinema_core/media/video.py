"""MP4 and WebM, frame by frame."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from .frames import Frames, Settings


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of file is encoded, in FFmpeg's words."""

    container: str
    encoder: str
    options: Mapping[str, str]
    container_options: Mapping[str, str] = field(default_factory=dict)


# Visually lossless. No B-frames: they would delay the first frame, by a second at 2 frames a second. MP4's index comes
# first, so that it plays before it is loaded whole.
MP4 = Codec("mp4", "libx264", {"crf": "14", "preset": "slow", "bf": "0"}, {"movflags": "+faststart"})
# `b` 0 lets crf alone decide; cpu-used 3 takes about as long as x264 does.
WEBM = Codec("webm", "libvpx-vp9", {"crf": "16", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"})


def frame_rate(fps: float) -> Fraction:
    """23.976 -> 2997/125, near enough for every rate that people use."""
    return Fraction(fps).limit_denominator(100_000)


def write_video(path: Path, frames: Iterator[Frames], fps: float, settings: Settings, codec: Codec) -> None:
    """Frames [H, W, 3] as a video, 4:2:0 in BT.709. Odd sizes gain a repeated row or column.

    The encoder looks some 50 frames ahead, no further.
    """
    first = next(frames)
    rate = frame_rate(fps)
    with av.open(str(path), "w", format=codec.container, options=dict(codec.container_options)) as container:
        container.metadata["comment"] = json.dumps(dict(settings))
        stream = container.add_stream(codec.encoder, rate=rate, options=dict(codec.options))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for i, picture in enumerate(itertools.chain([first], frames)):
            frame = _yuv(picture)
            frame.pts, frame.time_base, frame.duration = i, 1 / rate, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _yuv(picture: Frames) -> av.VideoFrame:
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA,  # halves the colours with the least loss
    )
