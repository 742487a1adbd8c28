"""MicroCinema Scene: where sky, water, plants and people are in a picture, and roughly how far everything is."""

from __future__ import annotations

import comfy.model_management
import torch
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.motion.layer import CALLED
from ..microcinema_core.places.find import Found, find
from ..microcinema_core.places.network import PLACES
from ..microcinema_core.places.placing import told
from .node import Node
from .pictures import as_image, one_picture, said_by
from .told import tell

TITLE = "MicroCinema Scene"
NEAREST = 0.05  # share of a landscape that is white in its depth: its very edge is nearer than anything in it


class MicroCinemaScene(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaScene",
            display_name=TITLE,
            category="MicroCinema",
            description="Where sky, water, plants, people and animals are in a picture, and roughly how far it all is.",
            search_aliases=["segment", "sky mask", "water mask", "landscape depth", "find sky", "auto mask"],
            inputs=[io.Image.Input("picture", tooltip="The picture to look at; one.")],
            outputs=[
                *(
                    io.Mask.Output(display_name=str(place), tooltip=f"For MicroCinema Layer's mask: {CALLED[place]}.")
                    for place in PLACES
                ),
                io.Image.Output(
                    display_name="depth", tooltip="For MicroCinema Camera: bright is near. All black: no landscape."
                ),
            ],
        )

    @classmethod
    def run(cls, picture: Tensor) -> io.NodeOutput:
        """picture: IMAGE [1, H, W, 3] -> four MASKs [1, H, W] and an IMAGE [1, H, W, 3]."""
        pixels = one_picture(picture, f"{TITLE}: picture").to(comfy.model_management.get_torch_device())
        with said_by(TITLE):
            found = find(pixels)
        landscape = found.distance is not None
        tell(TITLE, told(found) + ("" if landscape else "; no landscape, so no depth"))
        device = comfy.model_management.intermediate_device()
        depth = as_image(_nearness(found, pixels).expand(3, -1, -1)[None])
        return io.NodeOutput(*(found.masks[place].to(device) for place in PLACES), depth)


def _nearness(found: Found, picture: Tensor) -> Tensor:
    """Bright is near, as disparity: [1, H, W] of a picture [3, H, W], nothing where no distance is known."""
    if found.distance is None:
        return torch.zeros_like(picture[:1])
    count = max(1, round(NEAREST * found.distance.numel()))
    return (found.distance.flatten().kthvalue(count).values / found.distance).clamp(max=1)
