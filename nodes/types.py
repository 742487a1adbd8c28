"""Sockets of our own, and values of the host's dynamic inputs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from comfy_api.latest import io

from ..microcinema_core.errors import InputError

AppearNetSocket = io.Custom("APPEARNET")


def chosen(name: str, value: dict[str, Any] | None, options: Collection[str]) -> dict[str, Any]:
    """A DynamicCombo's value. The host lets unknown options through, without a value. Raises InputError for those."""
    if not isinstance(value, dict) or value.get(name) not in options:
        raise InputError(f"{name} must be one of {', '.join(options)}")
    return value


def check_numbers(node: str, numbers: Mapping[str, float]) -> None:
    """Raises InputError for NaN, which the host lets through, as it is neither below a minimum nor above a maximum."""
    for name, value in numbers.items():
        if math.isnan(value):
            raise InputError(f"{node}: {name} is not a number (NaN); give one")
