"""What the network is trained to output, and the one place where its inputs and outputs are scaled.

z_0: data; eps = lambda z_c + eps_n: the biased noise (Eq. 3); z_t = alpha z_0 + s eps (Eq. 4); sigma = s / alpha.
The sampler never sees the bias. It works on y = z_0 + sigma eps_n, and since z_t / alpha = y + sigma lambda z_c, adding
that shift inside the model makes every sampler exact, stochastic ones included. Tensors are model-space latents
[B, C, T, H, W] (or [B, C, H, W] for images); t and sigma are scalars or [B].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..config import Prediction
from ..models.guide import Guide
from .noise import biased_noise, prior_mean
from .schedule import Schedule, working

# (x_in [B, C, T, H, W], t [B], conditioning by name) -> raw eps or v [B, C, T, H, W]
Network = Callable[..., Tensor]


def per_item(value: Tensor, like: Tensor) -> Tensor:
    """A scalar or [B] value in the shape, dtype and device that multiply `like`: [] or [B, 1, 1, ...]."""
    value = value.to(like)
    return value if value.ndim == 0 else value.reshape(-1, *[1] * (like.ndim - 1))


def noisy(z0: Tensor, noise: Tensor, alpha: Tensor, s: Tensor) -> Tensor:
    """z_t = alpha z_0 + s eps (Eq. 4), [B, ...] in latents' shape; alpha and s are scalars or [B]."""
    return per_item(alpha, z0) * z0 + per_item(s, z0) * noise


def target(prediction: Prediction, z0: Tensor, noise: Tensor, alpha: Tensor, s: Tensor) -> Tensor:
    """What the network should output, [B, ...] like z_0: the biased noise eps (Eq. 5), or v = alpha eps - s z_0."""
    if prediction is Prediction.EPS:
        return noise
    return per_item(alpha, z0) * noise - per_item(s, z0) * z0


def to_x0(prediction: Prediction, output: Tensor, z_t: Tensor, alpha: Tensor, s: Tensor) -> Tensor:
    """The estimate of z_0 [B, ...] in a network output of z_t's shape. With eps it does not exist at alpha = 0."""
    alpha, s = per_item(alpha, z_t), per_item(s, z_t)
    if prediction is Prediction.EPS:
        return (z_t - s * output) / alpha
    return alpha * z_t - s * output


class Denoiser:
    """A trained network as a function from a noisy sample to its estimate of z_0; also its training pairs.

    `prior_lambda` is the checkpoint's lambda. The noise-only form of the prior uses 0 here and puts lambda into the
    start noise instead (`noise_only_start`).
    """

    def __init__(self, network: Network, schedule: Schedule, prediction: Prediction, prior_lambda: float) -> None:
        self.network = network
        self.schedule = schedule
        self.prediction = prediction
        self.prior_lambda = prior_lambda

    def denoise(self, y: Tensor, sigma: Tensor, guide: Guide | None, **conditioning: Any) -> Tensor:
        """E[z_0 | y], [B, C, T, h, w], for y = z_0 + sigma eps_n; sigma > 0 is a scalar or [B].

        `conditioning` goes to the network by name. Raises ValueError where a model with a lambda is given no guide.
        """
        sigma = working(sigma).to(y.device)
        alpha = (1 + sigma**2).rsqrt()
        s = sigma * alpha
        z_t = per_item(alpha, y) * y + per_item(s, y) * prior_mean(guide, self.prior_lambda)
        t = self.schedule.time_of_sigma(sigma).expand(y.shape[0])
        output = self.network(z_t, t, **conditioning)
        return to_x0(self.prediction, output, z_t, alpha, s)

    def training_pair(self, z0: Tensor, guide: Guide | None, eps_n: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(z_t, target), each [B, C, T, h, w], at times t [B]: the network's input and its wanted output (Eq. 3-5)."""
        alpha, s = self.schedule.alpha_sigma(t)
        eps = biased_noise(eps_n, guide, self.prior_lambda)
        return noisy(z0, eps, alpha, s), target(self.prediction, z0, eps, alpha, s)
