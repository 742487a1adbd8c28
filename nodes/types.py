"""Sockets of our own, and those of the host's that its pages would show as widgets."""

from __future__ import annotations

from comfy_api.latest import io

AppearNetSocket = io.Custom("APPEARNET")
MotionSocket = io.Custom("MOTION")
CurveSocket = io.Custom("CURVE")  # without the editor that the host's own class puts into a node
LINK = {"forceInput": True}
