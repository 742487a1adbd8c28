"""What a plan's camera does where words direct it, or nobody does."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from .easing import Ease
from .plan import Camera, Plan
from .words import Reading

PUSH_IN = Camera(zoom=1.12)  # what the camera does where nobody says anything
FORWARD = Camera(dolly=0.11)  # the same, where a depth picture shows that the camera goes


def directed(plan: Plan, reading: Reading, given: Set[str]) -> Plan:
    """The plan with what words say of its camera and ease; `given` names the fields that somebody set otherwise."""
    dials = {name: value for name, value in reading.dials.items() if name not in given}
    ease = plan.ease if reading.ease is None or "ease" in given else Ease(reading.ease)
    return replace(plan, camera=replace(plan.camera, **dials), ease=ease)


def undirected(plan: Plan, *, depth: bool) -> Plan:
    """The plan with the slow move of a camera that nobody directs. depth: whether there is a depth picture."""
    start = FORWARD if depth else PUSH_IN
    return replace(plan, camera=replace(start, fov=plan.camera.fov))


def least_invented(camera: Camera) -> float:
    """When to see the keyframe so that the camera sees least beyond it, as a share of the move.

    First where it goes in, last where it goes out, else in the middle.
    """
    inwards = camera.zoom / (1 - camera.dolly)
    return 0.5 if abs(inwards - 1) < 1e-6 else float(inwards < 1)
