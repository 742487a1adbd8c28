"""ComfyUI starts here. Nothing of it is imported before it asks for the nodes: the folder is also a plain package."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - ComfyUI itself runs on 3.10 too
    raise ImportError(
        "MicroCinema needs Python 3.11 or newer, and this ComfyUI runs on {}.{}: give ComfyUI an environment of a "
        "newer Python, or use its portable or desktop version, which bring one".format(*sys.version_info)
    )

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> object:
    """The pack as a `comfy_api.latest.ComfyExtension`."""
    from .nodes import MicroCinemaExtension

    return MicroCinemaExtension()
