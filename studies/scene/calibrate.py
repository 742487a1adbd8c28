"""How sure the network may be: weights of `places.find.how_sure`, from pictures that it was not taught."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.places.find import features, look
from microcinema_core.places.network import PLACES, Network

from .examples import Example
from .labels import IGNORED
from .measure import pixels

RIGHT = 0.5  # a mask is about right if it overlaps the label's by as much
PULL = 0.02  # towards the network's own word: few pictures say little


@torch.no_grad()
def cases(network: Network, examples: Iterable[Example]) -> tuple[Tensor, Tensor]:
    """Features [n, 4, 3] and whether each mask is about right [n, 4], of pictures."""
    values, right = [], []
    for example in examples:
        _, seen, kept = look(network, pixels(example.picture))
        values.append(features(seen, kept))
        mask = cv2.resize(example.mask, kept.shape[:0:-1], interpolation=cv2.INTER_NEAREST_EXACT)
        made, known = (kept > 0.5).numpy(), mask != IGNORED
        truth = np.stack([mask == value for value in range(1, 1 + len(PLACES))])
        both, either = (made & truth & known).sum((1, 2)), ((made | truth) & known).sum((1, 2))
        right.append(both >= RIGHT * np.maximum(either, 1))
    return torch.stack(values), torch.from_numpy(np.stack(right)).float()


def calibrated(network: Network, examples: Iterable[Example]) -> Tensor:
    """Weights [4, 3] under which how sure it says to be is how often it is right."""
    values, right = cases(network, examples)
    start = torch.tensor([1.0, 0.0, 0.0])
    weights = start.repeat(len(PLACES), 1).requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    there = values.isfinite().all(2)

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = (values.nan_to_num() * weights).sum(2)
        loss = F.binary_cross_entropy_with_logits(logits[there], right[there]) + PULL * (weights - start).square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weights.detach()
