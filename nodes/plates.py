"""MicroCinema Plates: what the camera will uncover, for an inpainting model of the artist's own."""

from __future__ import annotations

import comfy.model_management
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.motion.scene import Motion, Scene, cut
from ..microcinema_core.places.placing import placed, told
from .node import Node
from .pictures import as_image, one_picture, said_by
from .told import tell
from .types import MotionSocket

TITLE = "MicroCinema Plates"


class MicroCinemaPlates(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaPlates",
            display_name=TITLE,
            category="MicroCinema",
            description="The picture's plates with what the camera will uncover left to fill, for an inpainting model.",
            search_aliases=["inpaint background", "outpaint", "layers", "extend picture", "motion plates"],
            inputs=[
                MotionSocket.Input("motion", tooltip="As given to MicroCinema Render."),
                io.Image.Input("picture", tooltip="The picture to move; one."),
            ],
            outputs=[
                io.Image.Output(display_name="plates", tooltip="To be filled, and given to Render in the same order."),
                io.Mask.Output(display_name="fill", tooltip="1 where a plate is to be filled."),
            ],
        )

    @classmethod
    def run(cls, motion: Motion, picture: Tensor) -> io.NodeOutput:
        """picture: IMAGE [1, H, W, 3] -> IMAGE [P, h, w, 3] and MASK [P, h, w]; h and w reach beyond H and W."""
        pixels = one_picture(picture, f"{TITLE}: picture")
        with said_by(TITLE):
            scene, found = scene_of(motion, pixels)
            plates, fill = scene.pictures()
        tell(TITLE, found)
        return io.NodeOutput(as_image(plates), fill[:, 0].to(comfy.model_management.intermediate_device()))


def scene_of(motion: Motion, picture: Tensor) -> tuple[Scene, str]:
    """A picture [3, H, W] cut into its plates, on the device that computes, and what was found in it for its layers.

    Its depth picture may be of any size. Raises InputError for a layer whose place is not in the picture.
    """
    pixels = picture.to(comfy.model_management.get_torch_device())
    place = placed(pixels, motion)
    return cut(pixels, place.motion), "" if place.found is None else told(place.found)
