"""The stages of Pocket's training: what each is told, when it has to have ended, and what it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microcinema_core.config import ClipConfig
from microcinema_core.training.config import TrainConfig

from ...journal import ROOT
from .clock import STOPPED
from .configured import written
from .pack import START, TEXT
from .runner import spare_cores
from .stage import Stage

CLIPS, HELD_OUT = 3000, 96
HOLES, HOLE_BATCH = 2048, 64
SIDE = 64  # pixels of the smallest form
RENDERED, CODED, LEARNT, MEASURED = 0.33, 0.35, 0.8, 0.95  # of the time, when clips, autoencoder and so on are there
AUTOENCODER, WORDS, VIDEO, FIGURES = "autoencoder", "text", "video", "figures"
FILL = "fill"
ROUND_TRIP = "round-trip"
NAME, MODEL = "pocket", "model.safetensors"
FOREVER = 10**9  # steps: time ends a run


@dataclass(frozen=True, slots=True)
class Place:
    """packed: what has travelled. work: everything that is made. tiny: the smallest form of it."""

    packed: Path
    work: Path
    tiny: bool = False

    @property
    def start(self) -> Path:
        return self.packed / START

    def named(self, stage: str, file: Path) -> Path:
        """The file under the name by which the files of other stages know it, beside theirs."""
        path = self.work / "files" / f"{NAME}-{stage}{file.suffix}"
        path.parent.mkdir(exist_ok=True)
        if file.exists():  # or else whoever reads it says so
            shutil.copyfile(file, path)
        return path

    @property
    def text(self) -> Path:
        """The text encoder's file, which has travelled or is made here."""
        travelled = self.packed / TEXT
        return travelled if travelled.exists() else self.model(WORDS)

    def clips(self, split: str) -> Path:
        return self.work / "clips" / split

    def model(self, stage: str) -> Path:
        return self.work / stage / MODEL


def plan(place: Place) -> list[Stage]:
    """In the order in which they begin."""
    aside = [
        _clips(place, "final", HELD_OUT, share=0.5),
        _clips(place, "select", HELD_OUT, share=0.5),
        _clips(place, "train", CLIPS, share=1.0, after=("clips-final", "clips-select")),
    ]
    return [
        *aside,
        Stage(
            AUTOENCODER, lambda seconds: _trained(place, _autoencoder(place), seconds), CODED,
            leaves=_left(place, AUTOENCODER),
        ),
        *_words(place),
        Stage(
            VIDEO, lambda seconds: _trained(place, _video(place), seconds), LEARNT, (AUTOENCODER, WORDS, "clips-train"),
            leaves=_left(place, VIDEO),
        ),
        Stage(  # beside the video model, which leaves most of a card idle
            FILL, lambda seconds: _trained(place, _fill(place), seconds), LEARNT, (AUTOENCODER, WORDS),
            leaves=_left(place, FILL),
        ),
        Stage(
            FIGURES, lambda _: _evaluated(place), MEASURED, (VIDEO, "clips-final"),
            leaves=((FIGURES, place.work / FIGURES),),
        ),
        Stage(
            ROUND_TRIP, lambda _: _round_trip(place), MEASURED, (VIDEO,),
        ),
    ]  # fmt: skip


def _left(place: Place, stage: str) -> tuple[tuple[str, Path], ...]:
    """By a training run: its file, and the sheets of its reports."""
    return (f"{NAME}-{stage}", place.model(stage)), (f"{stage}-sheets", place.work / stage / "samples")


def _clips(place: Place, split: str, count: int, *, share: float, after: tuple[str, ...] = ()) -> Stage:
    """share: of the spare cores."""
    processes = max(1, round(share * len(spare_cores())))
    words = [
        "-m", "studies.pocket.clips", str(place.packed), str(place.clips(split)), "--split", split,
        "--processes", str(processes), "--clips", str(4 if place.tiny else count),
        *(("--side", str(SIDE)) if place.tiny else ()),
    ]  # fmt: skip
    return Stage(f"clips-{split}", lambda _: words, RENDERED, after, aside=True)


