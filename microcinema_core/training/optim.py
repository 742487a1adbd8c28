"""Learning rate and weight averaging."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .config import OptimiserConfig
from .stage import Group


def learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Linear warm-up, then a half cosine to `final_lr` of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def make_optimiser(groups: Iterable[Group], config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW whose groups remember their `scale`; parameters that do not learn are left out."""
    learning = [
        {"params": [p for p in group.parameters if p.requires_grad], "scale": group.scale, "lr": config.lr}
        for group in groups
    ]
    return torch.optim.AdamW(learning, betas=(config.beta1, config.beta2), weight_decay=config.weight_decay)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Each group's learning rate: its `scale` times this one."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


class WeightAverage:
    """Exponential moving average of parameters, with a short memory at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.average = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        pairs = [(self.average[name], p.detach()) for name, p in parameters]
        torch._foreach_lerp_([a for a, _ in pairs], [p for _, p in pairs], 1 - decay)

    @torch.no_grad()
    def load(self, average: Mapping[str, Tensor], updates: int) -> None:
        """Go on from an average of the same parameters, after so many updates."""
        self.updates = updates
        for name, value in self.average.items():
            value.copy_(average[name])

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights and the average; a second call undoes the first."""
        for name, p in model.named_parameters():
            held = p.detach().clone()
            p.copy_(self.average[name])
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
