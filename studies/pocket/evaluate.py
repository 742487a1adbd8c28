"""What a model makes of clips that it never saw: `python -m studies.pocket.evaluate MODEL CLIPS --out FOLDER`.

MODEL is a file of kind video, beside those that it names or as training left it; CLIPS is a folder of
python -m studies.pocket.clips. Writes FOLDER/figures.md, decibels of each effect against the truth, where the keyframe
shows a place and where it does not: of what was made, of the guide, and of the truth through the autoencoder;
FOLDER/figures.json; and FOLDER/sheet.png, rows of truth, guide and made for the first clip of each effect.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from microcinema_core.media import Frames
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.precision import default_device
from microcinema_core.training.data.pocket import read_folder
from microcinema_core.training.pocket import whole_model
from microcinema_core.training.reports.pocket import AT_ONCE, SAMPLING, WAYS, Measured, make, middle
from microcinema_core.training.sheets import save_sheet
from microcinema_core.worlds.pocket.effects import Effect

from ..shares import table

SHOWN = slice(None, None, 2)  # frames of a row


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/pocket-figures"))
    parser.add_argument("--steps", type=int, default=SAMPLING.steps)
    parser.add_argument("--cfg", type=float, default=SAMPLING.cfg)
    parser.add_argument("--most", type=int, help="clips; all of them where it is left out")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    sampling = SamplingConfig(steps=options.steps, cfg=options.cfg)
    measured, rows = _measured(options.model, options.clips, sampling, options.most)
    figures = {effect.value: middle(of) | {"clips": float(len(of))} for effect, of in measured.items() if of}
    everything = [one for of in measured.values() for one in of]
    figures["all"] = middle(everything) | {"clips": float(len(everything))}
    told = to_markdown(figures)
    (options.out / "figures.md").write_text(told + "\n", encoding="utf-8")
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    save_sheet(options.out / "sheet.png", rows)
    sys.stdout.write(told + "\n")


def _measured(
    path: Path, folder: Path, sampling: SamplingConfig, most: int | None
) -> tuple[dict[Effect, list[Measured]], list[Frames]]:
    """Every clip by its effect, and rows of the first of each."""
    model = whole_model(path, default_device())
    measured: dict[Effect, list[Measured]] = {effect: [] for effect in Effect}
    rows: list[Frames] = []
    seed, started = 0, time.monotonic()
    for clips in read_folder(folder, most):
        for part in clips.parts(AT_ONCE):
            made = make(model, part, range(seed, seed + len(part)), sampling)
            for number, (told, one) in enumerate(zip(part.told, made.measured(), strict=True)):
                if not measured[told.asked.effect]:
                    rows += [row[SHOWN] for row in made.rows(number)]
                measured[told.asked.effect].append(one)
            seed += len(part)
            sys.stderr.write(f"{seed} clips, {time.monotonic() - started:.0f} s\n")
    return measured, rows


def to_markdown(figures: dict[str, dict[str, float]]) -> str:
    """A row for each effect: decibels in what is known, then in holes."""
    columns = [f"{way}_{where}" for where in ("known", "hole") for way in WAYS]
    names = [column.replace("_", ", ").replace("trip", "round trip") for column in columns]
    rows = [
        [effect, f"{found['clips']:.0f}", *(f"{found[c]:.1f}" if c in found else "" for c in columns)]
        for effect, found in figures.items()
    ]
    return table(["effect", "clips", *names], rows)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
