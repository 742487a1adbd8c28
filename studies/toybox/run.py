"""Score trained Toybox files on a fixed list: `python -m studies.toybox.run --list select`.

Checkpoints and sampling settings are chosen on `select`; `final` is for the figures that are published. A run that
was stopped goes on where it was. docs/evaluation.md says how each figure is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.files import sha256_of, written_whole
from microcinema_core.shot.settings import SAMPLING, TSR_SAMPLING, SamplingConfig
from microcinema_core.training.sheets import save_sheet
from microcinema_core.worlds.toybox.triples import FPS, LISTS, Triple, read_prompts, read_triples

from ..cases import SIZE, Animate, Outcome, Part
from ..journal import measure_all
from ..shares import number, pick
from .anchor import BINDINGS, anchor_part, anchor_sheet, summarise_anchor
from .appearance import appearance_part
from .bench import Bench, pictures_of, reconstruction, round_trip_of
from .chains import LENGTH, chains_part, dial_cases, score_dial
from .clips import clips_part, failure_sheet, positions_part
from .scores import baselines, evaluate_keyframes
from .tsr import score_interpolation
from .words import exchange_part, speed_part

OUT = Path("out/evaluation")
# Parts that animate shots; the others are branches of `score`.
ANIMATED: dict[str, Callable[[Bench, Sequence[Triple]], Part]] = {
    "clips": lambda _, triples: clips_part(triples),
    "exchange": lambda _, triples: exchange_part(triples),
    "speed": lambda _, triples: speed_part(triples),
    "positions": lambda _, triples: positions_part(triples),
    "appearance": lambda bench, triples: appearance_part(triples, round_trip_of(bench.codec)),
    "chains": lambda _, triples: chains_part(triples),
}
PARTS = (*ANIMATED, "dial", "anchor", "tsr", "autoencoder", "keyframes", "baselines")
DIAL = (0.5, 0.75, 1.0, 1.25, 1.5)
TSR_CLIPS, TSR_SEEDS = 48, (0, 1, 2)


def _outcome(name: str, bench: Bench, triples: Sequence[Triple], options: argparse.Namespace) -> Outcome:
    part = ANIMATED[name](bench, triples)
    animate: Animate = bench.chains(LENGTH) if name == "chains" else bench.animate
    journal = bench.journal(name, [case.to_dict() for case in part.cases])
    records = measure_all(part, animate, journal, batch=options.batch, size=SIZE, bar=partial(tqdm, desc=name))
    outcome = part.summarise(part.cases, records)
    if name == "clips" and options.out is not None and outcome.figures["failures"]:
        sheet = failure_sheet(part.cases, outcome.figures["failures"], animate, SIZE)
        save_sheet(options.out.with_name(f"{options.out.name}-failures.png"), [sheet[None]])
    return outcome


def _keyframes(options: argparse.Namespace, sampling: SamplingConfig) -> Outcome:
    model = options.image_model or embedded(Kind.IMAGE)
    prompts = pick(read_prompts(), options.limit or sys.maxsize)
    with tqdm(total=len(prompts), desc="keyframes") as bar:
        scores = evaluate_keyframes(
            pictures_of(model, sampling),
            prompts,
            batch=options.batch,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    return Outcome({"sha256": sha256_of(model), **scores.to_dict()}, scores.to_markdown())


def _dial(bench: Bench, triples: Sequence[Triple], options: argparse.Namespace) -> Outcome:
    scores = score_dial(
        lambda motion: replace(bench, motion=motion).animate, dial_cases(triples), DIAL, batch=options.batch
    )
    return Outcome(scores.to_dict(), scores.to_markdown())


def _anchor(bench: Bench, triples: Sequence[Triple], options: argparse.Namespace) -> Outcome:
    """The same clips by every binding, each of which keeps its own journal."""
    part = anchor_part(triples, round_trip_of(bench.codec))
    benches = {binding: replace(bench, binding=binding) for binding in BINDINGS}
    records = {}
    for binding, bound in benches.items():
        journal = bound.journal("anchor", [case.to_dict() for case in part.cases])
        bar = partial(tqdm, desc=f"{binding.label}, prior {binding.prior}")
        records[binding] = measure_all(part, bound.animate, journal, batch=options.batch, size=SIZE, bar=bar)
    if options.out is not None:
        sheet = anchor_sheet(part.cases, lambda binding: benches[binding].animate)
        save_sheet(options.out.with_name(f"{options.out.name}-sheet.png"), [sheet[None]])
    return summarise_anchor(part.cases, records)


def _tsr(bench: Bench, triples: Sequence[Triple], options: argparse.Namespace) -> Outcome:
    """Each pass alone, from encoded true frames."""
    some = pick(triples, TSR_CLIPS)
    scenes, prompts = [triple.scene for triple in some], [triple.prompt for triple in some]
    sampling = replace(TSR_SAMPLING, steps=options.tsr_steps)
    figures: dict[str, Any] = {"settings": sampling.to_dict()}
    tables = []
    for level, fps in enumerate((FPS, 4 * FPS)):
        interpolate = bench.interpolate(level, prompts, sampling)
        scores = score_interpolation(interpolate, bench.codec, scenes, fps, 4, TSR_SEEDS)
        figures[f"{fps:g} to {4 * fps:g}"] = scores.to_dict()
        tables.append(f"{fps:g} to {4 * fps:g} frames a second\n\n{scores.to_markdown()}")
    return Outcome(figures, "\n\n".join(tables))


def score(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as one JSON-ready dictionary with their tables as text."""
    sampling = SamplingConfig(options.steps, options.cfg, options.sampler, options.gamma)
    bench = Bench(options.model or embedded(Kind.VIDEO), sampling, options.partial)
    triples = pick(read_triples(options.list), options.limit or sys.maxsize)
    result: dict[str, Any] = {
        "list": options.list,
        "n": len(triples),
        "torch": torch.__version__,
        "settings": bench.settings,
        "provenance": bench.provenance,
    }
    tables: dict[str, str] = {}
    for name in options.parts:
        if name in ANIMATED:
            outcome = _outcome(name, bench, triples, options)
        elif name == "autoencoder":
            figures = reconstruction(bench.codec, triples)
            shown = ", ".join(f"{key} {number(figures[key], 1)} dB" for key in ("median", "lowest"))
            outcome = Outcome(figures, f"{figures['n']} held-out frames: {shown}.")
        elif name == "keyframes":
            outcome = _keyframes(options, sampling)
        elif name == "dial":
            outcome = _dial(bench, triples, options)
        elif name == "anchor":
            outcome = _anchor(bench, triples, options)
        elif name == "tsr":
            outcome = _tsr(bench, triples, options)
        else:
            floor = baselines(triples)
            outcome = Outcome(floor.to_dict(), floor.to_markdown().rstrip())
        result[name], tables[name] = outcome.figures, outcome.markdown
    return {**result, "tables": tables}


