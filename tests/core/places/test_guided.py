"""The guided filter against its formula, pixel by pixel."""

import numpy as np
import pytest
import torch
from torch import Tensor

from microcinema_core.places.guided import guided, mean_about

RADIUS, EPSILON = 2, 1e-3


def by_formula(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """He, Sun and Tang's equations for a guide in colour, [H, W, 3] and [H, W], window by window in float64."""
    height, width = mask.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))
    window = {
        (y, x): np.s_[max(0, y - RADIUS) : y + RADIUS + 1, max(0, x - RADIUS) : x + RADIUS + 1]
        for y in range(height)
        for x in range(width)
    }
    for at, part in window.items():
        colours, values = picture[part].reshape(-1, 3), mask[part].ravel()
        spread = np.cov(colours.T, bias=True) + EPSILON * np.eye(3)
        together = (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean()
        slopes[at] = np.linalg.solve(spread, together)
        offsets[at] = values.mean() - slopes[at] @ colours.mean(0)
    made = [slopes[part].mean((0, 1)) @ picture[at] + offsets[part].mean() for at, part in window.items()]
    return np.array(made).reshape(height, width).clip(0, 1)


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(3, 9, 13, generator=torch.Generator().manual_seed(0))


def test_it_is_what_its_formula_says(picture: Tensor) -> None:
    masks = torch.rand(2, 9, 13, generator=torch.Generator().manual_seed(1))
    made = guided(picture, picture, masks, radius=RADIUS, epsilon=EPSILON)
    for one, mask in zip(made, masks, strict=True):
        truth = by_formula(picture.permute(1, 2, 0).double().numpy(), mask.double().numpy())
        assert np.abs(one.numpy() - truth).max() < 1e-4  # float32, and variances as differences of means


def test_a_coarse_mask_takes_the_edge_of_a_fine_picture() -> None:
    """An edge a third of a coarse pixel beside the coarse mask's: where the colour changes, the mask does."""
    picture = torch.zeros(3, 64, 96)
    picture[:, :, 50:] = 0.8
    small = torch.nn.functional.avg_pool2d(picture, 4)
    mask = torch.zeros(1, 16, 24)
    mask[..., 13:] = 1  # from column 52
    made = guided(picture, small, mask, radius=4, epsilon=1e-4)[0]
    assert (made[:, :49] < 0.3).all()
    assert (made[:, 51:] > 0.6).all()


def test_a_plain_picture_leaves_a_plain_mask(picture: Tensor) -> None:
    plain = torch.full_like(picture, 0.5)
    made = guided(plain, plain, torch.full((1, 9, 13), 0.75), radius=RADIUS, epsilon=EPSILON)
    assert made == pytest.approx(torch.full((1, 9, 13), 0.75).numpy(), abs=1e-5)


def test_means_count_only_what_lies_inside() -> None:
    assert mean_about(torch.tensor([[[1.0, 2.0, 6.0]]]), 1).tolist() == [[[1.5, 3.0, 4.0]]]
