"""Whole runs on both sides: steps with a scheduler, and a shot, which is sampled, interpolated and decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler
from torch import Tensor

from microcinema_core.shot.cascade import Interpolate, cascade
from microcinema_core.shot.settings import TSR_BATCH
from microcinema_core.standalone.autoencoders import LatentCodec

from .given import Given
from .ours import Ours
from .plan import SEGMENT, STEPS, What

PASSES = 2  # of temporal super-resolution: 9 frames become 129
CFG = 7.5
DECODED = 8  # frames at once, as the pipelines of diffusers for clips have it
Forward = Callable[[Given], Tensor]  # one step of a rival's network


def steps_of(forward: Forward, given: Given, steps: int, cfg: float = 1.0) -> Tensor:
    """So many steps with diffusers' scheduler, to latents [B, C, T, h, w]; cfg 1 is without guidance.

    With guidance `given` has two texts, of which the first is the prompt, and one clip is made: B is 1.
    """
    scheduler: Any = EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    scheduler.set_timesteps(steps, device=given.x.device)
    guided = cfg != 1.0
    x = given.x[:1] if guided else given.x
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t)
        out = forward(replace(given, x=scaled.expand_as(given.x), t=t[None]))
        if guided:
            out = out[1:] + cfg * (out[:1] - out[1:])
        x = scheduler.step(out, t, x, return_dict=False)[0]
    return x


def our_shot(ours: Ours, codec: LatentCodec, given: Given) -> int:
    """A clip with guidance, two passes of temporal super-resolution and decoding; the number of frames made."""
    base = ours.loop(given, STEPS[What.SHOT], CFG)[0]

    def segments(ends: Tensor, level: int, indices: range) -> Tensor:
        return ours.segments(ends, level, indices, given, STEPS[What.TSR])

    parts = codec.decoded(_interpolated(base, segments).to(given.x.dtype))
    return sum(len(part.cpu()) for part in parts)


def their_shot(forward: Forward, decoder: Callable[[Tensor], Tensor], given: Given) -> int:
    """The same work by a rival's network, which stands in for one that interpolates: as many segments and steps."""
    base = steps_of(forward, given, STEPS[What.SHOT], CFG)[0]

    def segments(ends: Tensor, level: int, indices: range) -> Tensor:
        noise = torch.randn_like(ends[:, :, :1].expand(-1, -1, SEGMENT, -1, -1))
        text = given.text[:1].expand(len(ends), -1, -1)
        return steps_of(forward, replace(given, x=noise, text=text), STEPS[What.TSR])

    return sum(len(decoder(part).cpu()) for part in _interpolated(base, segments).split(DECODED))


def _interpolated(base: Tensor, segments: Interpolate) -> Tensor:
    """Latents [C, T, h, w] -> [N, C, h, w] after both passes."""
    return torch.stack(list(cascade(list(base.unbind(1)), segments, PASSES, TSR_BATCH)))