def _trained(place: Place, config: Path, seconds: float) -> Sequence[str]:
    """A little before its time is over, so that it is not cut off while it says so."""
    limit = seconds - max(2.0, 0.02 * seconds)
    return ["-m", "studies.pocket.gpu.training", str(config), f"{limit:.1f}", str(place.work / STOPPED)]


def _words(place: Place) -> list[Stage]:
    """The text encoder's, beside the autoencoder's: it is small."""
    if place.text.exists():
        return []
    return [Stage(WORDS, lambda seconds: _trained(place, _text(place), seconds), RENDERED, leaves=_left(place, WORDS))]


def _text(place: Place) -> Path:
    config = TrainConfig.load(ROOT / "configs" / "pocket-text.toml")
    return written(config, place.work / "text.toml", out=str(place.work / WORDS), **_small(place))


def _autoencoder(place: Place) -> Path:
    config = TrainConfig.load(ROOT / "configs" / "pocket-autoencoder.toml")
    return written(
        config, place.work / "autoencoder.toml", out=str(place.work / AUTOENCODER), steps=FOREVER,
        start_from=_start(place),
        data={"pictures": str(place.packed / "pictures")} | _cropped(place), **_small(place),
    )  # fmt: skip


def _video(place: Place) -> Path:
    config = TrainConfig.load(ROOT / "configs" / "pocket-video.toml")
    clip = ClipConfig(width=SIDE, height=SIDE) if place.tiny else config.clip
    return written(
        config, place.work / "video.toml", out=str(place.work / VIDEO), steps=FOREVER, clip=clip,
        rendered=str(place.work / "clips"), data={"clips": CLIPS} | _cropped(place),
        **_coders(place), **_small(place),
    )  # fmt: skip


def _fill(place: Place) -> Path:
    config = TrainConfig.load(ROOT / "configs" / "pocket-fill.toml")
    clip = ClipConfig(frames=1, width=SIDE, height=SIDE) if place.tiny else config.clip
    data = {"pictures": str(place.packed / "pictures"), "clips": 4 if place.tiny else HOLES} | _cropped(place)
    return written(
        config, place.work / "fill.toml", out=str(place.work / FILL), steps=FOREVER, clip=clip, data=data,
        **_coders(place), **({"batch": HOLE_BATCH} | _small(place)),
    )  # fmt: skip


def _coders(place: Place) -> dict[str, str]:
    """What models of latents are trained on, under the names by which their files will know them.

    The autoencoder is the one just trained or, where there is none, the one it would have started from.
    """
    coded = place.model(AUTOENCODER)
    coded = place.named(AUTOENCODER, coded if coded.exists() else ROOT / _start(place))
    return {"autoencoder": str(coded), "text_encoder": str(place.named(WORDS, place.text))}


def _small(place: Place) -> dict[str, int]:
    return {"batch": 2, "reported": 2} if place.tiny else {}


def _cropped(place: Place) -> dict[str, int]:
    return {"crop": 32} if place.tiny else {}


def _evaluated(place: Place) -> Sequence[str]:
    model, clips = place.named(VIDEO, place.model(VIDEO)), place.clips("final")
    return ["-m", "studies.pocket.evaluate", str(model), str(clips), "--out", str(place.work / FIGURES)]


def _round_trip(place: Place) -> Sequence[str]:
    """Beside the file that it started from."""
    return [
        "-m",
        "studies.pocket.autoencoder",
        str(place.model(AUTOENCODER)),
        str(place.packed),
        "--beside",
        _start(place),
    ]


def _start(place: Place) -> str:
    """Of the autoencoder: what has travelled, or else what the committed configuration names."""
    config = TrainConfig.load(ROOT / "configs" / "pocket-autoencoder.toml")
    return str(place.start) if place.start.exists() else config.start_from
