"""What a person asks of one shot, and what follows from it before anything is computed; imports no torch.

A shot is one clip around the keyframe, or several chained ones; temporal super-resolution quadruples its frame rate,
and the output's own rate and duration are cut out of that as the last step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from ..config import ClipConfig, Config
from ..errors import InputError
from .resize import ResizePolicy
from .retime import Resampling, Retiming, exact_rate
from .retime import plan as plan_retiming
from .timing import check_frames, frame_count, keyframe_index, segment_count

MAX_PASSES = 2  # the rates that a TSR model knows: 2 to 8 and 8 to 32 frames a second
MAX_CLIPS = 256
MOTION = (0.0, 2.0)
STRENGTH = (0.0, 2.0)


class Loop(StrEnum):
    """How the end meets the beginning."""

    NONE = "none"
    JOIN = "join"  # temporal super-resolution leads from the last frame back to the first
    PING_PONG = "ping-pong"  # there and back


@dataclass(frozen=True, slots=True)
class ShotConfig(Config):
    """The controls of a shot. Raises InputError for values out of range."""

    keyframe_at: str = "centre"
    frames: int | None = None  # of one clip; None: the model's
    before: int = 0  # clips chained in front of the one with the keyframe
    after: int = 0
    passes: int = MAX_PASSES
    fps: float | None = None  # None: what the passes give
    duration: float | None = None  # seconds; None: all there is
    resampling: Resampling = Resampling.NEAREST
    loop: Loop = Loop.NONE
    motion: float = 1.0  # strength: 0 is still, 1 as trained
    exact_keyframe: bool = False  # its latent is held at its frame
    strength: float = 1.0  # of AppearNet: 0 is off, 1 as trained
    share_attention: bool = False  # every frame attends to the keyframe's too
    width: int | None = None  # None: the model's
    height: int | None = None
    resize: ResizePolicy = ResizePolicy.CROP

    def __post_init__(self) -> None:
        if not 0 <= self.passes <= MAX_PASSES:
            raise InputError(f"passes must be between 0 and {MAX_PASSES}, got {self.passes}")
        for name, clips in (("before", self.before), ("after", self.after)):
            if not 0 <= clips < MAX_CLIPS:
                raise InputError(f"clips to chain {name} must be between 0 and {MAX_CLIPS - 1}, got {clips}")
        if not MOTION[0] <= self.motion <= MOTION[1]:
            raise InputError(f"motion must be between {MOTION[0]:g} and {MOTION[1]:g}, got {self.motion}")
        if not STRENGTH[0] <= self.strength <= STRENGTH[1]:
            raise InputError(f"strength must be between {STRENGTH[0]:g} and {STRENGTH[1]:g}, got {self.strength}")
        if self.loop is Loop.JOIN and self.passes == 0:
            raise InputError("a joined loop needs temporal super-resolution; give passes 1 or 2, or loop by ping-pong")
        if self.fps is not None:
            exact_rate(self.fps)
        if self.duration is not None and not 0 < self.duration <= 3600:
            raise InputError(f"the duration must be above 0 and at most 3600 seconds, got {self.duration}")


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """Counts and rates of a shot, exact and known beforehand."""

    shot: ShotConfig
    factor: int  # of one pass
    clip_frames: int
    clip_key: int  # the keyframe's index in its own clip
    clip_fps: float
    before: int  # clips, with those that the duration asked for
    after: int
    retiming: Retiming | None = None
    cut: tuple[int, int] = (0, 0)  # base frames left out at both ends, for a joined loop of the duration asked for

    @property
    def clips(self) -> int:
        return self.before + 1 + self.after

    @property
    def base_frames(self) -> int:
        """Frames at the base rate; a chained clip shares its first frame, and a joined loop ends with its first."""
        return self.clips * (self.clip_frames - 1) + 1 - sum(self.cut) + (self.shot.loop is Loop.JOIN)

    @property
    def base_key(self) -> int:
        """The keyframe among them."""
        return self.before * (self.clip_frames - 1) + self.clip_key - self.cut[0]

    @property
    def segments(self) -> int:
        """Of all passes, for progress."""
        return segment_count(self.base_frames, self.factor, self.shot.passes)

    @property
    def made_frames(self) -> int:
        """After the passes. A joined loop leaves out its last frame, which is its first again."""
        return frame_count(self.base_frames, self.factor, self.shot.passes) - (self.shot.loop is Loop.JOIN)

    @property
    def made_fps(self) -> float:
        return self.clip_fps * self.factor**self.shot.passes

    @property
    def made_key(self) -> int:
        return self.base_key * self.factor**self.shot.passes

    @property
    def fps(self) -> Fraction:
        """Of the output."""
        return exact_rate(self.made_fps) if self.retiming is None else self.retiming.fps

    @property
    def frames(self) -> int:
        """Of the output."""
        shown = self.made_frames if self.retiming is None else self.retiming.frames
        return max(shown, 2 * shown - 2) if self.shot.loop is Loop.PING_PONG else shown

    @property
    def keyframe(self) -> int:
        """Index of the output frame that shows the keyframe."""
        return self.made_key if self.retiming is None else self.retiming.kept


def plan_shot(shot: ShotConfig, clip: ClipConfig, factor: int) -> ShotPlan:
    """Raises InputError for what cannot be made. A duration longer than the clips asked for adds clips to chain."""
    frames = check_frames(clip.frames if shot.frames is None else shot.frames)
    key = keyframe_index(shot.keyframe_at, frames)
    plan = ShotPlan(shot, factor, frames, key, clip.fps, shot.before, shot.after)
    if frames == 1 and (plan.clips > 1 or shot.duration is not None or shot.loop is not Loop.NONE):
        raise InputError("a clip of one frame cannot be chained, timed or looped; give more frames")
    if shot.duration is not None:
        plan = (_as_long if shot.loop is Loop.JOIN else _long_enough)(plan, shot.duration)
    if plan.clips > MAX_CLIPS:
        raise InputError(f"{plan.clips} chained clips are more than {MAX_CLIPS}; ask for a shorter shot")
    shown = None if shot.loop is Loop.JOIN else shot.duration
    if shot.fps is None and shown is None:
        return plan
    fps = plan.made_fps if shot.fps is None else shot.fps
    if shown is not None and shot.loop is Loop.PING_PONG:
        shown = _there(shown, fps)
    retiming = plan_retiming(plan.made_frames, plan.made_fps, fps, shown, plan.made_key)
    return replace(plan, retiming=retiming)


def _there(duration: float, fps: float) -> float:
    """Seconds of the way there, of N frames, for 2N - 2 there and back."""
    rate = exact_rate(fps)
    return float((round(Fraction(duration).limit_denominator(1_000_000) * rate) // 2 + 1) / rate)


def _long_enough(plan: ShotPlan, duration: float) -> ShotPlan:
    """Clips added after a first frame, before a last one, and around any other keyframe on the shorter side."""
    fps = plan.made_fps if plan.shot.fps is None else plan.shot.fps
    shown = _there(duration, fps) if plan.shot.loop is Loop.PING_PONG else duration
    while plan.made_frames / plan.made_fps < shown and plan.clips <= MAX_CLIPS:
        left, right = plan.base_key, plan.clips * (plan.clip_frames - 1) - plan.base_key
        backwards = plan.clip_key > 0 and (plan.clip_key == plan.clip_frames - 1 or left < right)
        plan = replace(plan, before=plan.before + 1) if backwards else replace(plan, after=plan.after + 1)
    return plan


def _as_long(plan: ShotPlan, duration: float) -> ShotPlan:
    """A joined loop closes where it ends, so it is made as long as it is shown: cut down around the keyframe."""
    rate = exact_rate(plan.clip_fps)
    wanted = Fraction(duration) * rate
    count = max(2, round(wanted))
    if abs(wanted - count) > Fraction(1, 1000):
        raise InputError(
            f"a joined loop lasts at least two and only whole frames of the model's own rate; "
            f"give a duration of {float(count / rate):g} s, or loop by ping-pong"
        )
    plan = _long_enough(plan, float(count / rate))
    extra = plan.base_frames - 1 - count
    front = min(max(plan.base_key - count // 2, 0), extra)
    return replace(plan, cut=(front, extra - front))
