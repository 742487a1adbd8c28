"""The loss of every diffusion stage (Eq. 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import DiffusionConfig
from ..diffusion.prediction import Denoiser, Network
from ..diffusion.schedule import make_schedule
from .coders import Reads
from .data.batches import ClipBatch
from .stage import Draw


@dataclass(frozen=True, slots=True)
class Denoising:
    """Squared error of the network's output at random noise levels, through the same Denoiser that samples.

    no_text: share of null prompts, so that the model can be guided.
    towards_noise: above 1 draws more of the high noise levels.
    """

    diffusion: DiffusionConfig
    text: Reads
    no_text: float = 0.0
    towards_noise: float = 1.0

    def __call__(self, model: Network, batch: ClipBatch, draw: Draw) -> dict[str, Tensor]:
        u = torch.rand(len(batch.latents), generator=draw.generator)
        t = make_schedule(self.diffusion.schedule).sample_time(u, self.towards_noise)
        eps_n = torch.randn(batch.latents.shape, generator=draw.generator)
        texts = ["" if draw.rng.random() < self.no_text else text for text in batch.texts]
        return {"denoising": self.error(model, replace(batch, texts=texts), t, eps_n)}

    def error(self, model: Network, batch: ClipBatch, t: Tensor, eps_n: Tensor, weight: Tensor | None = None) -> Tensor:
        """At these times [B] and with this noise [B, C, T, h, w]: a scalar.

        weight: what an error counts for at each place, [B, 1, T, h, w]; None: the same everywhere.
        """
        diffusion, z_0 = self.diffusion, batch.latents
        denoiser = Denoiser(model, make_schedule(diffusion.schedule), diffusion.prediction, diffusion.prior_lambda)
        t = t.to(z_0.device)
        z_t, target = denoiser.training_pair(z_0, batch.guide, eps_n.to(z_0), t)
        context = self.text.encode(batch.texts).to(z_t) if batch.context is None else batch.context
        output = model(z_t, t, context, batch.guide, batch.frame_time)
        if weight is None:
            return F.mse_loss(output.float(), target)
        squared = (output.float() - target).square()
        return (squared * weight).mean() / weight.mean()
