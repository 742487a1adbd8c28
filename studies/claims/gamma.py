"""Gamma of the noise prior on Stable Diffusion's own schedule, a small grid: `python -m studies.claims.gamma`.

Toybox's schedule ends in pure noise, where gamma has nothing to repair. So its model goes on for some steps on the
schedule that Stable Diffusion has, which never saw less than a trace of the signal though sampling starts from none,
and its clips are then made with each gamma. What is done already stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.checkpoint.format import read_checkpoint, read_header, save_checkpoint_file
from microcinema_core.config import Kind, ScheduleName
from microcinema_core.files import written_whole
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import file_of, train
from microcinema_core.training.stages import build_stage

from ..shares import table
from .runs import CONFIG
from .scoring import Scores, decibels, evaluated, share

STEPS, SOME = 1000, 48  # of training; clips that each gamma is scored on
GRID = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)  # the paper's is the second
COLUMNS = ("right", "motion", "still")
HEAD = """# Gamma on Stable Diffusion's schedule

`python -m studies.claims.gamma` trains and scores what is missing and writes this page. The embedded Toybox model,
whose own schedule ends in pure noise, goes on for {steps} steps of 8 clips on Stable Diffusion's, which ends at a sigma
of 14.6; then the same {n} clips of the list `select` ([evaluation.md](../evaluation.md)) are made with each gamma,
lambda {prior_lambda}. In brackets 95 % intervals (Wilson). *Centre frame*: against the keyframe's round trip through
the autoencoder; *colour*: mean absolute error inside the shape, all frames; *flicker*: of what no shape covers.
Medians, pixels 0..1.

"""


def moved(source: Path, target: Path) -> Path:
    """The same weights, which are said to be of Stable Diffusion's schedule, whose times run over 0..999."""
    file = read_checkpoint(source)
    config = file.header.config
    diffusion, unet = replace(config.diffusion, schedule=ScheduleName.SD), replace(config.unet, timestep_scale=1.0)
    header = replace(file.header, config=replace(config, diffusion=diffusion, unet=unet))
    target.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint_file(target, replace(file, header=header))
    return target


def lesson(folder: Path, steps: int) -> TrainConfig:
    """The run that gets used to it."""
    return replace(
        TrainConfig.load(CONFIG),
        out=str(folder / "run"),
        autoencoder=str(embedded(Kind.AUTOENCODER)),
        text_encoder=str(embedded(Kind.TEXT_ENCODER)),
        image="",
        start_from=str(folder / "start.safetensors"),
        steps=steps,
        checkpoint_every=250,
        sample_every=steps,
    )


def page(scores: Mapping[float, Scores], steps: int, prior_lambda: float) -> str:
    """Markdown. scores: by gamma."""
    rows = [[f"{gamma:g}", *_row(found)] for gamma, found in scores.items()]
    n = max(share(found, "right").n for found in scores.values())
    columns = ["gamma", *COLUMNS, "centre frame, dB", "colour", "flicker"]
    return HEAD.format(steps=steps, n=n, prior_lambda=prior_lambda) + table(columns, rows) + "\n"


def _row(found: Scores) -> list[str]:
    medians = found["appearance"]["medians"]
    shares = [str(share(found, column)) for column in COLUMNS]
    return [*shares, f"{decibels(found):.1f}", f"{medians['colour_tracked']:.4f}", f"{medians['flicker']:.4f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.claims.gamma", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--clips", type=int, default=SOME, help="that each gamma is scored on")
    parser.add_argument("--folder", type=Path, default=Path("out/claims"))
    parser.add_argument("--page", type=Path, help="gamma.md in that folder where it is left out")
    options = parser.parse_args(arguments)
    folder = options.folder / f"gamma-{options.steps}-steps"
    config = lesson(folder, options.steps)
    if not file_of(config).exists():
        moved(embedded(Kind.VIDEO), Path(config.start_from))
        train(config, build_stage)
    scores = {gamma: evaluated(file_of(config), folder / f"gamma-{gamma:g}", options.clips, gamma) for gamma in GRID}
    prior_lambda = read_header(file_of(config)).config.diffusion.prior_lambda
    with written_whole(options.page or folder / "gamma.md") as temporary:
        temporary.write_text(page(scores, options.steps, prior_lambda), encoding="utf-8")


if __name__ == "__main__":
    main()
