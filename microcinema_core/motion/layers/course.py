"""Where a layer goes, in the picture's own directions."""

from __future__ import annotations

import math

from ..layer import Layer


def heading(layer: Layer) -> tuple[float, float]:
    """Where a layer goes, as right and down, of length 1; exact for the four sides."""
    right, up = (round(f(math.radians(layer.heading)), 12) for f in (math.cos, math.sin))
    return right, -up
