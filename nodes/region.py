"""MicroCinema Region: a part of the picture, painted in a mask, goes its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError
from ..microcinema_core.motion.easing import Ease
from ..microcinema_core.motion.plan import PATH, Plan, Region
from ..microcinema_core.motion.plates import SELECTED
from ..microcinema_core.motion.scene import Motion
from ..microcinema_core.shot.dials import Dial, dials_of
from .dials import setting, widget
from .finite import is_finite
from .node import Node
from .types import MotionSocket

TITLE = "MicroCinema Region"
REGION = Region()
PLANS = "the plan's"
MIDDLE, POINT = "middle of the mask", "point"
PAINT = (
    "paint what shall move: right-click Load Image, Open in MaskEditor, paint, save, and connect that node's MASK; a "
    "cut-out's MASK selects what is around it: put InvertMask between"
)


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
                _pivot(),
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
        return io.NodeOutput(before.with_region(region, check_painted(mask)))


def check_painted(mask: Tensor) -> Tensor:
    """MASK [1, H, W] -> [H, W]. Raises InputError for several masks, NaN, and one in which nothing is painted."""
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3 or 0 in mask.shape:
        raise InputError(f"{TITLE}: mask has shape {list(mask.shape)}; connect a MASK, such as Load Image's")
    if len(mask) != 1:
        raise InputError(f"{TITLE}: mask holds {len(mask)} masks; give one, and another region for each further one")
    if not is_finite(mask):
        raise InputError(f"{TITLE}: mask holds NaN or infinity; look for the node it comes from")
    if float(mask.max()) < SELECTED:
        size = f"{mask.shape[2]}x{mask.shape[1]}"
        raise InputError(
            f"{TITLE}: mask is empty ({size}, nothing selected), as that of a picture without any; {PAINT}"
        )
    return mask[0].float()


def _distance() -> Dial:
    dial = dials_of(Region)["distance"]
    return replace(dial, low=0.0, help=f"{dial.help} 0: {dial.unset}.")


def _pivot() -> io.DynamicCombo.Input:
    place = "Of the picture's {}, from the {}; it may lie outside."
    x, y = (Dial(place.format(*words), -10.0, 10.0, step=0.01) for words in (("width", "left"), ("height", "top")))
    return io.DynamicCombo.Input(
        "pivot",
        options=[
            io.DynamicCombo.Option(MIDDLE, []),
            io.DynamicCombo.Option(POINT, [widget("x", x, 0.5), widget("y", y, 0.5)]),
        ],
        tooltip="What it grows and turns about.",
        extra_dict={"advanced": True},
    )
