"""MicroCinema Region: a part of the picture, painted in a mask, goes its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.motion.easing import Ease
from ..microcinema_core.motion.plan import PATH, Plan, Region
from ..microcinema_core.motion.scene import Motion
from ..microcinema_core.shot.dials import Dial, dials_of
from .dials import setting, widget
from .masks import POINT, one_mask, point_input
from .node import Node
from .types import MotionSocket

TITLE = "MicroCinema Region"
REGION = Region()
PLANS = "the plan's"


class MicroCinemaRegion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaRegion",
            display_name=TITLE,
            category="MicroCinema",
            description="A part of the picture that goes its own way, for MicroCinema Render. Several can be chained.",
            search_aliases=["motion brush", "animate part", "region motion", "cut out", "layer", "parallax layer"],
            inputs=[
                io.Mask.Input("mask", tooltip="What moves, painted in the mask editor of Load Image. One mask."),
                *(setting(REGION, name) for name in PATH),
                widget("distance", _distance(), 0.0),
                setting(REGION, "order"),
                io.Combo.Input(
                    "ease", options=[PLANS, *map(str, Ease)], default=PLANS, tooltip=dials_of(Region)["ease"].help
                ),
                point_input("pivot", "What it grows and turns about."),
                MotionSocket.Input(
                    "motion", optional=True, tooltip="The camera, or the region before it; without: a still camera."
                ),
            ],
            outputs=[MotionSocket.Output(display_name="motion", tooltip="For another region, Plates and Render.")],
        )

    @classmethod
    def run(
        cls,
        mask: Tensor,
        horizontal: float,
        vertical: float,
        zoom: float,
        roll: float,
        distance: float,
        order: int,
        ease: str,
        pivot: dict[str, Any],
        motion: Motion | None = None,
    ) -> io.NodeOutput:
        """mask: MASK [1, H, W] of the picture's size -> a MOTION."""
        region = Region(
            horizontal,
            vertical,
            zoom,
            roll,
            distance or None,
            order,
            None if ease == PLANS else Ease(ease),
            (pivot["x"], pivot["y"]) if pivot["pivot"] == POINT else None,
        )
        before = Motion(Plan()) if motion is None else motion
        return io.NodeOutput(before.with_region(region, one_mask(mask, TITLE)))


def _distance() -> Dial:
    dial = dials_of(Region)["distance"]
    return replace(dial, low=0.0, help=f"{dial.help} 0: {dial.unset}.")
