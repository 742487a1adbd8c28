"""Learning rate and weight averaging."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .config import AdamW, AverageOn, OptimiserConfig, RecipeConfig
from .shares import from_own, own, share_of
from .stage import Group

CPU_EVERY = 10  # steps: what learns goes over the bus, gigabytes of it


def learning_rate(step: int, steps: int, config: OptimiserConfig, elapsed: float = 0.0) -> float:
    """Linear warm-up, then a half cosine to `final_lr` of the peak.

    elapsed: of the run's time, 0..1, where that is limited; steps or time count, whichever is further on.
    """
    if step < config.warmup:
        warm = config.lr * (step + 1) / config.warmup
        return min(warm, _cooled(elapsed, config)) if elapsed else warm
    return _cooled(max(elapsed, (step - config.warmup) / max(1, steps - config.warmup)), config)


def _cooled(progress: float, config: OptimiserConfig) -> float:
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def make_optimiser(
    groups: Iterable[Group], config: OptimiserConfig, recipe: RecipeConfig, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW whose groups remember their `scale`; parameters that do not learn are left out.

    On a GPU it is fused, which keeps no second copy of anything. Raises ConfigError where a library is missing.
    """
    learning = [
        {"params": [p for p in group.parameters if p.requires_grad], "scale": group.scale, "lr": config.lr}
        for group in groups
    ]
    betas = (config.beta1, config.beta2)
    if recipe.adamw is AdamW.EIGHT_BIT:
        made: torch.optim.Optimizer = _eight_bit()(learning, betas=betas, weight_decay=config.weight_decay)
        return made
    fused = True if device.type == "cuda" else None
    return torch.optim.AdamW(learning, betas=betas, weight_decay=config.weight_decay, fused=fused)


def _eight_bit() -> Any:
    try:
        return importlib.import_module("bitsandbytes.optim").AdamW8bit
    except ImportError as error:
        raise ConfigError('[recipe] adamw = "8bit" needs bitsandbytes; pip install bitsandbytes') from error


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Each group's learning rate: its `scale` times this one."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


class WeightAverage:
    """Exponential moving average of the parameters that learn, with a short memory at the start.

    average: by name; where parameters are spread over processes, of this one's share.
    updates: steps it has seen. On the CPU one in CPU_EVERY of them counts, for as many.
    """

    def __init__(self, model: nn.Module, decay: float, kept: AverageOn = AverageOn.DEVICE) -> None:
        self.decay, self.updates = decay, 0
        self.every = CPU_EVERY if kept is AverageOn.CPU else 1
        learning = [] if kept is AverageOn.NONE else [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        there = torch.device("cpu") if kept is AverageOn.CPU else None
        self.average = {
            name: own(p.detach()).to(own(p).device if there is None else there, copy=True) for name, p in learning
        }

    @torch.no_grad()
    def update(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """After a step, with at least the parameters that learn."""
        self.updates += 1
        if self.updates % self.every or not self.average:
            return
        keeps = min(self.decay, self.updates / (self.updates + 10)) ** self.every
        pairs = [(self.average[name], own(p.detach())) for name, p in parameters if name in self.average]
        torch._foreach_lerp_([a for a, _ in pairs], [p.to(a.device) for a, p in pairs], 1 - keeps)

    def averaged(self, model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
        """The model's parameters of which there is an average."""
        return ((name, p) for name, p in model.named_parameters() if name in self.average)

    def of(self, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """By name, each as the model's parameter is spread."""
        return ((name, from_own(self.average[name], p)) for name, p in self.averaged(model))

    def load(self, model: nn.Module, average: Mapping[str, Tensor], updates: int) -> None:
        """Go on from a whole average of the model's parameters, after so many steps."""
        self.updates = updates
        for name, p in self.averaged(model):
            self.average[name].copy_(own(share_of(average[name], p)))

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights and the average; a second call undoes the first."""
        for name, p in self.averaged(model):
            held = own(p).clone()
            own(p).copy_(self.average[name])
            self.average[name].copy_(held)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged weights, as it is used and not as it is trained."""
        self.swap(model)
        model.eval()
        try:
            yield
        finally:
            model.train()
            self.swap(model)
