"""MicroCinema Camera: dials, words or a written plan as a MOTION."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields, replace
from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.motion.directing import directed, least_invented, undirected
from ..microcinema_core.motion.easing import Ease
from ..microcinema_core.motion.plan import SHARES, Camera, DepthKind, Plan, Relief
from ..microcinema_core.motion.scene import Motion
from ..microcinema_core.motion.words import Reading, read_words
from ..microcinema_core.shot.dials import dials_of
from .dials import choice, setting, widget
from .node import Node
from .pictures import one_picture
from .told import tell
from .types import LINK, CurveSocket, MotionSocket

TITLE = "MicroCinema Camera"
AUTO, SHARE = "auto", "share"
SAMPLES = 65  # points of a curve
PLAN, CAMERA, RELIEF = Plan(), Camera(), Relief()
PUSHES = "nothing is set: the camera pushes in slowly; write `the camera is still` in prompt for none"
TAKEN = ("fov",)  # a dial that does nothing alone


class MicroCinemaCamera(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        moves = [f.name for f in fields(Camera) if f.name not in TAKEN]
        return io.Schema(
            node_id="MicroCinemaCamera",
            display_name=TITLE,
            category="MicroCinema",
            description="How a camera moves over a picture, for MicroCinema Render. With nothing set: a slow push-in.",
            search_aliases=["camera motion", "ken burns", "parallax", "pan zoom", "dolly", "2.5d", "motion plan"],
            inputs=[
                *(setting(CAMERA, name) for name in moves),
                _ease(),
                widget("duration", _duration(), 0.0),
                _keyframe_at(),
                io.String.Input(
                    "prompt", optional=True, multiline=True, default="",
                    tooltip="Words of camera and weather are read from it: `the camera slowly pulls back, snow falls`.",
                ),
                CurveSocket.Input(
                    "curve", optional=True, extra_dict=LINK,
                    tooltip="How the moves spread over their time, from Curve Editor; it takes the place of ease.",
                ),
                io.Image.Input(
                    "depth", optional=True, tooltip="A depth picture of the same picture, of any size, for parallax.",
                ),
                choice("depth_kind", dials_of(Relief)["kind"], DepthKind, RELIEF.kind, advanced=True),
                setting(RELIEF, "range", "depth_range", advanced=True),
                setting(RELIEF, "planes", "depth_planes", advanced=True),
                *(setting(CAMERA, name, advanced=True) for name in TAKEN),
                setting(PLAN, "seed", "shake_seed", advanced=True),
                io.String.Input(
                    "plan", optional=True, multiline=True, default="", advanced=True,
                    tooltip="A motion plan as JSON, which takes the place of all dials and words.",
                ),
            ],
            outputs=[MotionSocket.Output(display_name="motion", tooltip="For MicroCinema Region, Plates and Render.")],
        )  # fmt: skip

    @classmethod
    def run(
        cls,
        horizontal: float,
        vertical: float,
        dolly: float,
        pan: float,
        tilt: float,
        zoom: float,
        roll: float,
        shake: float,
        ease: str,
        duration: float,
        keyframe_at: dict[str, Any],
        depth_kind: str,
        depth_range: float,
        depth_planes: int,
        fov: float,
        shake_seed: int,
        prompt: str | None = None,
        curve: Any = None,
        depth: Tensor | None = None,
        plan: str | None = None,
    ) -> io.NodeOutput:
        """depth: IMAGE [1, H, W, 3] of any size -> a MOTION. Raises ConfigError for a text that is no plan."""
        picture = None if depth is None else one_picture(depth, f"{TITLE}: depth").mean(0, keepdim=True)
        if plan and plan.strip():
            written = Plan.from_json(plan, f"{TITLE}: plan")
            tell(TITLE, "the plan is followed; dials and words are not")
            return io.NodeOutput(Motion(written, (None,) * len(written.regions), picture))
        dials = Camera(horizontal, vertical, dolly, pan, tilt, zoom, roll, shake, fov)
        made = Plan(
            dials,
            relief=Relief(DepthKind(depth_kind), depth_range, depth_planes),
            ease=Ease(ease),
            curve=None if curve is None else _points(curve),
            duration=duration or None,
            keyframe_at=keyframe_at.get(SHARE, SHARES.get(keyframe_at["keyframe_at"], PLAN.keyframe_at)),
            seed=shake_seed,
        )
        told, said = spoken(made, read_words(prompt or ""), depth=picture is not None)
        if keyframe_at["keyframe_at"] == AUTO:
            told = replace(told, keyframe_at=least_invented(told.camera))
        tell(TITLE, said, otherwise="the dials alone")
        return io.NodeOutput(Motion(told, (), picture))


def spoken(plan: Plan, reading: Reading, *, depth: bool = False) -> tuple[Plan, str]:
    """The plan with what words say where a dial is at its default and what they draw, and what is to be said of it.

    A camera of which nobody says anything pushes in slowly, or, with depth, goes forward; but not where words draw.
    """
    given = {f.name for f in fields(Camera) if getattr(plan.camera, f.name) != getattr(CAMERA, f.name)}
    given |= {"ease"} if plan.ease is not PLAN.ease or plan.curve is not None else set()
    told = directed(plan, reading, given).with_layers(*reading.layers)
    asked = plan.camera.moves or reading.camera or reading.layers
    if not asked:
        told = undirected(told, depth=depth)
    return told, "; ".join(filter(None, [_read(reading, given, plan, told), "" if asked else PUSHES]))


def _read(reading: Reading, given: Set[str], plan: Plan, told: Plan) -> str:
    """What was read, word for word, and what comes of it; empty for nothing."""
    if not reading.phrases:
        return ""
    words = ", ".join(f"`{phrase.text}`" for phrase in reading.phrases)
    does = [f"{name} {value:g}" for name, value in reading.dials.items() if name not in given]
    does += [f"ease {told.ease}"] if told.ease is not plan.ease else []
    does += [phrase.says for phrase in reading.phrases if phrase.layer is not None or phrase.denied is not None]
    return f"read {words}: {', '.join(does) or 'nothing to set'}"


def _points(curve: Any) -> tuple[tuple[float, float], ...]:
    """A CURVE of the host, evenly sampled."""
    xs = np.linspace(0.0, 1.0, SAMPLES)
    return tuple((float(x), float(y)) for x, y in zip(xs, curve.interp_array(xs), strict=True))


def _ease() -> io.Input:
    return choice("ease", dials_of(Plan)["ease"], Ease, PLAN.ease)


def _duration() -> Any:
    return replace(dials_of(Plan)["duration"], above=False, help=f"{dials_of(Plan)['duration'].help} 0: the clip's.")


def _keyframe_at() -> io.DynamicCombo.Input:
    key = dials_of(Plan)["keyframe_at"]
    share = widget(SHARE, replace(key, help="A share of the move's duration."), PLAN.keyframe_at)
    return io.DynamicCombo.Input(
        "keyframe_at",
        options=[
            *(io.DynamicCombo.Option(name, []) for name in (AUTO, *SHARES)),
            io.DynamicCombo.Option(SHARE, [share]),
        ],
        tooltip="When the picture is seen as it is. auto: where the camera then sees least beyond it, which is first "
        "where it goes in, last where it goes out, else the centre. Models that begin with a picture want it first.",
    )
