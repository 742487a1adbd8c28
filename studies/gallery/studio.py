"""Shots for the page: the models, how they are sampled, and a sheet's pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from microcinema_core.checkpoint.embedded import sibling
from microcinema_core.config import Kind
from microcinema_core.diffusion.samplers import Callback
from microcinema_core.errors import InputError
from microcinema_core.files import sha256_of
from microcinema_core.media import place, to_picture
from microcinema_core.shot.plan import Loop
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.shot.timing import MAX_PASSES
from microcinema_core.worlds.toybox.tracker import read_clip
from microcinema_core.worlds.toybox.triples import FPS, Triple

from ..cases import Case, Frames, Record, see
from ..journal import fingerprint
from ..toybox.bench import Bench
from .album import Album, Ask, Sheet
from .drawing import HOLD, LABEL_HEIGHT, LABEL_SIZE, QUALITY, at_rate, labelled, side_by_side, write_webp

BATCH = 8  # clips at once where many are read
LAYOUT = [QUALITY, LABEL_HEIGHT, LABEL_SIZE, HOLD]

Bar = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class Studio:
    """A video file with its TSR model beside it, sampling settings, and folders for finished and unfinished work.

    passes: the most that a shot asks for. work: keeps what is done of pictures that are not whole yet.
    """

    model: Path
    album: Album
    work: Path
    sampling: SamplingConfig
    tsr_sampling: SamplingConfig
    passes: int = MAX_PASSES

    def __post_init__(self) -> None:
        if self.passes and self.tsr is None:
            raise InputError(
                f"{self.model}: the gallery needs the temporal super-resolution model beside it "
                f"({self.model.name.replace('-video', '-tsr')}), which is not there; train it (make train), "
                "or give --passes 0 for clips at the model's own rate"
            )

    @cached_property
    def tsr(self) -> Path | None:
        return sibling(self.model, Kind.TSR)

    @cached_property
    def bench(self) -> Bench:
        return Bench(self.model, self.sampling, self.work / "select")

    @cached_property
    def made_with(self) -> dict[str, Any]:
        """Weights and sampling of every picture."""
        tsr = self.tsr if self.passes else None
        return {
            "weights": [sha256_of(self.model), tsr and sha256_of(tsr)],
            "sampling": self.sampling.to_dict(),
            "tsr_sampling": self.tsr_sampling.to_dict(),
        }

    def shoot(self, ask: Ask, callback: Callback | None = None) -> tuple[Frames, Frames, float, int]:
        """The keyframe as the model is given it [1, H, W, 3], the frames, their rate and the keyframe's index."""
        shot = self.bench.pipeline.shoot(
            ask.keyframe.picture,
            ask.prompt,
            ask.shot,
            sampling=self.sampling,
            tsr_sampling=self.tsr_sampling,
            seed=ask.seed,
            workspace=self._unfinished(ask),
            callback=callback,
        )
        given = place(to_picture(ask.keyframe.picture), *shot.size, ask.shot.resize)
        return given[None], np.stack(list(shot)), shot.fps, shot.plan.keyframe

    def develop(self, sheet: Sheet, callback: Callback | None = None) -> bool:
        """Make the sheet's picture and its keyframes' files; whether there was anything to make."""
        for ask in sheet.asks:
            self.album.keyframe(ask.keyframe)
        request = self._request(sheet)
        made = self.album.picture(sheet.file, request, partial(self._write, sheet, callback))
        for ask in sheet.asks:
            shutil.rmtree(self._unfinished(ask), ignore_errors=True)
        return made

    def _request(self, sheet: Sheet) -> dict[str, Any]:
        return {**self.made_with, **sheet.to_dict(), "layout": LAYOUT}

    def remark(self, sheet: Sheet) -> str:
        """What the tracker reads in a sheet that is made, where the motions asked for are known."""
        if not sheet.asked:
            return ""
        read = self.album.results[f"motions of {sheet.name}"]["value"]
        pairs = list(zip(sheet.asked, read, strict=True))
        others = [f"{asked} is read as {seen}" for asked, seen in pairs if asked != seen]
        count = f" The tracker reads {len(pairs) - len(others)} of {len(pairs)} as asked"
        return f"{count}; {', '.join(others)}." if others else f"{count}."

    def _unfinished(self, ask: Ask) -> Path:
        return self.work / "shots" / fingerprint(ask.to_dict())

    def _write(self, sheet: Sheet, callback: Callback | None, path: Path) -> None:
        made = [self.shoot(ask, callback) for ask in sheet.asks]
        fastest = max(fps for _, _, fps, _ in made)
        clips = [labelled(made[0][0], "keyframe")]
        for ask, (_, frames, fps, key) in zip(sheet.asks, made, strict=True):
            shown = frames[key : key + 1] if sheet.still else at_rate(frames, fps, fastest)
            clips.append(labelled(shown, ask.label))
        if sheet.asked:
            read = [_motion(frames, fps) for _, frames, fps, _ in made]
            self.album.result(f"motions of {sheet.name}", self._request(sheet), lambda: read)
        picture = side_by_side(clips, sheet.columns)
        if sheet.still:
            Image.fromarray(picture[0]).save(path, format="PNG", optimize=True)
            return
        seamless = all(ask.shot.loop is not Loop.NONE for ask in sheet.asks)
        write_webp(path, picture, fastest, 0 if seamless else HOLD)

    def read(self, triples: Sequence[Triple], bar: Bar = iter) -> list[Record]:
        """What the tracker reads in each triple's clip at the model's own rate; see `cases.Seen`."""
        cases = [Case.of(triple) for triple in triples]

        def read() -> list[Record]:
            records: list[Record] = []
            for start in bar(range(0, len(cases), BATCH)):
                some = cases[start : start + BATCH]
                clips = self.bench.animate([case.shot() for case in some])
                records += [see(case, frames) for case, frames in zip(some, clips, strict=True)]
            return records

        request = {"model": self.made_with["weights"][0], **self.sampling.to_dict()}
        return self.album.result("select", [request, [case.to_dict() for case in cases]], read)


def _motion(frames: Frames, fps: float) -> str:
    """What the tracker reads at the rate of the lists' clips."""
    return read_clip(frames[:: round(fps / FPS)], fps=FPS).motion
