"""Dials as inputs of the host."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from comfy_api.latest import io

from ..microcinema_core.config import ClipConfig
from ..microcinema_core.shot.dials import Dial, dials_of
from ..microcinema_core.shot.settings import SEED

CLIP = ClipConfig()
RATE = Dial("Frames a second of a clip before interpolation.", 0.01, 1000.0, step=0.01)


def widget(
    name: str, dial: Dial, default: float, also: str = "", *, optional: bool = False, advanced: bool | None = None
) -> io.WidgetInput:
    """A dial as an input of its default's type. also: a sentence for the tooltip, of what matters in a graph alone."""
    told = f"{dial.help} {also}".rstrip()
    common = {"default": default, "optional": optional, "tooltip": told, "advanced": advanced}
    if isinstance(default, bool):
        return io.Boolean.Input(name, **common)
    if isinstance(default, int):
        return io.Int.Input(name, min=dial.low, max=dial.high, **common)
    return io.Float.Input(name, min=dial.low, max=dial.high, step=dial.step, round=dial.precision, **common)


def setting(
    settings: Any, field: str, name: str = "", *, optional: bool = False, advanced: bool | None = None
) -> io.WidgetInput:
    """The dial of a field, with these settings' value as default; `name`, where the input's is another."""
    dial, value = dials_of(type(settings))[field], getattr(settings, field)
    return widget(name or field, dial, value, optional=optional, advanced=advanced)


def choice(
    name: str, dial: Dial, options: type[StrEnum], default: StrEnum, *, advanced: bool | None = None
) -> io.Input:
    """A dial whose values have names."""
    return io.Combo.Input(
        name, options=list(map(str, options)), default=str(default), tooltip=dial.help, advanced=advanced
    )


def seed_input() -> io.Int.Input:
    return io.Int.Input("seed", default=0, min=SEED.low, max=SEED.high, control_after_generate=True, tooltip=SEED.help)
