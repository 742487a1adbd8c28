"""Latents that stop being numbers: said at the step where it happens, not shown as a black clip at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..microcinema_core.diffusion.samplers import is_finite
from ..microcinema_core.errors import InputError

REMEDY = (
    "lower cfg, try another sampler or scheduler, leave out LoRAs and other patches, or start ComfyUI with "
    "--force-fp32; if all that does not help, the model's file is damaged: get it anew"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one estimate at a noise level [1], not yet read from the device: whether it and its noisy latents are numbers.

    sigmas: the noise levels of the run; None outside one.
    """

    finite: Tensor
    given_finite: Tensor
    sigma: Tensor
    sigmas: Tensor | None

    def check(self) -> None:
        """Raises InputError for an estimate with NaN or infinity."""
        if bool(self.finite):
            return
        level = float(self.sigma)
        if not is_finite(self.sigma):
            raise InputError(f"MicroCinema: the scheduler gave {level} as a noise level; take another, or more steps")
        when = _when(level, self.sigmas, bool(self.given_finite))
        raise InputError(f"MicroCinema: the latents became NaN or infinite {when}; {REMEDY}")


class Watch:
    """Whether a model's estimates are numbers: read of each when the next is under way, so that no device waits for it.

    The last one's is read as the run ends.
    """

    def __init__(self) -> None:
        self.seen: Seen | None = None

    def see(self, estimate: Tensor, x: Tensor, sigma: Tensor, options: dict[str, Any]) -> None:
        """The next estimate [N, C, h, w], of noisy x in that shape. Raises InputError as `settle`, of the one before.

        sigma: [N] of one number. options: the host's, with the noise levels of the run; outside one, whose end would be
        told, nothing waits.
        """
        finite, given_finite = (numbers.isfinite().all() for numbers in (estimate, x))
        seen = Seen(finite, given_finite, sigma[:1].clone(), options.get("sample_sigmas"))
        self.settle()
        self.seen = seen
        if seen.sigmas is None:
            self.settle()

    def settle(self) -> None:
        """Raises InputError where the last one had NaN or infinity."""
        seen, self.seen = self.seen, None
        if seen is not None:
            seen.check()


def check_result(latents: Tensor) -> None:
    """Raises InputError for sampled latents [N, C, h, w] with NaN or infinity, which came after the last estimate."""
    if not is_finite(latents):
        raise InputError(f"MicroCinema: the latents became NaN or infinite at the last step; {REMEDY}")


def _when(level: float, sigmas: Tensor | None, by_model: bool) -> str:
    """The step, counted from 1. by_model: the noisy latents were finite, so it was the model's own estimate."""
    if sigmas is None:
        return f"at noise level {level:g}"
    step = max(1, int((sigmas >= level * (1 - 1e-6)).sum()))  # samplers ask between two levels too
    if by_model:
        return f"at step {step} of {len(sigmas) - 1}"
    return f"after step {step - 1} of {len(sigmas) - 1}" if step > 1 else "before the first step"
