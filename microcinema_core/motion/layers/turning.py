"""What drifts for ever: two copies of a surface, half a period apart, that fade into each other."""

from __future__ import annotations

from torch import Tensor

from ..resample import Texture, shifted
from .clock import Clock
from .patch import Lattice, Patch, Seen


def turns_of(clock: Clock, period: float, speed: float) -> tuple[float, float]:
    """How many periods have passed, and how many heights a copy goes in one.

    period, speed: usual seconds and heights a second. A period fits a clip that loops; the speed stays as it is.
    """
    rate = clock.rate(1 / period)
    if rate == 0:
        return 0.0, 0.0
    return clock.turns(1 / period), speed * clock.speed / rate


def weight(done: Tensor, fade: float) -> Tensor:
    """How much of the first copy is seen, of periods done: all of it half way, none at the ends. fade: share of it."""
    return ((0.25 + fade / 4 - (done - done.floor() - 0.5).abs()) / (fade / 2)).clamp_(0, 1)


def blended(
    patch: Patch,
    texture: Texture,
    broad: tuple[Lattice, Tensor],
    seen: Seen,
    done: Tensor,
    course: tuple[Tensor, Tensor],
    fade: float,
) -> Tensor:
    """A patch's texture that drifts, in a part of a frame: [3, h, w].

    done: [1, h, w], periods passed there. course: [1, h, w] each, pixels that a copy goes right and down in a period.
    broad: the texture's mean colours, around which a blend of two copies keeps the contrast of one.
    """
    first = weight(done, fade)
    second = 1 - first
    if bool((first == 1).all()):
        return _copy(patch, texture, _moved(seen, done, course), seen.level)
    there, then = _moved(seen, done, course), _moved(seen, done + 0.5, course)
    mean = first * broad[0].read(broad[1], there) + second * broad[0].read(broad[1], then)
    made = first * _copy(patch, texture, there, seen.level) + second * _copy(patch, texture, then, seen.level)
    return made.sub_(mean).mul_((first * first + second * second).rsqrt_()).add_(mean)


def _moved(seen: Seen, done: Tensor, course: tuple[Tensor, Tensor]) -> Tensor:
    """Where a copy is read [1, h, w, 2], in the picture, after so many periods."""
    part = done - done.floor() - 0.5
    return shifted(seen.places, (course[0] * part, course[1] * part), -1.0)


def _copy(patch: Patch, texture: Texture, places: Tensor, level: float) -> Tensor:
    return texture.at(places, level, patch.corner, mirrored=True)
