"""Particles at one distance: where each is at any time, by a closed formula.

Each goes round: it comes in at one side of the field and leaves at the other, or is born and dies, `rate` times a
second. In a clip that loops, a number n of them follows each other on one way, a clip's length apart, so that each ends
where the next began. Places are on the plane at their distance as the camera sees it at the keyframe, in heights of the
frame from its middle, x to the right and y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InputError
from ..camera import seen
from ..layer import KINDS, Layer
from ..moments import Moment, Moments, extremes
from ..plates import View
from .clock import Clock
from .particle_kinds import PARTICLES, Sheet
from .stamps import Floats, Stamps

MOST = 200_000  # particles of a layer at one distance
SHUTTER = 0.5 / 24  # seconds that it is open, at any rate: 180 degrees of a film's
GOLDEN = 0.6180339887498949
SMALL = (0.15, 0.3)  # of its own size, seen: a plane that is so small or so slanted fades away
LARGE = (1.6, 6.0)  # and one that is so near
MARGIN = 0.06  # heights around what is seen
SOFT = 0.2  # of the amount: how gently particles come and go with it
GUSTS = ((0.11, 1.0), (0.23, 0.45))  # times a second, and how far
BORN, DIES = 0.2, 0.4  # of a life
Bounds = tuple[float, float, float, float]  # along the heading from, to; across it from, to


@dataclass(frozen=True, slots=True, eq=False)
class Swarm:
    """Of N particles what stays. rate: rounds a second. rounds: after how many it begins again; 0: never."""

    drawn: Floats  # [N, DRAWN], 0..1
    rate: Floats
    shift: Floats  # of a round, beside the first that goes its way
    rounds: Floats


DRAWN = 12  # numbers drawn for a particle
START, ACROSS, SPEED, SIZE, SLOPE, RANK, WAVE, SLOW, TURN, FLIP, BLINK, SHADE = range(DRAWN)


class Field:
    """The particles of a layer at one distance."""

    def __init__(self, layer: Layer, sheet: Sheet, number: int, moments: Moments, view: View) -> None:
        """number: of the sheet. Raises InputError for too many."""
        self.layer, self.sheet, self.moments, self.view = layer, sheet, moments, view
        self.kind = PARTICLES[layer.kind]
        self.tall = view.aspect[1]
        angle = math.radians(layer.heading)
        self.along = np.array([math.cos(angle), -math.sin(angle)])
        self.across = np.array([math.sin(angle), math.cos(angle)])
        self.bounds = self._bounds()
        self.swarm = self._swarm(number)

    def stamps(self, moment: Moment) -> Stamps:
        """Those that are there at a moment and before the camera, for a frame of the view's size."""
        every = self.every(moment)
        return every.at((every.depth > 0) & np.isfinite(every.way).all(axis=1))

    def every(self, moment: Moment) -> Stamps:
        """All of them; those behind the camera are nowhere, NaN."""
        last = self.moments.frames / self.moments.fps
        now = moment.seconds
        half = SHUTTER / 2
        ends = (now - half, now + half)
        if moment.period is None:
            ends = max(ends[0], 0.0), min(ends[1], last)
        part, again = self._round(now)
        rate = self.swarm.rate * self.layer.speed
        before, after = (self._seen(self._places(t, part + rate * (t - now), again), self._at(t))[0] for t in ends)
        middle, scale = self._seen(self._places(now, part, again), moment)
        way = (after - before) * (SHUTTER / (ends[1] - ends[0]))
        radius, narrow, angle, depth, shade = self._looks(part)
        near = scale / self._zoom(moment)
        depth = depth * self._present(moment.u) * _step(scale, *SMALL) * (1 - _step(near, *LARGE))
        pixels = self.view.height * scale
        return Stamps(middle, radius * pixels, narrow, angle, way, depth, shade)

    def _zoom(self, moment: Moment) -> float:
        """How much the lens enlarges everything."""
        plan = self.moments.plan
        return plan.camera.zoom ** (plan.done(moment.u) - plan.done(moment.key))

    def _at(self, seconds: float) -> Moment:
        whole = self.moments.frames / self.moments.fps
        return self.moments.at(seconds % whole if self.moments.loop else seconds)

    def _seen(self, places: Floats, moment: Moment) -> tuple[Floats, Floats]:
        """Pixels of the frame [N, 2] and how large a length is seen, [N]; what is behind the camera: NaN."""
        matrix = seen(self.moments.plan, moment, self.sheet.distance, self.view.aspect)
        if matrix is None:
            return np.full_like(places, np.nan), np.full(len(places), np.nan)
        x, y, w = matrix @ np.column_stack([places * self.tall, np.ones(len(places))]).T
        w = np.where(w > 1e-3, w, np.nan)
        longer = max(self.view.width, self.view.height)
        pixels = np.column_stack([x / w, y / w]) * longer + (self.view.width / 2, self.view.height / 2)
        return pixels, np.sqrt(abs(np.linalg.det(matrix)) / w**3)

    def _bounds(self) -> Bounds:
        """What the camera sees of the plane at any moment of the plan, in the directions of the heading."""
        plan, key = self.moments.plan, self.moments[self.moments.keyframe].key
        wide, tall = self.view.aspect
        grid = np.linspace(-0.5, 0.5, 9)
        frame = np.stack([*np.meshgrid(grid * wide, grid * tall), np.ones((9, 9))]).reshape(3, -1)
        found = [frame[:2]]
        for moment in extremes(plan):
            matrix = seen(plan, replace(moment, key=key), self.sheet.distance, self.view.aspect)
            if matrix is None:
                continue
            x, y, w = np.linalg.inv(matrix) @ frame
            # w is 1 over what a point's own w is, seen; what is behind the camera has a negative one.
            size = np.sqrt(abs(np.linalg.det(matrix)) * np.clip(w, 0, None) ** 3)
            clear = (w > 1e-6) & (size > SMALL[0])
            found.append(np.stack([x[clear] / w[clear], y[clear] / w[clear]]))
        points = np.concatenate(found, axis=1) / self.tall
        along, across = self.along @ points, self.across @ points
        kind, d = self.kind, self.sheet.distance
        spare = MARGIN + (3 * kind.radius * self.sheet.blur * self.layer.size + kind.waver + kind.gust) / d
        # a streak's stamp ends a little more than its way from its middle
        spare += 1.2 * kind.speed * (1 + kind.speeds) * self.layer.speed * SHUTTER / d
        from_, to = float(along.min()) - spare, float(along.max()) + spare
        if kind.life:
            spare += self._travel / 2
        aside = spare + abs(kind.slope) * (self._travel if kind.life else to - from_) / 2
        return from_ - (self._travel if kind.life else 0), to, float(across.min()) - aside, float(across.max()) + aside

    @property
    def _travel(self) -> float:
        """How far one goes in its life."""
        assert self.kind.life is not None
        return self.kind.speed * self.kind.life / self.sheet.distance

    def _swarm(self, number: int) -> Swarm:
        layer, kind = self.layer, self.kind
        from_, to, left, right = self.bounds
        count = round(self.sheet.count * layer.amount * (to - from_) * (right - left))
        if count > MOST:
            raise InputError(
                f"{layer.kind} would be {count} particles at distance {self.sheet.distance:g}, and at most {MOST} are "
                "drawn; give a smaller amount, or a camera that goes less far"
            )
        order = list(KINDS).index(layer.kind)
        drawn = np.random.default_rng([layer.seed, order, number]).random((count, DRAWN))
        usual = 1 / kind.life if kind.life else kind.speed / self.sheet.distance / (to - from_)
        rate = usual * (1 + kind.speeds * (2 * drawn[:, SPEED] - 1))
        period = self.moments.frames / self.moments.fps * layer.speed if self.moments.loop else 0.0
        if not period:
            return Swarm(drawn, rate, np.zeros(count), np.zeros(count))
        return _looped(drawn, rate, period)

    def _round(self, seconds: float) -> tuple[Floats, Floats]:
        """How far each is on its way, 0..1, and its round."""
        swarm = self.swarm
        done = swarm.drawn[:, START] + swarm.shift + swarm.rate * seconds * self.layer.speed
        whole = np.floor(done)
        again = np.where(swarm.rounds > 0, np.mod(whole, np.maximum(swarm.rounds, 1)), whole)
        return done - whole, again

    def _waves(self, part: Floats, rate: float, phase: Floats) -> Floats:
        """A sine about `rate` times a second, a whole number of times in a round."""
        times = np.maximum(1, np.rint(rate / self.swarm.rate))
        return np.sin(2 * math.pi * (times * part + phase))

    def _places(self, seconds: float, part: Floats, again: Floats) -> Floats:
        """[N, 2], x and y of each on its plane, so far on its way in this round."""
        kind, drawn, d = self.kind, self.swarm.drawn, self.sheet.distance
        from_, to, left, right = self.bounds
        along = from_ + part * (to - from_)
        slope = kind.slope * (2 * drawn[:, SLOPE] - 1)
        far = self._travel if kind.life else to - from_
        if kind.life:
            born = np.mod(drawn[:, SHADE] + GOLDEN * GOLDEN * again, 1) ** kind.low
            along = from_ + born * (to - from_) + (part * (1 + kind.speeds * (2 * drawn[:, SIZE] - 1))) * far
        across = left + np.mod(drawn[:, ACROSS] + GOLDEN * again, 1) * (right - left) + slope * (part - 0.5) * far
        wave = self._waves(part, kind.wavers, drawn[:, WAVE]), self._waves(part, 0.43 * kind.wavers, drawn[:, SLOW])
        across = across + kind.waver / d * (0.5 * wave[0] + wave[1]) / 1.5 + self._gust(seconds) / d
        if kind.waver:
            along = along + 0.4 * kind.waver / d * self._waves(part, 1.3 * kind.wavers, drawn[:, SLOW])
        return along[:, None] * self.along + across[:, None] * self.across

    def _gust(self, seconds: float) -> float:
        """How far all of them have swayed, at distance 1; less where a short clip must come back."""
        whole = self.moments.frames / self.moments.fps
        clock = Clock(seconds, whole if self.moments.loop else None, self.layer.speed)
        phases = np.random.default_rng([self.layer.seed, 1]).random(len(GUSTS))
        swings = (
            far * min(1.0, rate * self.layer.speed / clock.rate(rate)) * clock.wave(rate, float(phase))
            for (rate, far), phase in zip(GUSTS, phases, strict=True)
            if self.layer.speed
        )
        return self.kind.gust * sum(swings) / sum(far for _, far in GUSTS)

    def _looks(self, part: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Radius in heights, narrowness, angle, optical depth and shade of each."""
        kind, sheet, drawn = self.kind, self.sheet, self.swarm.drawn
        radius = kind.radius * self.layer.size / sheet.distance * sheet.blur * _sizes(drawn[:, SIZE], kind.sizes)
        depth, narrow, angle, shade = np.full_like(part, sheet.depth), np.ones_like(part), np.zeros_like(part), part
        shade = drawn[:, SHADE]
        if kind.life:
            depth = depth * _step(part, 0, BORN) * (1 - _step(part, 1 - DIES, 1))
        if kind.blinks:
            depth = depth * (0.5 + 0.5 * self._waves(part, kind.blinks, drawn[:, BLINK])) ** (3 if kind.glows else 1)
        if kind.glows:
            shade = 1 - part
        if kind.tumbles:
            flip = self._waves(part, kind.tumbles, drawn[:, FLIP])
            narrow = kind.narrow * np.sqrt(0.05 + 0.95 * flip * flip)
            swing = self._waves(part, 0.7 * kind.tumbles, drawn[:, BLINK])
            angle = 2 * math.pi * (drawn[:, TURN] + np.where(drawn[:, TURN] > 0.5, 1, -1) * part) + 0.8 * swing
            shade = np.clip(0.25 + 0.5 * drawn[:, SHADE] + 0.35 * flip, 0, 1)
        return radius, narrow, angle, depth, shade

    def _present(self, u: float) -> Floats:
        """How much of each is there while the layer comes or goes."""
        share = self.layer.strength(u) / self.layer.amount
        return np.clip((share * (1 + SOFT) - self.swarm.drawn[:, RANK]) / SOFT, 0, 1)


def _looped(drawn: Floats, rate: Floats, period: float) -> Swarm:
    """A swarm that is the same after a period: those of one speed follow each other, n on one way, k rounds in all."""
    order = np.argsort(rate, kind="stable")
    drawn, rate = drawn[order], rate[order]
    wanted = np.maximum(1, np.rint(1 / (rate * period))).astype(int).tolist()
    firsts, follow = [], []
    at = 0
    while at < len(rate):
        n = min(wanted[at], len(rate) - at)
        if 2 * n >= wanted[at]:
            firsts.append(at)
            follow.append(n)
        at += n
    first, n_each = np.repeat(np.array(firsts, int), follow), np.repeat(np.array(follow, int), follow)
    shift = np.concatenate([np.arange(n) / n for n in follow]) if follow else np.zeros(0)
    rounds = np.where(n_each > 1, 1.0, np.maximum(1.0, np.rint(rate[first] * period)))
    return Swarm(drawn[first], rounds / (n_each * period), shift, rounds)


def _sizes(drawn: Floats, differ: float) -> Floats:
    """Sizes about 1, more small ones than large ones."""
    return np.exp(differ * (2 * drawn - 1)) * (1 - differ**2 / 6)


def _step(x: Floats, low: float, high: float) -> Floats:
    """0 below, 1 above, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
