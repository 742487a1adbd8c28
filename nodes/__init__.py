"""The nodes, and the folder their files lie in."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .camera import MicroCinemaCamera
from .compose import MicroCinemaCompose
from .encode import AppearNetEncode
from .folder import register_folder
from .layer import MicroCinemaLayer
from .load import LoadMicroCinema
from .plates import MicroCinemaPlates
from .prior import NoisePriorLatent, NoisePriorNoise
from .region import MicroCinemaRegion
from .render import MicroCinemaRender
from .sample import MicroCinemaSampler
from .scene import MicroCinemaScene
from .tsr import TSRInterpolate


class MicroCinemaExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadMicroCinema,
            AppearNetEncode,
            NoisePriorLatent,
            NoisePriorNoise,
            MicroCinemaSampler,
            TSRInterpolate,
            MicroCinemaCamera,
            MicroCinemaRegion,
            MicroCinemaLayer,
            MicroCinemaScene,
            MicroCinemaPlates,
            MicroCinemaRender,
            MicroCinemaCompose,
        ]
