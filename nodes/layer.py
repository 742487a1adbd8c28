"""MicroCinema Layer: weather, air, light, water, wind or sky, drawn into the picture by Render."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError
from ..microcinema_core.motion.layer import Layer, LayerKind, Place
from ..microcinema_core.motion.plan import Plan
from ..microcinema_core.motion.scene import Motion
from ..microcinema_core.motion.taught import Taught
from ..microcinema_core.motion.typed import HEADINGS, colour_of
from ..microcinema_core.shot.dials import dials_of
from .dials import setting, widget
from .folder import MOTIONS, file_names, find_file, fingerprint
from .masks import PAINT, POINT, one_mask, point_input
from .node import Node
from .pictures import said_by
from .types import MotionSocket

TITLE = "MicroCinema Layer"
LAYER = Layer(LayerKind.SNOW)
OWN, ANGLE, CHOSEN, NONE = "its own", "angle", "chosen", "none"


class MicroCinemaLayer(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaLayer",
            display_name=TITLE,
            category="MicroCinema",
            description="Weather, air, light, water, wind or sky, drawn into the picture by Render. Can be chained.",
            search_aliases=[
                "snow", "rain", "fog", "weather", "water ripple", "wind sway", "clouds", "day to night", "overlay",
                "particles", "cinemagraph",
            ],
            inputs=[
                io.Combo.Input(
                    "kind", options=list(map(str, LayerKind)), default=str(LAYER.kind),
                    tooltip="What is drawn; this node's page shows each.",
                ),
                setting(LAYER, "amount"),
                setting(LAYER, "speed"),
                _direction(),
                _colour(),
                _seed(),
                setting(LAYER, "fade_in"),
                setting(LAYER, "fade_out"),
                setting(LAYER, "size", advanced=True),
                io.Combo.Input(
                    "place", options=[OWN, *map(str, Place)], default=OWN, advanced=True,
                    tooltip="Where it belongs where no mask is connected; Render looks for the place in the picture.",
                ),
                point_input("at", "A lamp, or what it swings about."),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Where it is: painted, or from MicroCinema Scene. It always wins.",
                ),
                MotionSocket.Input(
                    "motion", optional=True, tooltip="The camera, region or layer before; without: a still camera.",
                ),
                io.Combo.Input(
                    "taught", options=[NONE, *file_names(MOTIONS)], default=NONE, optional=True, advanced=True,
                    tooltip=f"What `microcinema teach` read off clips, a file of models/{MOTIONS}; for kind taught.",
                ),
            ],
            outputs=[
                MotionSocket.Output(display_name="motion", tooltip="For another layer or region, Plates and Render.")
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, taught: str | None = NONE, **_: Any) -> str:
        """taught: None where a link brings it, which the host has not read yet."""
        return "" if taught in (NONE, None) else fingerprint(find_file(taught, MOTIONS, TITLE))

    @classmethod
    def run(
        cls,
        kind: str,
        amount: float,
        speed: float,
        direction: dict[str, Any],
        colour: dict[str, Any],
        seed: int,
        fade_in: float,
        fade_out: float,
        size: float,
        place: str,
        at: dict[str, Any],
        mask: Tensor | None = None,
        motion: Motion | None = None,
        taught: str = NONE,
    ) -> io.NodeOutput:
        """mask: MASK [1, H, W] of the picture's size -> a MOTION."""
        where = None if mask is None else one_mask(mask, TITLE)
        with said_by(TITLE):
            layer = Layer(
                LayerKind(kind), amount, speed, _heading(direction), size, fade_in, fade_out, seed,
                None if place == OWN else Place(place),
                colour_of(colour[CHOSEN]) if colour["colour"] == CHOSEN else None,
                (at["x"], at["y"]) if at["at"] == POINT else None,
                None if taught == NONE else Taught.read(find_file(taught, MOTIONS, TITLE)),
            )  # fmt: skip
            if layer.where is None and where is None and layer.amount > 0:
                raise InputError(f"{kind} needs a mask: {PAINT}")
            before = Motion(Plan()) if motion is None else motion
            return io.NodeOutput(before.with_layer(layer, where))


def _seed() -> io.Int.Input:
    """It stays as it is: what is drawn again is drawn alike."""
    dial, fixed = dials_of(Layer)["seed"], io.ControlAfterGenerate.fixed
    return io.Int.Input(
        "seed", default=LAYER.seed, min=dial.low, max=dial.high, control_after_generate=fixed, tooltip=dial.help
    )


def _heading(direction: dict[str, Any]) -> float | None:
    chosen = direction["direction"]
    return direction[ANGLE] if chosen == ANGLE else HEADINGS.get(chosen)


def _direction() -> io.DynamicCombo.Input:
    degrees = widget(ANGLE, dials_of(Layer)["direction"], 0.0)
    return io.DynamicCombo.Input(
        "direction",
        options=[
            *(io.DynamicCombo.Option(name, []) for name in (OWN, *HEADINGS)),
            io.DynamicCombo.Option(ANGLE, [degrees]),
        ],
        tooltip="Where it goes.",
    )


def _colour() -> io.DynamicCombo.Input:
    return io.DynamicCombo.Input(
        "colour",
        options=[
            io.DynamicCombo.Option(OWN, []),
            io.DynamicCombo.Option(CHOSEN, [io.Color.Input(CHOSEN, tooltip="As #rrggbb.")]),
        ],
        tooltip="Its own is lit by the picture.",
    )
