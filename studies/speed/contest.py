"""Both sides of a measurement in one process, taking turns; what is done is kept and not done again."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from microcinema_core.config import UNetConfig

from ..cases import Record
from ..journal import Journal
from .gauge import Neighbours, Work, convolution_rate, count_flops, peak_bytes, seconds
from .given import Given, Place, random_network
from .ours import Ours, codec_of, compiled
from .plan import CONTROLLED, PLAIN, STEPS, WHOLE, Compiled, Measurement, What
from .rivals import CONTROLNET, RIVALS, Rival
from .whole import Forward, our_shot, steps_of, their_shot

WARM_FRAMES = 2
WITH_PEAK = (What.STEP, What.CLIP, What.SHOT, What.DECODE)
OURS, RIVAL, CONTROL = "ours", "rival", "controlnet"
SD_AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}


class OutOfTime(Exception):
    """The minutes that the run was given are over; the same command goes on from here."""


class Contest:
    """Measures, and keeps every round in a folder that belongs to this machine, these versions and this code."""

    def __init__(
        self,
        config: UNetConfig,
        place: Place,
        folder: Path,
        *,
        deadline: float = float("inf"),
        say: Callable[[str], object] = lambda line: None,
        autoencoder: dict[str, Any] = SD_AUTOENCODER,
        backend: str = "inductor",
    ) -> None:
        self.config, self.place, self.folder = config, place, folder
        self.deadline, self.say, self.autoencoder, self.backend = deadline, say, autoencoder, backend
        self.networks: dict[str, Any] = {}  # of diffusers: those of one measurement

    @cached_property
    def ours(self) -> Ours:
        return Ours(self.config, self.place)

    @cached_property
    def ours_compiled(self) -> Ours:
        return self.ours.compiled(self.backend)

    @cached_property
    def ours_replayed(self) -> Ours:
        return self.ours.replayed()

    @torch.inference_mode()
    def measure(self, one: Measurement) -> list[Record]:
        """Every round of it, and its peaks. Raises OutOfTime."""
        journal = self.journal(one.name)
        missing = [i for i in range(one.rounds) if i not in journal.records]
        if missing:
            self._check_time()
            contestants = self.contestants(one)
            self._warm_up(one, contestants)
        for i in missing:
            self._check_time()
            record = self.turn(one, contestants)
            journal.add(i, record)
            spent = ", ".join(f"{who} {s:.2f} s" for who, s in record["seconds"].items())
            self.say(f"{one.name} {i + 1}/{one.rounds}: {spent}")
        return [journal.records[i] for i in range(one.rounds)]

    @torch.inference_mode()
    def prepare(self, one: Measurement) -> None:
        """All that a measurement does before it is timed: networks are made, and compiled where that is asked for."""
        self._warm_up(one, self.contestants(one))

    def turn(self, one: Measurement, contestants: dict[str, Work]) -> Record:
        """One after the other, once each."""
        neighbours = Neighbours()
        rate = convolution_rate(self.place, one.frames, one.pixels // 8, self.config.block_out_channels[0])
        spent = {who: seconds(work, self.place) for who, work in contestants.items()}
        return {"seconds": spent, "convolutions": rate, "neighbours": neighbours.busy()}

    def journal(self, name: str) -> Journal:
        return Journal(self.folder / f"{name}.jsonl")

    def peaks(self, one: Measurement) -> dict[str, int]:
        """Bytes of each contestant's activations in a measured job; ours with the features that AppearNet left it."""
        if one.what not in WITH_PEAK:
            return {}
        found = {who: self.journal(_peak(one, who)).records for who in self._names(one)}
        peaks = {who: int(records[0]["bytes"]) for who, records in found.items()}
        if one.what is What.STEP:
            peaks[OURS] += self._once(f"appearance-{one.work}", lambda: self._appearance_bytes(one))
        return peaks

    def compile_seconds(self, one: Measurement) -> dict[str, float]:
        """What each compiled contestant's first step took, compiling included."""
        found = {who: self.journal(_first(one, who)).records for who in self._names(one)}
        return {who: float(records[0]["seconds"]) for who, records in found.items() if records}

    def flops(self, one: Measurement) -> dict[str, int]:
        """Of each contestant in a step; counted on the meta device, where nothing is computed."""
        if one.what is not What.STEP:
            return {}

        one = replace(one, compiled=Compiled.NOBODY)
        outline = cache(lambda: self._outline().contestants(one))

        def counted(who: str) -> int:
            return count_flops(outline()[who])

        names = {who: f"flops-{_shared(one, who)}-{one.work}" for who in self._names(one)}
        return {who: self._once(name, partial(counted, who)) for who, name in names.items()}

    def _appearance_bytes(self, one: Measurement) -> int:
        outline = self._outline()
        made = outline.ours.appearance(Given.of(self.config, outline.place, one.frames, one.pixels))
        return sum(tensor.nbytes for tensor in (*made.add.values(), *made.spade.values()))

    def _outline(self) -> Contest:
        """The same with networks that have shapes only."""
        return Contest(self.config, Place(torch.device("meta"), self.place.dtype), self.folder)

    @torch.inference_mode()
    def _once(self, name: str, figure: Callable[[], int]) -> int:
        journal = self.journal(name)
        if 0 not in journal.records:
            journal.add(0, {"figure": figure()})
        return int(journal.records[0]["figure"])

    def contestants(self, one: Measurement) -> dict[str, Work]:
        """Ours, the rival and, where it counts, a ControlNet; each does the work once when called."""
        rows = 2 if one.guided or one.what is What.SHOT else 1
        given = Given.of(self.config, self.place, one.frames, one.pixels, rows)
        self._keep(self._needed(one))
        ours = self._ours(one)
        match one.what:
            case What.DECODE:
                return self._decoders(given)
            case What.STEP:
                return self._steps(one, given, ours)
            case What.SHOT:
                return self._shots(one, given, ours)
            case What.TSR:
                steps, forward = STEPS[one.what], self._forward(one)
                return {OURS: lambda: ours.segment(given, steps), RIVAL: lambda: steps_of(forward, given, steps)}
            case What.LOOP | What.CLIP:
                steps, forward = STEPS[one.what], self._forward(one)
                return {OURS: lambda: ours.loop(given, steps), RIVAL: lambda: steps_of(forward, given, steps)}

    def _steps(self, one: Measurement, given: Given, ours: Ours) -> dict[str, Work]:
        appearance = self.ours.appearance(given)
        works: dict[str, Work] = {OURS: lambda: ours.step(given, appearance)}
        if one.rival == PLAIN:
            return {**works, RIVAL: lambda: ours.step(given, None)}
        forward = self._forward(one)
        works[RIVAL] = lambda: forward(given)
        if CONTROL in self._names(one):
            controlnet = self._network(CONTROL, CONTROLNET)
            works[CONTROL] = lambda: CONTROLNET.forward(controlnet, given)
        return works

    def _shots(self, one: Measurement, given: Given, ours: Ours) -> dict[str, Work]:
        network, forward = self._made(WHOLE, lambda: AutoencoderKL(**self.autoencoder)), self._forward(one)
        codec = codec_of(network)
        return {
            OURS: lambda: our_shot(ours, codec, given),
            RIVAL: lambda: their_shot(forward, lambda x: network.decode(x, return_dict=False)[0], given),
        }

    def _ours(self, one: Measurement) -> Ours:
        match one.compiled:
            case Compiled.NOBODY:
                return self.ours
            case Compiled.GRAPH:
                return self.ours_replayed
            case _:
                return self.ours_compiled

    def _forward(self, one: Measurement) -> Forward:
        """A rival's step."""
        network, rival = self._network(one.rival, RIVALS[one.rival]), RIVALS[one.rival]
        if one.compiled is Compiled.BOTH:
            name = _compiled(one.rival)
            if name not in self.networks:  # a compiled network is not asked for its truth: it would be for its length
                self.networks[name] = compiled(network, self.backend)
            network = self.networks[name]
        return partial(rival.forward, network)

    def _decoders(self, given: Given) -> dict[str, Work]:
        network = self._made(WHOLE, lambda: AutoencoderKL(**self.autoencoder))
        codec, latents = codec_of(network), given.x[0].transpose(0, 1)
        whole: Work = lambda: network.decode(latents, return_dict=False)[0].float()  # noqa: E731
        return {OURS: lambda: codec.decode(latents), RIVAL: whole}

    def _network(self, name: str, rival: Rival) -> Any:
        return self._made(name, lambda: rival.network(self.config))

    def _made(self, name: str, build: Callable[[], Any]) -> Any:
        if name not in self.networks:
            self.networks[name] = random_network(build, self.place)
        return self.networks[name]

    def _keep(self, names: set[str]) -> None:
        """Two networks of this size fit where three would not."""
        for name in set(self.networks) - names:
            del self.networks[name]
        gc.collect()

    def _names(self, one: Measurement) -> list[str]:
        controlled = one.what is What.STEP and one.rival in CONTROLLED and not (one.guided or one.compiled)
        return [OURS, RIVAL, CONTROL] if controlled else [OURS, RIVAL]

    def _needed(self, one: Measurement) -> set[str]:
        """The networks of diffusers that it takes."""
        decoder = {WHOLE} if one.what is What.SHOT else set()
        return {_shared(one, who) for who in self._names(one)} | {_compiled(one.rival)} | decoder

    def _warm_up(self, one: Measurement, contestants: dict[str, Work]) -> None:
        """A first forward is slower. Where its memory is wanted it is the whole work, else on a CPU a part of it."""
        for who, work in contestants.items():
            self._compile(one, who, work)
        recorded = [self._peak(one, who, work) for who, work in contestants.items()]
        if not all(recorded):
            short = one if self.place.device.type == "cuda" else replace(one, frames=WARM_FRAMES)
            for work in self.contestants(short).values():
                work()

    def _compile(self, one: Measurement, who: str, work: Work) -> None:
        """The first step of what is compiled, timed; for other jobs it is compiled as they are warmed up."""
        if one.what is What.STEP and (one.compiled is Compiled.BOTH or (one.compiled and who == OURS)):
            self._check_time()
            spent, journal = seconds(work, self.place), self.journal(_first(one, who))
            if 0 not in journal.records:  # else it is compiled already
                self.say(f"{_first(one, who)}: {spent:.1f} s")
                journal.add(0, {"seconds": spent})

    def _peak(self, one: Measurement, who: str, work: Work) -> bool:
        """Whether the work was done for its memory's sake."""
        journal = self.journal(_peak(one, who))
        if one.what not in WITH_PEAK or 0 in journal.records:
            return False
        self._check_time()
        journal.add(0, {"bytes": peak_bytes(work, self.place)})
        self.say(f"{_peak(one, who)}: {journal.records[0]['bytes'] / 2**20:.0f} MiB")
        return True

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTime


def _shared(one: Measurement, who: str) -> str:
    """Whose it is, whichever measurement it is made for."""
    return one.rival if who == RIVAL else who


def _peak(one: Measurement, who: str) -> str:
    return f"peak-{one.what}-{_shared(one, who)}-{one.work}"


def _first(one: Measurement, who: str) -> str:
    return f"first-{_shared(one, who)}-{one.work}"


def _compiled(name: str) -> str:
    return f"{name}-compiled"
