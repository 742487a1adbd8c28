"""What a person asks of one shot, and what follows from it before anything is computed; imports no torch.

A shot is one clip around the keyframe, or several chained ones; temporal super-resolution quadruples its frame rate,
and the output's own rate and duration are cut out of that as the last step.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Self

from ..config import ClipConfig
from ..errors import InputError
from .dials import Dial, Settings
from .resize import SIDE, ResizePolicy
from .retime import FPS, Resampling, Retiming, exact_rate
from .retime import plan as plan_retiming
from .timing import FRAMES, MAX_PASSES, check_frames, frame_count, keyframe_index, segment_count

if TYPE_CHECKING:  # it needs torch
    from .segments import Segments

MAX_CLIPS = 256
BEYOND_A_CLIP = ("before", "after", "passes", "fps", "duration", "loop")
BEFORE = Dial(
    "Clips to chain before the keyframe's.", 0, MAX_CLIPS - 1, called="clips to chain before", option="extend_before"
)
AFTER = Dial("Clips to chain after it.", 0, MAX_CLIPS - 1, called="clips to chain after", option="extend_after")
PASSES = Dial(
    "Passes of temporal super-resolution: each quadruples the frame rate, 2 to 8 to 32 frames a second.",
    0,
    MAX_PASSES,
    unset=str(MAX_PASSES),
)
DURATION = Dial(
    "Seconds; more than one clip's are chained.",
    0,
    3600,
    above=True,
    unit="seconds",
    unset="one clip",
    called="the duration",
)


class Loop(StrEnum):
    """How the end meets the beginning."""

    NONE = "none"
    JOIN = "join"  # temporal super-resolution leads from the last frame back to the first
    PING_PONG = "ping-pong"  # there and back


@dataclass(frozen=True, slots=True)
class ShotConfig(Settings):
    """The controls of a shot. All but the middle ones, from `before` to `loop`, are those of its clips."""

    keyframe_at: Annotated[
        str, Dial("Where in its clip the keyframe stands: centre, first, last, or the frame's index from 0.")
    ] = "centre"
    exact_keyframe: Annotated[
        bool, Dial("The keyframe stands in the clip unchanged, and the other frames are made around it.")
    ] = False
    strength: Annotated[
        float, Dial("Strength of the keyframe's appearance: 0 leaves AppearNet out, 1 as trained.", 0.0, 2.0, step=0.05)
    ] = 1.0
    share_attention: Annotated[
        bool, Dial("All frames attend to the keyframe's too; for models whose AppearNet is not trained.")
    ] = False
    motion: Annotated[float, Dial("Strength of the motion: 0 is still, 1 as trained.", 0.0, 2.0, step=0.05)] = 1.0
    frames: Annotated[int | None, FRAMES] = None
    before: Annotated[int, BEFORE] = 0
    after: Annotated[int, AFTER] = 0
    passes: Annotated[int | None, PASSES] = None  # None: all, where there is a model for them
    fps: Annotated[float | None, FPS] = None
    duration: Annotated[float | None, DURATION] = None
    resampling: Annotated[Resampling, Dial("How other rates are made: nearest frame, or blend of two.")] = (
        Resampling.NEAREST
    )
    loop: Annotated[Loop, Dial("How the end meets the beginning.")] = Loop.NONE
    width: Annotated[int | None, SIDE] = None
    height: Annotated[int | None, SIDE] = None
    resize: Annotated[
        ResizePolicy, Dial("Keyframes of another shape: crop them, fit the clip to them, or pad them.")
    ] = ResizePolicy.CROP

    def changed(self) -> dict[str, Any]:
        """The controls that are not at their defaults, by name; all passes are the default, too."""
        usual = ShotConfig(passes=None if self.passes is None else MAX_PASSES)
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != getattr(usual, f.name)}

    def of_one_clip(self) -> Self:
        """The controls, with no pass. Raises InputError where they ask for more than a clip at the model's own rate."""
        alone, plain = replace(self, passes=self.passes or 0), ShotConfig(passes=0)
        for name in BEYOND_A_CLIP:
            if getattr(alone, name) != getattr(plain, name):
                raise InputError(f"{name}: this makes single clips at the model's own rate; `shoot` makes more of them")
        return alone


SHOT = ShotConfig()


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """Counts and rates of a shot, exact and known beforehand."""

    shot: ShotConfig
    passes: int
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
        """The keyframe's index among the frames at the base rate."""
        return self.before * (self.clip_frames - 1) + self.clip_key - self.cut[0]

    @property
    def segments(self) -> int:
        """Segments of all passes, for progress."""
        return segment_count(self.base_frames, self.factor, self.passes)

    @property
    def most_segments(self) -> int:
        """Segments of the last pass, which has the most; one at least."""
        return max(1, frame_count(self.base_frames, self.factor, max(0, self.passes - 1)) - 1)

    @property
    def made_frames(self) -> int:
        """Frames after the passes. A joined loop leaves out its last frame, which is its first again."""
        return frame_count(self.base_frames, self.factor, self.passes) - (self.shot.loop is Loop.JOIN)

    @property
    def made_fps(self) -> float:
        return self.clip_fps * self.factor**self.passes

    @property
    def made_key(self) -> int:
        return self.base_key * self.factor**self.passes

    @property
    def fps(self) -> Fraction:
        """Frames a second of the output."""
        return exact_rate(self.made_fps) if self.retiming is None else self.retiming.fps

    @property
    def frames(self) -> int:
        """Frames of the output."""
        shown = self.made_frames if self.retiming is None else self.retiming.frames
        return max(shown, 2 * shown - 2) if self.shot.loop is Loop.PING_PONG else shown

    @property
    def keyframe(self) -> int:
        """Index of the output frame that shows the keyframe."""
        return self.made_key if self.retiming is None else self.retiming.kept


def _passes(shot: ShotConfig, segments: Segments | None) -> tuple[int, int]:
    """By which factor each pass raises the frame rate, and how many there are."""
    if segments is None or segments.along:  # a line along a camera's frames is for what is painted on these
        if not shot.passes:
            return 1, 0
        if segments is not None:
            segments.expect_guide(None)
        raise InputError("frame rates above the model's own need a temporal super-resolution model; name its file")
    passes = segments.passes if shot.passes is None else shot.passes
    segments.check_passes(passes)
    return segments.factor, passes


def plan_shot(shot: ShotConfig, clip: ClipConfig, segments: Segments | None) -> ShotPlan:
    """A duration longer than the clips asked for adds clips to chain. segments: of the TSR model, where there is one.

    Raises InputError for what cannot be made.
    """
    factor, passes = _passes(shot, segments)
    if shot.loop is Loop.JOIN and not passes:
        raise InputError("a joined loop needs temporal super-resolution; give passes 1 or 2, or loop by ping-pong")
    shot = replace(shot, passes=passes)
    frames = check_frames(clip.frames if shot.frames is None else shot.frames)
    key = keyframe_index(shot.keyframe_at, frames)
    plan = ShotPlan(shot, passes, factor, frames, key, clip.fps, shot.before, shot.after)
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
