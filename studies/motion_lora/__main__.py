"""Teach Toybox's model two motions that it never saw, each by a LoRA from sixteen clips, and read what it does then.

`python -m studies.motion_lora` trains by configs/motion-lora.toml, scores, and writes a page of docs/results with its
sheet. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.checkpoint.lora_header import LoraHeader
from microcinema_core.checkpoint.stored import open_file
from microcinema_core.config import Kind
from microcinema_core.files import written_whole
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import file_of, train
from microcinema_core.training.sheets import save_sheet
from microcinema_core.training.stages import build_stage
from microcinema_core.worlds.toybox.tracker import read_clip
from microcinema_core.worlds.toybox.triples import read_triples
from microcinema_core.worlds.toybox.world import Motion

from ..cases import SIZE, Case, Frames, Outcome, Part, Record
from ..journal import ROOT, measure_all
from ..shares import Share, pick, table
from ..toybox.bench import Bench
from .moves import ASKED, TAUGHT, WORDS, Move, cases, swing, write_clips, write_kept

CONFIG = ROOT / "configs" / "motion-lora.toml"
OUT = ROOT / "docs" / "results" / "motion-lora"
CLIPS, KEPT, HELD_OUT, OLD = 16, 16, 16, 16
DIAL = 8  # held-out clips at the strengths between
TAUGHT_SEED, ASKED_SEED = 1, 2
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SHOWN = 4
READERS = (Path(__file__).with_name("moves.py"),)  # records made by other code are not taken up


@dataclass(frozen=True, slots=True)
class Lesson:
    """A motion, and the run that teaches it by the configuration that comes with the program."""

    move: Move
    folder: Path
    config: TrainConfig

    @classmethod
    def of(cls, move: Move, folder: Path, steps: int | None) -> Lesson:
        config = TrainConfig.load(CONFIG)
        folder = folder / move
        lora = replace(config.recipe.lora, words=WORDS[move])
        run = replace(config, videos=str(folder / "videos"), out=str(folder / "run"), steps=steps or config.steps)
        return cls(move, folder, replace(run, recipe=replace(config.recipe, lora=lora)))

    @property
    def file(self) -> Path:
        return file_of(self.config)

    @property
    def clock(self) -> Path:
        """Where the processor time that it took stands."""
        return self.folder / "seconds.txt"

    @property
    def learned(self) -> bool:
        if not self.file.exists():
            return False
        header = LoraHeader.of(open_file(self.file)[1], self.file)
        return header is not None and header.provenance.get("steps") == self.config.steps

    def learn(self) -> None:
        """To the end, or on to it."""
        if self.learned:
            return
        videos = self.folder / "videos"
        if not videos.exists():
            write_clips(self.move, videos, CLIPS, TAUGHT_SEED)
            write_kept(videos, KEPT, TAUGHT_SEED)
        before, started = float(self.clock.read_text()) if self.clock.exists() else 0.0, time.process_time()

        def note(step: int) -> None:
            self.clock.write_text(str(before + time.process_time() - started))

        train(self.config, build_stage, on_step=note)


def see(case: Case, frames: Frames) -> Record:
    """What the tracker reads in a clip [T, H, W, 3], and how far it is either of the motions."""
    reading = read_clip(frames, case.times)
    swings = {str(move): swing(move, reading, case.times, SIZE) for move in Move}
    return {
        "motion": reading.motion,
        "looks": (reading.shape, reading.colour) == (case.scene.shape, case.scene.colour),
        "moves": {name: found.is_a(Move(name)) for name, found in swings.items()},
        "size": {name: found.size for name, found in swings.items()},
    }


@dataclass(frozen=True, slots=True)
class Measuring:
    """Clips of one kind by the embedded model with or without a LoRA; a name for what is kept of them."""

    name: str
    cases: list[Case]
    bench: Bench

    def records(self, batch: int) -> list[Record]:
        """Of every clip, in order: what is kept, and the rest made now."""
        part = Part(self.cases, see, lambda _, __: Outcome({}, ""))
        read_by = [path.read_text(encoding="utf-8") for path in READERS]
        journal = self.bench.journal(self.name, [*(case.to_dict() for case in self.cases), {"read by": read_by}])
        bar = partial(tqdm, desc=self.name)
        return measure_all(part, self.bench.animate, journal, batch=batch, size=SIZE, bar=bar)


def asked(lesson: Lesson, folder: Path) -> dict[float, Measuring]:
    """The new motion, asked for, with its LoRA at each strength."""
    some, made = cases(lesson.move, ASKED, HELD_OUT, ASKED_SEED), dict[float, Measuring]()
    for strength in STRENGTHS:
        loras = (Addition(lesson.file, strength),) if strength else ()
        shown = some if strength in (0.0, 1.0) else some[:DIAL]
        made[strength] = Measuring(f"{lesson.move}-{strength:.2f}", shown, replace(plain(folder), loras=loras))
    return made


def old(every: Sequence[Lesson], folder: Path) -> dict[str, Measuring]:
    """The world's own motions, asked for, without a LoRA and with each."""
    some = [Case.of(triple) for triple in pick(read_triples("select"), OLD)]
    bench = plain(folder)
    made = {"none": Measuring("old-none", some, bench)}
    for lesson in every:
        loras = (Addition(lesson.file),)
        made[lesson.move] = Measuring(f"old-{lesson.move}", some, replace(bench, loras=loras))
    return made


def plain(folder: Path) -> Bench:
    return Bench(embedded(Kind.VIDEO), SamplingConfig(), folder / "evaluation")


