"""How sure the network may be, by pictures that it was not taught: `python -m studies.scene.calibrate POOL`.

Training ends with it; the command does it again for a file that is there.
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
from .measure import pixels

RIGHT = 0.5  # a mask is about right if it overlaps the label's by as much
PULL = 0.02  # towards the network's own word: few pictures say little


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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--network", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    labels = {name: label for name, label in read_labels([TAUGHT]).items() if checked(name)}
    weights = calibrated(load(options.network), load_examples(options.pool, labels))
    with safe_open(options.network, "pt") as file:
        stored, told = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    with written_whole(options.network) as temporary:
        save_file(stored | {"calibration": weights.half()}, temporary, told)


if __name__ == "__main__":
    main()
