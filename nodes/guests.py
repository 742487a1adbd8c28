"""What other nodes change of a MODEL: what this one cannot follow is refused in words, and not silently ignored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..microcinema_core.errors import InputError

ONE_PICTURE = {"RenormCFG", "TemporalScoreRescaling"}
SKIPPING = {"SkipLayerGuidanceDiT", "SkipLayerGuidanceDiTSimple"}
SELF_ATTENTION, AFTER_ATTENTION = "attn1", "attn1_output_patch"  # what of blocks the network itself looks after
GUIDANCE = ("sampler_cfg_function", "sampler_calc_cond_batch_function")  # one function each
GUIDANCE_LISTS = ("sampler_pre_cfg_function", "sampler_post_cfg_function")
PROBE_SIGMA, PROBE_INPUT, PROBE_OUTPUT = 2.0, 1.0, 2.0  # where each of the host's kinds of prediction says another
NEAR = 0.25  # of what a schedule made anew may be off from the one trained with
BEYOND = 10  # times the largest sigma: schedules made by hand may begin a little beyond it


def maker(change: Any) -> str:
    """The node that made a function, object or class: `HyperTile` of `HyperTile.execute.<locals>.hypertile_in`."""
    name: str = getattr(change, "__qualname__", type(change).__qualname__)
    return name.partition(".")[0]


def no_place(node: str, place: str) -> str:
    """What is said of a node that acts where this model's networks have nothing for it."""
    return (
        f"MicroCinema: {node} acts inside the blocks of another network ({place}); this model's blocks have no place "
        "for it, so it would do nothing; take it out"
    )


def check_call(options: Mapping[str, Any]) -> None:
    """transformer_options of one call of the network. Raises InputError for what only the host's own blocks can do."""
    for place, node in _inside_blocks(options):
        raise InputError(no_place(node, place))
    if maker(options.get("easycache")) == "LazyCacheHolder":
        raise InputError(
            "MicroCinema: LazyCache repeats how one step changed the noisy latents, and with this model's noise levels "
            "only noise comes of it; take EasyCache instead"
        )


def check_guidance(options: Mapping[str, Any], frames: int) -> None:
    """model_options of a run of `frames` latent frames at once.

    Raises InputError for guidance that acts on one picture alone or skips blocks, and for windows over no frames.
    """
    for function in _guidance(options):
        node = maker(function)
        if node in SKIPPING:
            raise InputError(no_place(node, "guidance by what changed blocks make"))
        if node in ONE_PICTURE and frames > 1:
            raise InputError(
                f"MicroCinema: {node} can work on one picture at a time only, and this clip's frames are a batch of "
                f"{frames}; take it out"
            )
    dim = getattr(options.get("context_handler"), "dim", 0)
    if dim != 0:
        raise InputError(
            f"MicroCinema: the context windows are over dimension {dim} of the latents, and this model's frames are in "
            "dimension 0; take Context Windows (Manual) with dim 0"
        )


def check_sampling(given: Any, own: Any) -> None:
    """Raises InputError where a MODEL's sampling is not read as the network was trained, `own`.

    Other noise levels are allowed; another kind of prediction or of time is not.
    """
    for mine, theirs in zip(_reading(own), _reading(given), strict=True):
        if not torch.isclose(theirs, mine, rtol=NEAR).all():
            raise InputError(
                f"MicroCinema: {maker(type(given))} makes the sampler read this MODEL as one of another kind, and only "
                "noise would come of it; take that node out"
            )


def check_levels(options: Mapping[str, Any], sampling: Any) -> None:
    """The first of a run's noise levels, which the host tells in transformer_options; a call outside a run has none.

    Raises InputError for one that is far from any of this model's; what is no number is left to the check of estimates.
    """
    levels = options.get("sample_sigmas")
    if levels is None:
        return
    first, largest = float(levels[0]), float(sampling.sigma_max)
    if first < 0 or BEYOND * largest < first < math.inf:
        raise InputError(
            f"MicroCinema: the sampler was given the noise level {first:g}, and this model's go from 0 to {largest:g}; "
            "take the sigmas from BasicScheduler (SDTurboScheduler counts the steps of another kind of model)"
        )


def _inside_blocks(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(where it acts, the node that made it)."""
    for place, changes in (options.get("patches") or {}).items():
        if place != AFTER_ATTENTION:
            yield from ((place, maker(change)) for change in changes)
    for place, changes in (options.get("patches_replace") or {}).items():
        if place != SELF_ATTENTION:
            yield from ((place, maker(change)) for change in changes.values())
    if options.get("rope_options"):
        yield "rope_options", "ScaleROPE"


def _guidance(options: Mapping[str, Any]) -> Iterator[Any]:
    yield from (options[name] for name in GUIDANCE if options.get(name) is not None)
    for name in GUIDANCE_LISTS:
        yield from options.get(name) or ()


def _reading(sampling: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What the network is given at one sigma, its input and time, and what is made of its output."""
    sigma, x, out = (torch.full((1,), value) for value in (PROBE_SIGMA, PROBE_INPUT, PROBE_OUTPUT))
    return (
        sampling.calculate_input(sigma, x),
        sampling.timestep(sigma).float(),
        sampling.calculate_denoised(sigma, out, x),
    )
