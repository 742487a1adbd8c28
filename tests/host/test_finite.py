"""Sampling that leaves the numbers is an error that names the step, wherever the numbers were lost."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, Kit, pictures
from torch.utils._python_dispatch import TorchDispatchMode

STEPS = 5


def at_call(number: int, value: float = torch.nan) -> Callable[[torch.Tensor], torch.Tensor]:
    """What leaves tensors as they are, but for one number of that call's."""
    calls = 0

    def spoil(numbers: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == number:
            numbers = numbers.clone()
            numbers.view(-1)[-1] = value
        return numbers

    return spoil


def in_network(model: Any, call: int, value: float = torch.nan) -> Any:
    """A clone whose network gives that value at that call."""
    from comfy.patcher_extension import WrappersMP

    spoil, clone = at_call(call, value), model.clone()

    def wrapper(run: Callable[..., torch.Tensor], *given: Any, **named: Any) -> torch.Tensor:
        return spoil(run(*given, **named))

    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", wrapper)
    return clone


def after_guidance(model: Any, call: int) -> Any:
    """A clone with another pack's patch that gives NaN at that call."""
    spoil, clone = at_call(call), model.clone()
    clone.set_model_sampler_post_cfg_function(lambda given: spoil(given["denoised"]))
    return clone


# At cfg 1 there is one call a step.
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("step", [1, 3, STEPS])
def test_the_step_is_named(small: Kit, step: int, value: float) -> None:
    keyframe = pictures(1)
    prompts, said = small.encode(keyframe), f"became NaN or infinite at step {step} of {STEPS}; lower cfg"
    with pytest.raises(Exception, match=said):
        small.ksampler(prompts, small.prior(keyframe), steps=STEPS, cfg=1.0, model=in_network(small.model, step, value))
    with pytest.raises(Exception, match=said):
        small.sampler(keyframe, prompts, steps=STEPS, cfg=1.0, model=in_network(small.model, step, value))


class Waits(TorchDispatchMode):
    """Counts the numbers that are read from tensors: on a GPU, each of them waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function.overloadpacket.__name__ in ("_local_scalar_dense", "item", "is_nonzero")
        return function(*args, **(kwargs or {}))


def test_a_step_waits_for_the_device_once(small: Kit) -> None:
    """To learn whether the estimate before was a number, when the next one is under way."""
    from comfy.patcher_extension import WrappersMP

    prompts, latent, counts = small.encode(pictures(1)), small.prior(pictures(1)), []
    clone, waits = small.model.clone(), Waits()

    def counted(run: Callable[..., torch.Tensor], *given: Any, **named: Any) -> torch.Tensor:
        counts.append(waits.count)
        return run(*given, **named)

    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", counted)
    with waits:
        small.ksampler(prompts, latent, steps=STEPS, model=clone)
    assert [after - before for before, after in pairwise(counts[1:])] == [1] * (STEPS - 2)


def test_what_others_make_of_the_estimate_is_seen_too(small: Kit) -> None:
    prompts, latent = small.encode(pictures(1)), small.prior(pictures(1))
    for step, said in ((2, f"after step 2 of {STEPS}"), (STEPS, "at the last step")):
        with pytest.raises(Exception, match=f"became NaN or infinite {said}; lower cfg"):
            small.ksampler(prompts, latent, steps=STEPS, cfg=1.0, model=after_guidance(small.model, step))


def test_between_two_steps_it_is_the_step_under_way(small: Kit) -> None:
    prompts, latent = small.encode(pictures(1)), small.prior(pictures(1))
    spoiled = in_network(small.model, 4)  # the second of its two calls at the second step
    with pytest.raises(Exception, match=f"at step 2 of {STEPS}; "):
        small.ksampler(prompts, latent, "dpm_2", steps=STEPS, cfg=1.0, model=spoiled)


def test_a_scheduler_without_numbers_is_blamed(small: Kit) -> None:
    prompts, latent = small.encode(pictures(1)), small.prior(pictures(1))
    with pytest.raises(Exception, match=r"noise level.*; take"):
        small.ksampler(prompts, latent, scheduler="kl_optimal", steps=1)


def test_tsr_names_the_step(tsr: Kit) -> None:
    latents = torch.randn(FRAMES, 4, 4, 5, generator=torch.Generator().manual_seed(3))
    with pytest.raises(Exception, match="became NaN or infinite at step 2 of 3; "):
        tsr.run(
            "TSRInterpolate", model=in_network(tsr.model, 2), appearnet=tsr.appearnet, latent={"samples": latents},
            frames_per_clip=FRAMES, fps=2.0, passes=1, steps=3, seed=5, batch=8,
        )  # fmt: skip


def test_a_vae_without_numbers_is_refused(small: Kit) -> None:
    class Broken:
        def encode(self, picture: torch.Tensor) -> torch.Tensor:
            return small.vae.encode(picture) * torch.inf

        decode = encode

    with pytest.raises(Exception, match="the keyframe's latents are NaN or infinite; get the model's file"):
        small.encode(pictures(1), vae=Broken())
