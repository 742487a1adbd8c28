"""A full-size step with guidance and a whole shot beside diffusers' networks, by the benchmark's own instruments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from ..speed.contest import OURS, RIVAL, Contest, OutOfTime
from ..speed.plan import Compiled, Measurement, What
from ..speed.rivals import RIVALS
from ..speed.summary import row
from .part import Figure, Gate, LeftOut, Task
from .plan import SIDES
from .sizes import autoencoder, network, place

PEERS = ("unet3d", "i2vgen", "svd")
# Ours over theirs. As they are, ours is not slower than any peer; compiled, what was set as the aim beside peers as
# diffusers ships them, whose networks are not compiled unless a user does it.
EAGER = 1.0
AIMS = dict(zip(SIDES, (0.60, 0.55), strict=True))
SHOT_AIM = ("H200", 3.0)  # seconds of a shot of 129 frames of 320x320 on that card; it plays for 4
LAST_ROUND = 20.0  # seconds before the limit after which nothing is begun
NOTHING_COMPILED = "eager"  # the backend of the tiny form: it goes the same way and compiles nothing


def plan(option: str) -> list[Measurement]:
    """`eager`, `shot`, or the size whose compiled steps are measured beside peers as they are.

    Compiling peers too takes minutes for each: that is `make bench`'s.
    """
    if option == "eager":
        pairs = [(Compiled.NOBODY, peer) for peer in PEERS] + [(Compiled.GRAPH, PEERS[0])]
        return [_step(peer, side, how) for how, peer in pairs for side in SIDES]
    if option == "shot":
        return [_shot(how) for how in (Compiled.NOBODY, Compiled.GRAPH)]
    side = int(option)
    first, *others = (_step(peer, side, Compiled.OURS) for peer in PEERS)
    return [first, *([_shot(Compiled.OURS)] if side == SIDES[0] else []), *others]


def _step(peer: str, side: int, how: Compiled) -> Measurement:
    return Measurement(What.STEP, peer, 5, pixels=side, guided=True, compiled=how)


def _shot(how: Compiled) -> Measurement:
    return Measurement(What.SHOT, PEERS[0], 1, compiled=how)


def smallest(option: str) -> list[Measurement]:
    """The same work at the smallest size, once, beside one peer; compiled ours alone, as tracing a network is slow."""
    return [replace(plan(option)[0], rounds=1, frames=2, pixels=64)]


def run(task: Task, gate: Gate) -> Iterator[Figure]:
    """Ratios, seconds, peaks of memory; compiled once before the gate."""
    torch.manual_seed(0)
    backend = NOTHING_COMPILED if task.tiny else "inductor"
    contest = Contest(
        network(task), place(task), task.folder / "turns", say=print, autoencoder=autoencoder(task), backend=backend
    )
    todo = smallest(task.option) if task.tiny else plan(task.option)
    if todo[0].compiled:
        contest.prepare(todo[0])
    else:
        _ = contest.ours.appearnet
    gate()
    contest.deadline = time.monotonic() + task.limit - LAST_ROUND
    for one in todo:
        try:
            yield from measured(contest, one, tiny=task.tiny)
        except OutOfTime:
            raise LeftOut(f"no time was left for {one.name} and what follows it") from None


def measured(contest: Contest, one: Measurement, *, tiny: bool) -> Iterator[Figure]:
    """What one measurement says."""
    made = row(one, contest.measure(one), {}, {}, contest.compile_seconds(one))
    title, times = RIVALS[one.rival].title, made["seconds"]
    how = {Compiled.NOBODY: "", Compiled.GRAPH: ", ours replayed", Compiled.OURS: ", ours compiled"}[one.compiled]
    work = f"{one.what} of {one.frames}x{one.pixels}x{one.pixels}{how}"
    limit = None if tiny or one.what is What.SHOT else _aim(one)
    yield Figure(f"{work}: ours / {title}", made["ratio"]["median"], limit=limit)
    milliseconds = one.what is What.STEP
    scale, unit = (1000, "ms") if milliseconds else (1, "s")
    seconds = None if tiny or milliseconds or not one.compiled else _shot_aim(contest)
    yield Figure(f"{work}: ours", scale * times[OURS]["median"], unit, seconds)
    yield Figure(f"{work}: {title}", scale * times[RIVAL]["median"], unit)
    for who, spent in made.get("first_seconds", {}).items():
        yield Figure(f"{work}: first step of {'ours' if who == OURS else title}", spent, "s")
    if one.what is What.SHOT:
        yield Figure(f"{work}: peak of ours beyond weights", contest.peaks(one)[OURS] / 2**20, "MiB")


def _aim(one: Measurement) -> float | None:
    """The ratio that is wanted."""
    return AIMS[one.pixels] if one.compiled is Compiled.OURS else EAGER


def _shot_aim(contest: Contest) -> float | None:
    """Seconds of a shot, on the card that they were set for."""
    card, seconds = SHOT_AIM
    device = contest.place.device
    return seconds if device.type == "cuda" and card in torch.cuda.get_device_name(device) else None
