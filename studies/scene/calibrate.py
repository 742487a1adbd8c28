"""Which way the network leans, and how sure it may be: `python -m studies.scene.calibrate POOL`.

By pictures that it was not taught. Training ends with it; the command does it again for a file that is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from microcinema_core.files import written_whole
from microcinema_core.places.find import features, look
from microcinema_core.places.network import PLACES, Network
from microcinema_core.places.stored import FILE, load

from .examples import Example, checked, load_examples
from .labels import IGNORED, TAUGHT, read_labels
from .measure import THERE, pixels

RIGHT = 0.5  # a mask is about right if it overlaps the label's by as much
PULL = 0.02  # towards the network's own word: few pictures say little


LEANINGS = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75)  # added to a place's logit
COST = 2.0  # of a share of a picture that is seen where nothing is, against one of overlap


@torch.no_grad()
def leaning(network: Network, examples: Sequence[Example]) -> Tensor:
    """What to add to the logits of none and PLACES, [5], so that masks overlap their labels most."""
    logits = [_small_logits(network, example) for example in examples]
    best = torch.zeros(1 + len(PLACES))
    for _ in range(2):
        for place in range(1, len(best)):
            tries = [best.clone().index_fill_(0, torch.tensor(place), value) for value in LEANINGS]
            best = max(tries, key=lambda added: _worth(logits, added))
    return best


def _small_logits(network: Network, example: Example) -> tuple[Tensor, Tensor]:
    """Logits [5, h, w] and the mask [h, w] at their size."""
    _, seen, _ = look(network, pixels(example.picture))
    mask = cv2.resize(example.mask, seen.places.shape[:1:-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return seen.places[0], torch.from_numpy(mask)


def _worth(logits: Sequence[tuple[Tensor, Tensor]], added: Tensor) -> float:
    overlaps: dict[int, list[float]] = {}
    false = []
    for one, mask in logits:
        made, known = (one + added[:, None, None]).argmax(0), mask != IGNORED
        for value in range(1, len(added)):
            there, seen = (mask == value) & known, (made == value) & known
            if there.float().mean() >= THERE:
                overlaps.setdefault(value, []).append(float((there & seen).sum() / (there | seen).sum()))
            elif not there.any():
                false.append(float(seen.float().mean()))
    return float(np.mean([np.mean(values) for values in overlaps.values()]) - COST * np.mean(false or [0.0]))


@torch.no_grad()
def cases(network: Network, examples: Iterable[Example]) -> tuple[Tensor, Tensor]:
    """Features [n, 4, 4] and whether each mask is about right [n, 4], of pictures."""
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
    """Weights [4, 4] under which how sure it says to be is how often it is right."""
    values, right = cases(network, examples)
    start = torch.tensor([1.0, 0.0, 0.0, 0.0])
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


def calibrate_(network: Network, examples: Sequence[Example]) -> Network:
    """Both, in place."""
    assert network.out.bias is not None
    network.out.bias.detach()[: 1 + len(PLACES)] += leaning(network, examples)
    network.calibration.copy_(calibrated(network, examples))
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--network", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    labels = {name: label for name, label in read_labels([TAUGHT]).items() if checked(name)}
    network = calibrate_(load(options.network), list(load_examples(options.pool, labels)))
    with safe_open(options.network, "pt") as file:
        told = file.metadata()
    with written_whole(options.network) as temporary:
        save_file({name: value.half() for name, value in network.state_dict().items()}, temporary, told)


if __name__ == "__main__":
    main()
