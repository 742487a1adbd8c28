"""From what moves in clips to a motion that can be drawn anywhere: its rates, its waves, and where it is strong.

Spectra in time give the rates. At each of them the displacements of a clip are complex numbers over its region; the
plane waves that they consist of are found one by one, the strongest first, and those of all clips put together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..motion.taught import Taught
from .moving import Moving

LOWEST, HIGHEST, APART = 0.2, 8.0, 0.05  # times a second that are looked at
MOST_RATES, ENOUGH = 8, 0.92  # of the energy: when no more rates are looked for
LOBE = 1.6  # over a clip's seconds: within so much, a rate is not told from its neighbours
CYCLES, FINER = 7.0, 0.25  # in a region's size, that waves may have, either way; and how finely they are told apart
WAVES, LEFT = 5, 0.12  # of one clip at one rate; of its energy: when no more are looked for
SAME = 0.4  # cycles: nearer ones are one wave
KEPT = 12  # waves of a rate
SIDE = 8  # strengths of a region's side
WEAKEST = 0.15  # of the mean strength: what is weaker counts as this strong when waves are looked for
DIGITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """taught: what is drawn. rates, spectrum [R]: of all clips, the mean of their shares of energy."""

    taught: Taught
    rates: Tensor
    spectrum: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Wave:
    """cycles: across and down. coherence: [2, 2] complex, of right and down, whose trace is its energy."""

    cycles: tuple[float, float]
    coherence: Tensor

    @property
    def energy(self) -> float:
        return float(self.coherence.diagonal().real.sum())


def learnt_from(clips: Sequence[Moving]) -> Learnt:
    """From one clip or more, each of which counts alike."""
    rates = torch.arange(LOWEST, HIGHEST + APART / 2, APART, dtype=torch.float64)
    spectra = torch.stack([_spectrum(clip, rates) for clip in clips])
    spectrum = (spectra / spectra.sum(1, keepdim=True)).mean(0)
    seconds = sorted(len(clip.moved) / clip.fps for clip in clips)[len(clips) // 2]
    found = _rates(rates, spectrum, LOBE / seconds)
    strengths = _strengths(clips)
    waves: list[tuple[float, ...]] = []
    explained = 0.0
    for rate, share in found:
        each = [_waves(clip, rate, strengths) for clip in clips]
        waves += _described(rate, share, _together([wave for of in each for wave in of]))
        explained += share * sum(min(1.0, sum(wave.energy for wave in of)) for of in each) / len(clips)
    # What no wave explains is the error of the flow, or moves as nothing beside it does.
    size = sorted(clip.size for clip in clips)[len(clips) // 2] * math.sqrt(explained)
    rows = tuple(tuple(round(float(value), 3) for value in row) for row in strengths)
    return Learnt(Taught(round(size, 5), tuple(waves), rows, len(clips)), rates, spectrum)


def _turning(clip: Moving, rates: Tensor) -> Tensor:
    """What a clip's displacements are at rates: complex [R, N, 2], in sizes of the region."""
    t = torch.arange(len(clip.moved), dtype=torch.float64) / clip.fps
    window = torch.hann_window(len(t), periodic=False, dtype=torch.float64)
    turns = window * torch.polar(torch.ones((), dtype=torch.float64), -2 * math.pi * rates[:, None] * t)
    moved = clip.moved.to(turns).flatten(1)
    return (2 / window.sum() * turns @ moved).view(len(rates), -1, 2)


def _spectrum(clip: Moving, rates: Tensor) -> Tensor:
    """The energy of a clip's motion at rates: [R]."""
    energy = _turning(clip, rates).abs().square().sum(-1) @ clip.weights.double()
    return energy * (rates < 0.45 * clip.fps)


def _rates(rates: Tensor, spectrum: Tensor, lobe: float) -> list[tuple[float, float]]:
    """The rates of a spectrum and their shares of its energy, the strongest first."""
    left, whole, found = spectrum.clone(), float(spectrum.sum()), list[tuple[float, float]]()
    while len(found) < MOST_RATES and float(left.sum()) > (1 - ENOUGH) * whole:
        top = float(rates[left.argmax()])
        near = (rates - top).abs() <= lobe
        part = left * near
        middle = part * ((rates - top).abs() <= lobe / 2)
        found.append((round(float((middle * rates).sum() / middle.sum()), 3), float(part.sum()) / whole))
        left = left * ~near
    return found


