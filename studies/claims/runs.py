"""The runs: Toybox's video stage, each with one thing changed, on the same clips for as many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Injection, Kind
from microcinema_core.training.config import TrainConfig

from ..journal import ROOT

CONFIG = ROOT / "configs" / "toybox-video.toml"
STEPS = 2500


@dataclass(frozen=True, slots=True)
class Way:
    """What is compared. name: of its files; title: in the table; change: of the configuration."""

    name: str
    title: str
    change: Callable[[TrainConfig], TrainConfig]


def _injected(mode: Injection) -> Way:
    return Way(str(mode).replace("_", "-"), f"`{mode}`", lambda config: replace(config, injection=mode))


FULL = _injected(Injection.ADD_BOTH_SPADE)
CONCAT = _injected(Injection.CONCAT)
NO_LAMBDA = Way("no-lambda", "lambda = 0", lambda config: replace(config, prior_lambda=0.0))
NO_KEYFRAME = Way(
    "no-keyframe",
    "no keyframe: text alone",
    lambda config: replace(config, prior_lambda=0.0, data=replace(config.data, no_keyframe=1.0)),
)
WAYS = (CONCAT, _injected(Injection.ADD_DECODER), _injected(Injection.ADD_BOTH), FULL, NO_LAMBDA, NO_KEYFRAME)
TWICE = (FULL, CONCAT, NO_LAMBDA)  # what is asked of these has a second seed


@dataclass(frozen=True, slots=True)
class Run:
    """A way and a seed."""

    way: Way
    seed: int

    @property
    def name(self) -> str:
        return f"{self.way.name}-{self.seed}"

    def config(self, folder: Path, steps: int = STEPS, *, compile: bool = False) -> TrainConfig:
        """The whole of what is trained, below a folder, whose cache of clips all runs share."""
        plain = TrainConfig.load(CONFIG)
        plain = replace(
            plain,
            out=str(folder / self.name),
            autoencoder=str(embedded(Kind.AUTOENCODER)),
            text_encoder=str(embedded(Kind.TEXT_ENCODER)),
            image=str(embedded(Kind.IMAGE)),
            steps=steps,
            seed=self.seed,
            compile=compile,
            checkpoint_every=250,
            sample_every=steps,
            keep=1,
        )
        return self.way.change(plain)


def plan() -> Iterator[Run]:
    """What matters most first."""
    order: Sequence[Way] = (*TWICE, *(way for way in WAYS if way not in TWICE))
    yield from (Run(way, 0) for way in order)
    yield from (Run(way, 1) for way in TWICE)
