"""Teach the network where things are: `python -m studies.scene.train POOL PACKAGES`.

POOL is what `studies.scene.pictures` and `studies.scene.labels` wrote, PACKAGES the folder of unpacked packages, for
their cut-outs. A run that was stopped goes on where it was, and ends as if it had not been: each step draws from its
own number.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from microcinema_core.files import written_whole
from microcinema_core.places.network import Network
from microcinema_core.places.stored import FILE

from .calibrate import calibrate_
from .cut_outs import load_cut_outs
from .examples import POINTS, CutOut, Example, checked, cut_outs_of, load_examples, view
from .labels import TAUGHT, read_labels
from .losses import Batch, loss

SMALL = ((192, 256), (256, 192), (224, 224), (160, 320))  # sizes of views: first these, then the full ones
FULL = ((256, 352), (352, 256), (288, 288), (224, 416))
PARTS = ("network", "average", "optimiser")  # of a run, in a kept state
OWN = 3  # how often a cut-out of our own labels counts against one of the packages
REPEATED = {0: 4, 3: 5, 4: 1}  # and those of none and of plants, of which there are few: not all that is pasted lives


@dataclass(frozen=True, slots=True)
class Settings:
    steps: int = 4500
    patched: float = 0.35  # share of the views that another picture covers in part
    small: float = 0.7  # share of the steps with smaller views
    batch: int = 16
    rate: float = 3e-3
    decay: float = 0.05
    average: float = 0.998  # of the weights, from step to step
    seed: int = 0

    @property
    def options(self) -> str:
        """As the command takes them."""
        return f"--steps {self.steps} --rate {self.rate:g} --seed {self.seed}"


class Normed(nn.Module):
    """A convolution with batch normalisation after it; `folded` makes one convolution of both."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def folded(self) -> dict[str, Tensor]:
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return {
            "weight": self.conv.weight * scale[:, None, None, None],
            "bias": norm.bias - norm.running_mean * scale,
        }


def folded(network: Network) -> dict[str, Tensor]:
    """The state of the same network with plain convolutions."""
    state: dict[str, Tensor] = {"calibration": network.calibration}
    for name, module in network.named_modules():
        if isinstance(module, Normed):
            state |= {f"{name}.{part}": value for part, value in module.folded().items()}
        elif isinstance(module, nn.Linear) or name == "out":
            state |= {f"{name}.{part}": value for part, value in module.state_dict().items()}
    return {name: value.detach() for name, value in state.items()}


class Material:
    """Batches of views of the labelled pictures; the same step draws the same batch."""

    def __init__(self, examples: Sequence[Example], cut_outs: Sequence[CutOut], settings: Settings) -> None:
        self.examples, self.cut_outs, self.settings = examples, cut_outs, settings
        wanted = [1 + 1.0 * (e.share(2) > 0.02) + 1.0 * (e.share(4) > 0.02) for e in examples]
        self.chances = np.array(wanted) / sum(wanted)

    def batch(self, step: int) -> Batch:
        settings = self.settings
        draw = np.random.default_rng([settings.seed, step])
        sizes = SMALL if step < settings.small * settings.steps else FULL
        size = sizes[int(draw.integers(len(sizes)))]
        chosen = draw.choice(len(self.examples), settings.batch, p=self.chances)
        views = []
        for i in chosen:
            other = self.examples[int(draw.integers(len(self.examples)))] if draw.random() < settings.patched else None
            views.append(view(self.examples[i], self.cut_outs, draw, size, other=other))
        points = np.full((settings.batch, POINTS, 3), np.nan, np.float32)
        for row, seen in zip(points, views, strict=True):
            row[: len(seen.points)] = seen.points[:POINTS]
        pictures = torch.from_numpy(np.stack([v.picture for v in views])).permute(0, 3, 1, 2).float() / 255
        masks, there = (torch.from_numpy(np.stack([getattr(v, name) for v in views])) for name in ("mask", "there"))
        return Batch(pictures.contiguous(memory_format=torch.channels_last), masks, torch.from_numpy(points), there)