def to_markdown(result: dict[str, Any]) -> str:
    lines = [
        f"# Toybox figures, list `{result['list']}` ({result['n']} clips)",
        "",
        f"`{json.dumps(result['settings'])}`",
    ]
    for name, text in result["tables"].items():
        lines += ["", f"## {name.capitalize()}", "", text]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", choices=list(LISTS), default="select")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["clips", "autoencoder", "keyframes"])
    parser.add_argument("--model", type=Path, help="a video file; the embedded one if left out")
    parser.add_argument("--image-model", type=Path, help="an image-stage file; the embedded one if left out")
    parser.add_argument("--steps", type=int, default=SAMPLING.steps)
    parser.add_argument("--cfg", type=float, default=SAMPLING.cfg)
    parser.add_argument("--sampler", default=SAMPLING.sampler)
    parser.add_argument("--gamma", type=float, help="the noise prior's; the model's own if left out")
    parser.add_argument("--tsr-steps", type=int, default=TSR_SAMPLING.steps)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, help="only so many clips and pictures, a fixed choice from the list")
    parser.add_argument("--out", type=Path, help="write OUT.md, OUT.json and OUT-failures.png")
    parser.add_argument("--partial", type=Path, default=OUT, help="keep what is done here; remove it to start afresh")
    options = parser.parse_args(arguments)
    result = score(options)
    text = to_markdown(result)
    sys.stdout.write(text)
    if options.out is not None:
        for suffix, content in ((".md", text), (".json", json.dumps(result, indent=1, allow_nan=False) + "\n")):
            with written_whole(options.out.with_name(options.out.name + suffix)) as temporary:
                temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
