"""ComfyUI starts here. Nothing of it is imported before it asks for the nodes: the folder is also a plain package."""

from __future__ import annotations

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> object:
    """The pack as a `comfy_api.latest.ComfyExtension`."""
    from .nodes import MicroCinemaExtension

    return MicroCinemaExtension()
