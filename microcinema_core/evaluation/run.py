"""Score trained Toybox files on a fixed list: `python -m microcinema_core.evaluation.run --list select`.

Checkpoints and sampling settings are chosen on `select`; `final` is for the figures that are published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..autoencoder import LatentCodec
from ..checkpoint.components import load_codec
from ..checkpoint.embedded import embedded
from ..checkpoint.format import read_header, sha256_of, written_whole
from ..pipeline import ImagePipeline, MicroCinemaPipeline
from ..toybox.triples import LISTS, TIMES, Triple, read_prompts, read_triples
from ..toybox.world import render
from .toybox import baselines, evaluate, evaluate_keyframes

SIZE = 128


def reconstruction(codec: LatentCodec, triples: Sequence[Triple]) -> dict[str, float]:
    """PSNR in dB of the autoencoder on whole frames of combinations that were held out of training."""
    scenes = [triple.scene for triple in triples if triple.held_out]
    times = np.resize(TIMES, len(scenes))
    frames = np.concatenate([render(s, [float(t)], SIZE) for s, t in zip(scenes, times, strict=True)])
    pixels = torch.from_numpy(frames).movedim(-1, 1).float() / 255
    error = (codec.decode(codec.encode(pixels)) - pixels).square().mean(dim=(1, 2, 3))
    decibels = -10 * torch.log10(error)
    return {"n": len(frames), "median": decibels.median().item(), "lowest": decibels.min().item()}


def _bar(total: int, what: str) -> tuple[tqdm[Any], Any]:
    bar = tqdm(total=total, desc=what)
    return bar, lambda done, _: bar.update(done - bar.n)


def score(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as one JSON-ready dictionary with their tables as text."""
    model, image_model = options.model or embedded("video"), options.image_model or embedded("image")
    triples, prompts = read_triples(options.list), read_prompts()
    if options.limit:
        every = max(1, len(triples) // options.limit)
        triples, prompts = triples[::every], prompts[: options.limit]
    sampling = {"steps": options.steps, "cfg": options.cfg, "sampler": options.sampler}
    result: dict[str, Any] = {"list": options.list, "torch": torch.__version__}
    tables: dict[str, str] = {}
    if "clips" in options.parts:
        pipeline = MicroCinemaPipeline.from_pretrained(model)
        settings: dict[str, Any] = {}

        def clips(keys: list[NDArray[np.uint8]], texts: list[str], seeds: list[int]) -> list[NDArray[np.uint8]]:
            made = pipeline(keys, texts, seed=seeds, **sampling)
            settings.update({k: v for k, v in made.settings[0].items() if k not in ("prompt", "seed")})
            return list(made.frames)

        bar, step = _bar(len(triples), "clips")
        scores = evaluate(clips, triples, batch=options.batch, progress=step)
        bar.close()
        result["clips"] = {"settings": settings, "sha256": sha256_of(model), **scores.to_dict()}
        result["autoencoder"] = reconstruction(load_codec(model), triples)
        result["provenance"] = read_header(model).provenance
        tables["Clips"] = scores.to_markdown()
    if "keyframes" in options.parts:
        images = ImagePipeline.from_pretrained(image_model)
        bar, step = _bar(len(prompts), "keyframes")
        seen = evaluate_keyframes(
            lambda texts, seeds: list(images(texts, seed=seeds, **sampling).pictures),
            prompts,
            batch=options.batch,
            progress=step,
        )
        bar.close()
        result["keyframes"] = {"sha256": sha256_of(image_model), **seen.to_dict()}
        tables["Keyframes"] = seen.to_markdown()
    if "baselines" in options.parts:
        floor = baselines(triples)
        result["baselines"] = floor.to_dict()
        tables["Without a model"] = floor.to_markdown()
    result["tables"] = tables
    return result


def to_markdown(result: dict[str, Any]) -> str:
    lines = [f"# Toybox figures, list `{result['list']}`", ""]
    if "autoencoder" in result:
        psnr = result["autoencoder"]
        lines += [
            f"Autoencoder, {psnr['n']} held-out frames: median {psnr['median']:.1f}, lowest {psnr['lowest']:.1f} dB.",
            f"Sampling: {json.dumps(result['clips']['settings'])}",
            "",
        ]
    for title, table in result["tables"].items():
        lines += [f"## {title}", "", table, ""]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", choices=list(LISTS), default="select")
    parser.add_argument(
        "--parts", nargs="+", choices=["clips", "keyframes", "baselines"], default=["clips", "keyframes"]
    )
    parser.add_argument("--model", type=Path, help="a video file; the embedded one if left out")
    parser.add_argument("--image-model", type=Path, help="an image-stage file; the embedded one if left out")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--cfg", type=float)
    parser.add_argument("--sampler")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, help="only so many clips and pictures")
    parser.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    options = parser.parse_args(arguments)
    result = score(options)
    text = to_markdown(result)
    sys.stdout.write(text)
    if options.out is not None:
        for suffix, content in ((".md", text), (".json", json.dumps(result, indent=1) + "\n")):
            with written_whole(options.out.with_suffix(suffix)) as temporary:
                temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
