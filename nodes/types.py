"""Sockets of our own."""

from __future__ import annotations

from comfy_api.latest import io

AppearNetSocket = io.Custom("APPEARNET")