def dial_row(strength: float, move: Move, records: list[Record]) -> list[str]:
    does = Share.of([record["moves"][move] for record in records])
    looks = Share.of([record["looks"] for record in records])
    size = float(np.median([record["size"][move] for record in records]))
    return [f"{strength:g}", str(does.n), str(does), f"{size:.2f}", str(looks)]


def old_row(name: str, measuring: Measuring, batch: int) -> list[str]:
    """How many clips still do what their sentence says, of one of the world's own motions."""
    pairs = list(zip(measuring.records(batch), [case.scene for case in measuring.cases], strict=True))
    kept = Share.of([record["motion"] == scene.motion and record["looks"] for record, scene in pairs])
    strays = Share.of([any(record["moves"].values()) for record, _ in pairs])
    wrong = [scene.motion for record, scene in pairs if record["motion"] != scene.motion]
    counts = ", ".join(f"{motion} {wrong.count(motion)}" for motion in Motion if motion in wrong)
    return [name, str(kept), str(strays), counts or "-"]


def truth_row(move: Move) -> list[str]:
    some = cases(move, ASKED, HELD_OUT, ASKED_SEED)
    return ["the true clips", *dial_row(1.0, move, [see(case, case.truth()) for case in some])[1:]]


def sheet(lesson: Lesson, folder: Path) -> NDArray[np.uint8]:
    """[H, W, 3] at half size: some clips at strength 1, then the first of them at every strength."""
    made = asked(lesson, folder)
    shots = [case.shot() for case in made[1.0].cases[:SHOWN]]
    clips = [*made[1.0].bench.animate(shots), *(one.bench.animate(shots[:1])[0] for one in made.values())]
    return np.concatenate([np.concatenate(list(clip[:, ::2, ::2]), axis=1) for clip in clips])


def section(lesson: Lesson, folder: Path, batch: int) -> list[str]:
    """One motion's table: the dial."""
    move, size, lora = lesson.move, lesson.file.stat().st_size / 1000, lesson.config.recipe.lora
    minutes = float(lesson.clock.read_text()) / 60
    rows = [dial_row(strength, move, one.records(batch)) for strength, one in asked(lesson, folder).items()]
    return [
        f"## {move.capitalize()}",
        "",
        f"`{CONFIG.relative_to(ROOT)}` with the word `{WORDS[move]}`: {lesson.config.steps} steps of "
        f"{lesson.config.batch} clips, rank {lora.rank}, {minutes:.1f} minutes of processor time; the file has "
        f"{size:.0f} kB.",
        "",
        table(["strength", "clips", "does it", "size", "shape and colour right"], [*rows, truth_row(move)]),
        "",
    ]


def page(every: list[Lesson], folder: Path, batch: int) -> str:
    rows = [old_row(name, measuring, batch) for name, measuring in old(every, folder).items()]
    lines = [
        "# A motion of one's own",
        "",
        f"Two motions that Toybox does not have, each taught by a LoRA of temporal layers from {CLIPS} clips, by "
        "`python -m studies.motion_lora`, which also shows it "
        f"{KEPT} clips of Toybox's own motions with their sentences, so that it keeps them. The clips show "
        f"{', '.join(TAUGHT.shapes)} in {', '.join(TAUGHT.colours)} over {', '.join(TAUGHT.backgrounds)}; asked for "
        f"are {HELD_OUT} clips of {', '.join(ASKED.shapes)} in {', '.join(ASKED.colours)} over "
        f"{', '.join(ASKED.backgrounds)}, each with another sentence. What does a motion is read by a fit of the "
        "tracker's path, which knows neither sentence nor LoRA. Shares with 95 % intervals; *size*: the median of how "
        "far up and down it goes, of what the clips show.",
        "",
    ]
    for lesson in every:
        lines += section(lesson, folder, batch)
    lines += [
        "## Old motions",
        "",
        f"The {OLD} clips of the list `select`, whose sentences ask for Toybox's own motions, by a LoRA at strength 1.",
        "",
        table(["LoRA", "right", "read as zigzag or bounce", "motions read otherwise"], rows),
        "",
        f"![Sheet]({OUT.name}.png)",
        "",
        f"For each motion {SHOWN} held-out clips at strength 1, then the first of them at strength "
        f"{', '.join(f'{s:g}' for s in STRENGTHS)}.",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("out/motion-lora"), help="where clips and runs are kept")
    parser.add_argument("--teach", choices=list(Move), help="train this one LoRA and stop: two may learn at once")
    parser.add_argument("--measure", help="make and read only clips whose name begins so, and stop")
    parser.add_argument("--steps", type=int, help="of each LoRA; those of the configuration if left out")
    parser.add_argument("--batch", type=int, default=8, help="clips made at once")
    parser.add_argument("--out", type=Path, default=OUT, help="write OUT.md and OUT.png")
    options = parser.parse_args(arguments)
    every = [Lesson.of(move, options.folder, options.steps) for move in Move]
    if options.measure is not None:
        some = [one for lesson in every for one in asked(lesson, options.folder).values()]
        for one in (*some, *old(every, options.folder).values()):
            if one.name.startswith(options.measure):
                one.records(options.batch)
        return
    for lesson in every:
        if options.teach in (None, lesson.move):
            lesson.learn()
    if options.teach is not None:
        return
    text = page(every, options.folder, options.batch)
    sys.stdout.write(text)
    with written_whole(options.out.with_name(options.out.name + ".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    picture = np.concatenate([sheet(lesson, options.folder) for lesson in every])
    save_sheet(options.out.with_name(options.out.name + ".png"), [picture[None]])
    sys.stdout.write(json.dumps({lesson.move: str(lesson.file) for lesson in every}) + "\n")


if __name__ == "__main__":
    main()
