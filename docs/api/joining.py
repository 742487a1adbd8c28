"""Videos one after the other in one file. Needs PyAV, which ComfyUI brings.

All take on the size and the rate of the first: another size is scaled to fit, with black beside it, and another rate
repeats frames or leaves some out, by their times. Sound is left out.
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

QUALITY = {"crf": "14", "preset": "medium"}  # of H.264: no loss that is seen


class JoinError(Exception):
    """A file is no video, or PyAV is not there."""


@dataclass(frozen=True, slots=True)
class Form:
    """A video's width and height in pixels, and its frames a second."""

    width: int
    height: int
    rate: Fraction

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {float(self.rate):g} a second"


@dataclass(frozen=True, slots=True)
class Joined:
    """What was written: its form, its frames, and of each video that had another form, which."""

    form: Form
    frames: int
    others: dict[Path, Form]


def join(videos: Sequence[Path], target: Path) -> Joined:
    """Write the videos one after the other to `target`, an MP4 file: whole or not at all.

    Raises JoinError for what is no video, and where PyAV is missing.
    """
    try:
        import av
    except ImportError as error:
        raise JoinError("Joining takes PyAV: pip install av, or run this with ComfyUI's own Python.") from error
    try:
        forms = {path: form_of(path) for path in videos}
        form, frames = forms[videos[0]], 0
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".joining-") as folder:
            half = Path(folder) / target.name
            with av.open(str(half), "w", format="mp4") as out:
                stream = out.add_stream("libx264", rate=form.rate, options=QUALITY)
                stream.width, stream.height, stream.pix_fmt = form.width, form.height, "yuv420p"
                for path in videos:
                    for frame in fitted(timed(path, forms[path].rate, form.rate), form):
                        frame.pts, frame.time_base = frames, 1 / form.rate
                        frames += 1
                        out.mux(stream.encode(frame))
                out.mux(stream.encode())
            half.replace(target)
    except av.FFmpegError as error:
        raise JoinError(f"Not joined: {error}") from error
    return Joined(form, frames, {path: other for path, other in forms.items() if other != form})


def form_of(path: Path) -> Form:
    import av

    with av.open(str(path)) as video:
        stream = next(iter(video.streams.video), None)
        if stream is None or not stream.average_rate:
            raise JoinError(f"{path} holds no video with a frame rate.")
        return Form(stream.width, stream.height, Fraction(stream.average_rate))


def timed(path: Path, rate: Fraction, wanted: Fraction) -> Iterator["av.VideoFrame"]:
    """The video's frames at another rate: each for the moments at which it is the last that has begun."""
    import av

    with av.open(str(path)) as video:
        shown = 0
        for number, frame in enumerate(video.decode(video=0), start=1):
            until = math.ceil(number * wanted / rate)  # the first moment at which the next one has begun
            for _ in range(shown, until):
                yield frame
            shown = until


def fitted(frames: Iterator["av.VideoFrame"], form: Form) -> Iterator["av.VideoFrame"]:
    """The frames in the form's size: scaled to fit, with black beside them. Of the right size: as they are."""
    import av

    size = f"{form.width}:{form.height}"
    graph = None
    for frame in frames:
        if (frame.width, frame.height) == (form.width, form.height):
            yield frame.reformat(format="yuv420p")
            continue
        if graph is None:
            graph = av.filter.Graph()
            given = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
            scaled = graph.add(
                "scale", f"{size}:force_original_aspect_ratio=decrease:force_divisible_by=2:flags=lanczos"
            )
            padded = graph.add("pad", f"{size}:(ow-iw)/2:(oh-ih)/2")
            graph.link_nodes(given, scaled, padded, graph.add("buffersink")).configure()
        graph.push(frame)
        yield graph.pull().reformat(format="yuv420p")
