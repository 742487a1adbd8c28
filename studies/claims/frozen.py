"""An AppearNet for a model that is frozen, against training time: `python -m studies.claims.frozen`.

The model makes clips of text alone: the run `no-keyframe-0` of `python -m studies.claims`, which is trained first where
it is not yet. configs/toybox-appearnet.toml then teaches it an AppearNet; its file is kept at some steps and scored
beside that model and beside the run `add-both-spade-0`, which learnt everything together. What is done already stays.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.files import written_whole
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import file_of, train
from microcinema_core.training.stages import build_stage

from ..journal import ROOT
from ..shares import table
from .__main__ import scored
from .runs import FULL, NO_KEYFRAME, STEPS, Run
from .scoring import CLIPS, Scores, decibels, evaluated, share

CONFIG = ROOT / "configs" / "toybox-appearnet.toml"
KEPT = (250, 500, 1000, 2000)  # steps whose file is scored
COLUMNS = ("right", "motion", "shape", "colour")
HEAD = """# An AppearNet for the model one has

`python -m studies.claims.frozen` trains and scores what is missing and writes this page. A Toybox model that was
trained on text alone ({before} steps of 8 clips) is frozen, and `configs/toybox-appearnet.toml`
(`learns = "appearnet"`) teaches it an AppearNet. Beside it: a model that learnt everything together.
{n} clips of the list `select` ([evaluation.md](../evaluation.md)); in brackets 95 % intervals (Wilson).
*Centre frame*: against the keyframe's round trip through the autoencoder, median. Minutes are of the steps alone.

"""


@dataclass(frozen=True, slots=True)
class Lesson:
    """The run that teaches the AppearNet, and what is kept of it."""

    folder: Path
    config: TrainConfig

    @classmethod
    def of(cls, folder: Path, start: Path) -> Lesson:
        plain = TrainConfig.load(CONFIG)
        coders = [str(embedded(kind)) for kind in (Kind.AUTOENCODER, Kind.TEXT_ENCODER)]
        plain = replace(plain, autoencoder=coders[0], text_encoder=coders[1])
        return cls(folder, replace(plain, out=str(folder / "appearnet"), start_from=str(start)))

    def kept(self, step: int) -> Path:
        return self.folder / f"appearnet-{step}" / "model.safetensors"

    @property
    def clock(self) -> Path:
        """Where the processor seconds of a step stand."""
        return self.folder / "appearnet-seconds.json"

    def run(self) -> None:
        """To its last step, its file kept at some of them."""
        if self.kept(KEPT[-1]).exists():
            return
        begun, taken = time.process_time(), 0

        def keep(step: int) -> None:
            nonlocal taken
            taken += 1
            if step in KEPT:
                self.kept(step).parent.mkdir(parents=True, exist_ok=True)
                copyfile(file_of(self.config), self.kept(step))
                self._note((time.process_time() - begun) / taken)

        train(self.config, build_stage, on_step=keep)

    def _note(self, seconds: float) -> None:
        with written_whole(self.clock) as temporary:
            temporary.write_text(json.dumps({"seconds of a step": seconds}), encoding="utf-8")

    def minutes(self, step: int) -> float:
        """Of a processor, for so many steps."""
        return step * float(json.loads(self.clock.read_text(encoding="utf-8"))["seconds of a step"]) / 60


def page(before: Scores, joint: Scores, after: Sequence[tuple[str, str, Scores]]) -> str:
    """Markdown. before: of the frozen model; joint: of what learnt everything; after: with steps and minutes."""
    rows = [
        ["frozen, without an AppearNet", "0", "", *_row(before)],
        *(["frozen, with one", steps, minutes, *_row(found)] for steps, minutes, found in after),
        ["everything together", str(STEPS), "", *_row(joint)],
    ]
    columns = ["model", "steps", "minutes of a processor", *COLUMNS, "centre frame, dB"]
    return HEAD.format(before=STEPS, n=share(joint, "right").n) + table(columns, rows) + "\n"


def _row(found: Scores) -> list[str]:
    return [*(str(share(found, column)) for column in COLUMNS), f"{decibels(found):.1f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.claims.frozen", description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS, help="that each model is scored on")
    parser.add_argument("--folder", type=Path, default=Path("out/claims"))
    parser.add_argument("--page", type=Path, help="frozen.md in that folder where it is left out")
    options = parser.parse_args(arguments)
    folder = options.folder / f"{STEPS}-steps"
    folder.mkdir(parents=True, exist_ok=True)
    text_alone = Run(NO_KEYFRAME, 0)
    before, joint = (scored(run, folder, STEPS, options.clips, compile=False) for run in (text_alone, Run(FULL, 0)))
    lesson = Lesson.of(folder, file_of(text_alone.config(folder)))
    lesson.run()
    after = []
    for step in KEPT:
        found = evaluated(lesson.kept(step), folder / f"appearnet-{step}", options.clips)
        after.append((str(step), f"{lesson.minutes(step):.0f}", found))
    with written_whole(options.page or folder / "frozen.md") as temporary:
        temporary.write_text(page(before, joint, after), encoding="utf-8")


if __name__ == "__main__":
    main()
