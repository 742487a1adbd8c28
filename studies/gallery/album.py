"""What is on the page, and the folder that keeps it: what is there with the same settings is not made again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from microcinema_core.checkpoint.embedded import NAME
from microcinema_core.files import written_whole
from microcinema_core.shot.dials import dials_of
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import SAMPLING, TSR_SAMPLING, SamplingConfig

from ..journal import fingerprint
from .drawing import Picture

MANIFEST, KEYFRAMES = "manifest.json", "keyframes"


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A picture with the name of its file."""

    name: str
    picture: Picture

    @property
    def file(self) -> str:
        """Relative to the page."""
        return f"{KEYFRAMES}/{self.name}.png"


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One shot. label: what tells it from those beside it."""

    label: str
    keyframe: Keyframe
    prompt: str
    seed: int
    shot: ShotConfig

    def to_dict(self) -> dict[str, Any]:
        """All that the shot follows from, beside weights and sampling."""
        digest = hashlib.sha256(self.keyframe.picture.tobytes()).hexdigest()
        shape = list(self.keyframe.picture.shape)
        return {"keyframe": [digest, shape], "prompt": self.prompt, "seed": self.seed, "shot": self.shot.to_dict()}


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One picture of the page: the keyframe of the first shot, then every shot. Stills show the keyframe's frame.

    asked: the motion that each shot asks for, where the page says what the tracker reads.
    """

    name: str
    asks: tuple[Ask, ...]
    caption: str
    columns: int = 4
    still: bool = False
    asked: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}.{'png' if self.still else 'webp'}"

    def to_dict(self) -> dict[str, Any]:
        asks = [{"label": ask.label, **ask.to_dict()} for ask in self.asks]
        return {"asks": asks, "columns": self.columns, "still": self.still, "asked": self.asked}


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A heading, a few words of Markdown, and pictures `across` in a row."""

    title: str
    text: str
    sheets: tuple[Sheet, ...] = ()
    across: int = 1


def command(ask: Ask, out: str, sampling: SamplingConfig, tsr_sampling: SamplingConfig) -> str:
    """The command line that makes the shot, run in the page's folder."""
    words = ["microcinema", "animate", "--model", NAME, "--image", ask.keyframe.file, "--prompt", ask.prompt]
    words += ["--seed", str(ask.seed)]
    dials = dials_of(ShotConfig)
    for name, value in ask.shot.changed().items():
        words.append("--" + (dials[name].option or name).replace("_", "-"))
        words += [] if value is True else [f"{value:g}" if isinstance(value, float) else str(value)]
    if sampling.steps != SAMPLING.steps:
        words += ["--steps", str(sampling.steps)]
    if ask.shot.passes and tsr_sampling.steps != TSR_SAMPLING.steps:
        words += ["--tsr-steps", str(tsr_sampling.steps)]
    return shlex.join([*words, "--out", out])


class Album:
    """The page's folder with its manifest: for each picture, and each result by name, what it was made from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / MANIFEST
        kept = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.pictures: dict[str, str] = kept.get("pictures", {})
        self.results: dict[str, dict[str, Any]] = kept.get("results", {})

    def picture(self, file: str, request: Any, write: Callable[[Path], None]) -> bool:
        """Whether the picture was made; it is not where it is there already, made from the same request."""
        key = fingerprint(request)
        if self.pictures.get(file) == key and (self.folder / file).exists():
            return False
        with written_whole(self.folder / file) as temporary:
            write(temporary)
        self.pictures[file] = key
        self._save()
        return True

    def keyframe(self, keyframe: Keyframe) -> None:
        digest = hashlib.sha256(keyframe.picture.tobytes()).hexdigest()
        self.picture(
            keyframe.file,
            digest,
            lambda path: Image.fromarray(keyframe.picture).save(path, format="PNG", optimize=True),
        )

    def result(self, name: str, request: Any, make: Callable[[], Any]) -> Any:
        """A JSON-ready result, computed where the manifest lacks it."""
        key = fingerprint(request)
        if self.results.get(name, {}).get("key") != key:
            self.results[name] = {"key": key, "value": make()}
            self._save()
        return self.results[name]["value"]

    def prune(self, wanted: Iterable[str]) -> None:
        """Remove pictures that this program made once and that the page no longer shows."""
        for file in set(self.pictures) - set(wanted):
            (self.folder / file).unlink(missing_ok=True)
            del self.pictures[file]
        self._save()

    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def write(self, file: str, text: str) -> None:
        with written_whole(self.folder / file) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _save(self) -> None:
        kept = {"pictures": self.pictures, "results": self.results}
        self.write(MANIFEST, json.dumps(kept, indent=1, sort_keys=True) + "\n")
