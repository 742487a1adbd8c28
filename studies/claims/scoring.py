"""What a model of the comparisons is scored by: the same clips, and the keyframe's own frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind

from ..shares import Share
from ..toybox import run as toybox

CLIPS = 200  # that each is scored on

Scores = Mapping[str, Any]  # what `studies.toybox.run` found


def evaluated(model: Path, out: Path, clips: int, gamma: float | None = None) -> Scores:
    """Of a file, from `out`.json, or else made. Toybox's coders are laid beside the model, which asks for them."""
    file = out.with_name(f"{out.name}.json")
    if not file.exists():
        for kind in (Kind.AUTOENCODER, Kind.TEXT_ENCODER):
            copyfile(embedded(kind), model.parent / embedded(kind).name)
        asked = ["--parts", "clips", "appearance", "--limit", str(clips), "--partial", str(out.parent / "evaluation")]
        asked += [] if gamma is None else ["--gamma", str(gamma)]
        toybox.main([*asked, "--model", str(model), "--out", str(out)])
    found: Scores = json.loads(file.read_text(encoding="utf-8"))
    return found


def share(found: Scores, name: str) -> Share:
    """Of all clips, those that are right by this reading."""
    of = found["clips"]["groups"]["all"][name]
    return Share(of["hits"], of["n"])


def decibels(found: Scores) -> float:
    """The keyframe's own frame against the autoencoder's round trip, median."""
    return float(found["appearance"]["centre_psnr"]["median"])
