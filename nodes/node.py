"""What every node of ours is: a node of the host whose inputs are checked against its own schema before it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from comfy_api.input import CurveInput
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError, shown
from ..microcinema_core.motion.scene import Motion
from ..microcinema_core.shot.dials import Dial
from .appearance import HostAppearNet
from .missing import Missing

Number = io.Int.Input | io.Float.Input
LISTED = 10  # options that a message names; more are the host's own lists, such as that of its samplers


class Node(io.ComfyNode):
    """Its subclasses say what they take in `define_schema` and do their work in `run`, which may rely on that.

    The host checks what is typed into a widget. It lets through NaN, all that a link brings to a number or a list, and
    a value where a link belongs.
    """

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Raises InputError for an input that is not what the schema says, before anything is computed."""
        schema = cls.define_schema()
        for expected in schema.inputs:
            if expected.id in given or not expected.optional:
                check_input(f"{schema.display_name}: {expected.id}", expected, given.get(expected.id))
        return cls.run(**given)

    @classmethod
    def run(cls, *args: Any, **kwargs: Any) -> io.NodeOutput:
        """What the node does with its inputs, which come by their names."""
        raise NotImplementedError


def check_input(place: str, expected: io.Input, value: Any) -> None:
    """Raises InputError for a value that is not of the input's kind or out of its bounds. place: `node: input`."""
    if value is None and expected.optional and not isinstance(expected, io.Combo.Input):
        return
    if isinstance(expected, Number):
        _check_number(place, expected, value)
    elif isinstance(expected, io.DynamicCombo.Input):
        _check_choice(place, expected, value)
    elif isinstance(expected, io.Combo.Input):
        _check_listed(place, expected.options, value)
    elif isinstance(expected, io.String.Input | io.Color.Input):
        if not isinstance(value, str):
            raise InputError(f"{place} must be text, got {_named(value)}")
    elif isinstance(expected, io.Boolean.Input):
        if not isinstance(value, Integral):
            raise InputError(f"{place} must be true or false, got {_named(value)}")
    else:
        _check_socket(place, expected, value)


def _check_number(place: str, expected: Number, value: Any) -> None:
    kind, called = (Integral, "a whole number") if isinstance(expected, io.Int.Input) else (Real, "a number")
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"{place} must be {called}, got {_named(value)}")
    Dial("", expected.min, expected.max).check(place, value)


def _check_choice(place: str, expected: io.DynamicCombo.Input, value: Any) -> None:
    """A value as the host nests it: {its own id: the choice, and what that brings}; None for an unknown choice."""
    options = {option.key: option.inputs for option in expected.options}
    if not isinstance(value, Mapping):
        raise InputError(f"{place} must be one of {', '.join(options)}")
    _check_listed(place, list(options), value.get(expected.id))
    for part in options[value[expected.id]]:
        check_input(f"{place}.{part.id}", part, value.get(part.id))


def _check_listed(place: str, options: list[str], value: Any) -> None:
    if isinstance(value, str) and value in options:
        return
    listed = f"one of {', '.join(options)}" if len(options) <= LISTED else "one of those that the node lists"
    raise InputError(f"{place} must be {listed}, got {_named(value)}")


def _check_socket(place: str, expected: io.Input, value: Any) -> None:
    if isinstance(value, Missing):
        value.refuse()
    kind = expected.get_io_type()
    if not SOCKETS[kind](value):
        raise InputError(
            f"{place} is {_named(value)}, which is no {kind}; connect an output of that kind: {expected.tooltip}"
        )


def _named(value: Any) -> str:
    """A value as a message shows it: one that can be typed as it is, any other by its type."""
    typed = value is None or isinstance(value, (str, bool, int, float))
    return shown(repr(value)) if typed else f"something of type {type(value).__name__}"


def _is_conditioning(value: Any) -> bool:
    """The host's list of [embedding, dictionary]."""
    return isinstance(value, list) and all(
        isinstance(part, (list, tuple)) and len(part) == 2 and isinstance(part[0], Tensor) and isinstance(part[1], dict)
        for part in value
    )


# What each socket of ours carries. Of models and VAEs other packs have classes of their own.
SOCKETS: dict[str, Callable[[Any], bool]] = {
    "MODEL": lambda value: hasattr(value, "get_model_object"),
    "APPEARNET": lambda value: isinstance(value, HostAppearNet),
    "VAE": lambda value: hasattr(value, "decode"),
    "IMAGE": lambda value: isinstance(value, Tensor),
    "MASK": lambda value: isinstance(value, Tensor),
    "MOTION": lambda value: isinstance(value, Motion),
    "CURVE": lambda value: isinstance(value, CurveInput),
    "LATENT": lambda value: isinstance(value, dict) and hasattr(value.get("samples"), "shape"),
    "CONDITIONING": _is_conditioning,
}