def _strengths(clips: Sequence[Moving]) -> Tensor:
    """How strong the motion is over a region, [SIDE, SIDE], of mean square 1; each clip counts alike."""
    energy, seen = torch.zeros(SIDE * SIDE), torch.zeros(SIDE * SIDE)
    for clip in clips:
        here = clip.moved.square().sum(-1).mean(0)
        here = here / (here * clip.weights).sum() * clip.weights.sum()
        column, row = (clip.shares * SIDE).long().clamp(0, SIDE - 1).unbind(-1)
        energy.index_add_(0, row * SIDE + column, here * clip.weights)
        seen.index_add_(0, row * SIDE + column, clip.weights)
    shaped = torch.stack([energy, seen]).view(2, 1, SIDE, SIDE)
    even = torch.nn.functional.avg_pool2d(shaped, 3, 1, 1, count_include_pad=False)[:, 0]
    far = float(even[0].sum() / even[1].sum())  # where no clip has anything
    mean = (even[0] + 0.02 * far * even[1].mean()) / (even[1] + 0.02 * even[1].mean())
    return (mean / mean.mean()).sqrt()


def _waves(clip: Moving, rate: float, strengths: Tensor) -> list[_Wave]:
    """The plane waves of a clip at a rate, by matching pursuit on a grid of cycles."""
    column, row = (clip.shares * SIDE).long().clamp(0, SIDE - 1).unbind(-1)
    full = strengths[row, column].clamp(min=WEAKEST).double()
    left = _turning(clip, torch.tensor([rate], dtype=torch.float64))[0] / full[:, None]
    weights = (clip.weights * full.square()).double()
    weights = weights / weights.sum()
    steps = torch.arange(-CYCLES, CYCLES + FINER / 2, FINER, dtype=torch.float64)
    x, y = clip.places.double().unbind(-1)
    across, down = (torch.polar(torch.ones_like(place), 2 * math.pi * steps[:, None] * place) for place in (x, y))
    start = float((left.abs().square().sum(-1) * weights).sum())
    found: list[_Wave] = []
    while len(found) < WAVES and float((left.abs().square().sum(-1) * weights).sum()) > LEFT * start:
        # A wave along k is exp(-2 pi i k x) at a rate's own turn.
        seen = torch.stack([(down * (weights * part)) @ across.T for part in left.unbind(-1)])
        best = int(seen.abs().square().sum(0).argmax())
        j, i = divmod(best, len(steps))
        amplitude = seen[:, j, i]
        left = left - (across[i] * down[j]).conj()[:, None] * amplitude
        coherence = amplitude[:, None] * amplitude.conj()
        found.append(_Wave((float(steps[i]), float(steps[j])), coherence / max(start, 1e-30)))
    return found


def _together(waves: Sequence[_Wave]) -> list[_Wave]:
    """The strongest of all clips' waves, each with those that are near it."""
    left, found = sorted(waves, key=lambda wave: -wave.energy), list[_Wave]()
    while left and len(found) < KEPT:
        top = left[0].cycles
        near = [wave for wave in left if math.dist(wave.cycles, top) <= SAME]
        left = [wave for wave in left if math.dist(wave.cycles, top) > SAME]
        whole = sum(wave.energy for wave in near)
        across, down = (sum(wave.cycles[axis] * wave.energy for wave in near) / whole for axis in (0, 1))
        found.append(_Wave((across, down), torch.stack([wave.coherence for wave in near]).sum(0)))
    return found


def _described(rate: float, share: float, waves: Sequence[_Wave]) -> list[tuple[float, ...]]:
    """Rows of a taught motion, together with this share of its energy."""
    whole = sum(wave.energy for wave in waves)
    rows = []
    for wave in waves:
        _, vectors = torch.linalg.eigh(wave.coherence)
        right, below = vectors[:, -1] * math.sqrt(wave.energy / whole * share)
        phase = float((below / right).angle()) if abs(right) > 1e-9 else 0.0
        row = (*wave.cycles, float(right.abs()), float(below.abs()), phase)
        if max(row[2:4]) >= 10**-DIGITS:
            rows.append((rate, *(round(value, DIGITS) for value in row)))
    return rows