class Run:
    """A network in training, its average, and the step it is at."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.step, self.began, self.options = settings, 0, "from nothing", settings.options
        self.network = _channels_last(Network(Normed))
        self.average = deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), settings.rate, weight_decay=settings.decay)

    def advance(self, batch: Batch) -> float:
        rate = self.settings.rate * min(1.0, (self.step + 1) / 100)
        rate *= 0.5 + 0.5 * math.cos(math.pi * self.step / self.settings.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.network(batch.pictures)
        value = loss(seen, batch)
        self.optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.settings.average, (self.step + 1) / (self.step + 10))
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
        return value.item()

    def state(self) -> dict[str, object]:
        return {"step": self.step, "began": self.began, "options": self.options} | {
            name: getattr(self, name).state_dict() for name in PARTS
        }

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.began, self.options = state["step"], state["began"], state["options"]

    def begin(self, paths: Sequence[Path]) -> None:
        """From what earlier runs had learnt when they ended: the mean of their weights."""
        states, told = [], Counter[str]()
        for path in paths:
            self.resume(path)
            told[f"{self.began}, then {{}} with {self.options} to step {self.step}"] += 1
            states.append({name: value.clone() for name, value in self.average.state_dict().items()})
        mean = {name: _mean([state[name] for state in states]) for name in states[0]}
        self.network.load_state_dict(mean)
        self.average.load_state_dict(mean)
        runs = [what.format("a run" if count == 1 else f"the mean of {count} runs") for what, count in told.items()]
        self.step, self.began, self.options = 0, " and ".join(runs), self.settings.options


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(0) if values[0].is_floating_point() else values[0]


def _channels_last(network: Network) -> Network:
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch knows it, its stub not


def publish(run: Run, path: Path, told: Mapping[str, object], others: Sequence[Example] = ()) -> None:
    """The averaged weights, float16, with what made them; calibrated by `others`, if any."""
    network = Network()
    network.load_state_dict(folded(run.average))
    if others:
        calibrate_(network.eval(), others)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        state = {name: value.half() for name, value in network.state_dict().items()}
        save_file(state, temporary, {"microcinema.places": "1", "provenance": json.dumps(told)})


def provenance(run: Run, material: Material) -> dict[str, object]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=40"], capture_output=True, text=True)
    settings = run.settings
    return {
        "command": f"python -m studies.scene.train POOL PACKAGES {settings.options}",
        "commit": commit.stdout.strip() or "unknown",
        "settings": asdict(settings) | {"step": run.step},
        "began": run.began,
        "data": f"{len(material.examples)} labelled pictures, {len(material.cut_outs)} cut-outs",
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--state", type=Path, default=Path("out/places-training.pt"), help="to go on from")
    parser.add_argument("--steps", type=int, default=Settings().steps)
    parser.add_argument("--rate", type=float, default=Settings().rate)
    parser.add_argument(
        "--start", type=Path, nargs="+", help="the kept state of an earlier run, to begin from; of several, their mean"
    )
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    settings = Settings(steps=options.steps, rate=options.rate, seed=options.seed)
    examples = list(load_examples(options.pool, read_labels([TAUGHT])))
    taught = [example for example in examples if not checked(example.name)]
    others = [example for example in examples if checked(example.name)]
    stamps = [thing for thing in load_cut_outs(options.packages) for _ in range(REPEATED[thing.value])]
    cut_outs = [*stamps, *OWN * list(cut_outs_of(taught))]
    run = Run(settings)
    if options.start:
        run.begin(options.start)
    teach(run, Material(taught, cut_outs, settings), options.state, options.out, others)


def teach(run: Run, material: Material, state: Path, out: Path, others: Sequence[Example]) -> None:
    """Go on to the last step, keeping what was learnt every few minutes; then see by `others` how sure to be."""
    if state.exists():
        run.resume(state)
    start, since, losses = time.monotonic(), run.step, [0.0]
    while run.step < run.settings.steps:
        losses.append(run.advance(material.batch(run.step)))
        if run.step % 250 == 0 or run.step == run.settings.steps:
            state.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(state) as temporary:
                torch.save(run.state(), temporary)
            publish(run, out, provenance(run, material))
            each = (time.monotonic() - start) / (run.step - since)
            sys.stdout.write(f"step {run.step}: loss {np.mean(losses[-250:]):.3f}, {each:.3f} s a step\n")
            sys.stdout.flush()
    publish(run, out, provenance(run, material), others)


if __name__ == "__main__":
    main()
