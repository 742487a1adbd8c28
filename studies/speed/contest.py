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
from diffusers import AutoencoderKL, EulerDiscreteScheduler
from torch import Tensor

from microcinema_core.config import UNetConfig

from ..cases import Record
from ..journal import Journal
from .gauge import Neighbours, Work, convolution_rate, count_flops, peak_bytes, seconds
from .given import Given, Place, random_network
from .ours import Ours, codec_of
from .plan import CONTROLLED, PLAIN, STEPS, WHOLE, Measurement, What
from .rivals import CONTROLNET, RIVALS, Rival

WARM_FRAMES = 2
WITH_PEAK = (What.STEP, What.CLIP, What.DECODE)
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
    ) -> None:
        self.config, self.place, self.folder = config, place, folder
        self.deadline, self.say, self.autoencoder = deadline, say, autoencoder
        self.networks: dict[str, Any] = {}  # of diffusers: those of one measurement

    @cached_property
    def ours(self) -> Ours:
        return Ours(self.config, self.place)

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

    def flops(self, one: Measurement) -> dict[str, int]:
        """Of each contestant in a step; counted on the meta device, where nothing is computed."""
        if one.what is not What.STEP:
            return {}

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
        given = Given.of(self.config, self.place, one.frames, one.pixels)
        self._keep({_shared(one, who) for who in self._names(one)})
        match one.what:
            case What.DECODE:
                return self._decoders(given)
            case What.STEP:
                return self._steps(one, given)
            case What.TSR:
                steps = STEPS[one.what]
                return {OURS: lambda: self.ours.segment(given, steps), RIVAL: self._loop(one.rival, given, steps)}
            case What.LOOP | What.CLIP:
                steps = STEPS[one.what]
                return {OURS: lambda: self.ours.loop(given, steps), RIVAL: self._loop(one.rival, given, steps)}

    def _steps(self, one: Measurement, given: Given) -> dict[str, Work]:
        appearance = self.ours.appearance(given)
        works: dict[str, Work] = {OURS: lambda: self.ours.step(given, appearance)}
        if one.rival == PLAIN:
            return {**works, RIVAL: lambda: self.ours.step(given, None)}
        network, rival = self._network(one.rival, RIVALS[one.rival]), RIVALS[one.rival]
        works[RIVAL] = lambda: rival.forward(network, given)
        if one.rival in CONTROLLED:
            controlnet = self._network(CONTROL, CONTROLNET)
            works[CONTROL] = lambda: CONTROLNET.forward(controlnet, given)
        return works

    def _loop(self, name: str, given: Given, steps: int) -> Work:
        """So many steps with diffusers' scheduler, without guidance."""
        network, rival = self._network(name, RIVALS[name]), RIVALS[name]

        def run() -> Tensor:
            scheduler: Any = EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
            scheduler.set_timesteps(steps, device=self.place.device)
            x = given.x
            for t in scheduler.timesteps:
                out = rival.forward(network, replace(given, x=scheduler.scale_model_input(x, t), t=t[None]))
                x = scheduler.step(out, t, x, return_dict=False)[0]
            return x

        return run

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
        controlled = one.what is What.STEP and one.rival in CONTROLLED
        return [OURS, RIVAL, CONTROL] if controlled else [OURS, RIVAL]

    def _warm_up(self, one: Measurement, contestants: dict[str, Work]) -> None:
        """A first forward is slower. Where its memory is wanted it is the whole work, else on a CPU a part of it."""
        recorded = [self._peak(one, who, work) for who, work in contestants.items()]
        if not all(recorded):
            short = one if self.place.device.type == "cuda" else replace(one, frames=WARM_FRAMES)
            for work in self.contestants(short).values():
                work()

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
