"""MicroCinema Render: the frames of a motion, with what no plate shows and where points go, for any video model."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError
from ..microcinema_core.motion.leaving import leaving
from ..microcinema_core.motion.moments import COUNT, RATE, Moments
from ..microcinema_core.motion.plates import View
from ..microcinema_core.motion.render import Renderer
from ..microcinema_core.motion.scene import Motion, Scene
from ..microcinema_core.motion.tracks import MAX_POINTS, grid_points, tracked
from ..microcinema_core.shot.dials import Dial
from .dials import widget
from .node import Node
from .pictures import check_pictures, one_picture, said_by
from .plates import scene_of
from .told import tell
from .types import MotionSocket

TITLE = "MicroCinema Render"
FRAMES, FPS = 97, 24.0  # four seconds, and a length that both LTX (8 n + 1) and Wan (4 n + 1) take
SIDE = 16384  # pixels; the host's own bound
POINTS = Dial("How many points of the picture TRACKS follows.", 1, MAX_POINTS)
BYTES = 4 * (3 + 1)  # of a pixel of a frame and of its mask
GIB = 2**30
PLATE, COPIES = 5, 24  # channels of a plate, and how many of its size are held: enlarged twice, for three plates
MAPS = 24  # of the picture's size for each layer: masks, and what it is drawn with; water, wind and sky take most


class MicroCinemaRender(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaRender",
            display_name=TITLE,
            category="MicroCinema",
            description="The picture moves: frames of any size and number, without a model. Also guides video models.",
            search_aliases=[
                "animate picture",
                "ken burns",
                "parallax video",
                "image to video",
                "control video",
                "tracks",
                "weather",
            ],
            inputs=[
                MotionSocket.Input("motion", tooltip="From MicroCinema Camera, or the last Region or Layer."),
                io.Image.Input("picture", tooltip="The picture to move; one."),
                widget("frames", COUNT, FRAMES, "Wan takes 4 n + 1, LTX 8 n + 1; 97 is both."),
                widget("fps", RATE, FPS, "As in Create Video."),
                widget("width", _side("width"), 0),
                widget("height", _side("height"), 0),
                io.Boolean.Input(
                    "loop", default=False, tooltip="The camera goes there and back, so that the video repeats."
                ),
                widget("tracks", POINTS, 64, advanced=True),
                io.Image.Input(
                    "plates", optional=True, tooltip="MicroCinema Plates' plates, filled, in the same order."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames", tooltip="For Create Video, or a video model's guide."),
                io.Mask.Output(display_name="unknown", tooltip="1 where a frame shows what the picture does not."),
                io.Tracks.Output(display_name="tracks", tooltip="Where points of the picture go, for Wan Move."),
            ],
        )

    @classmethod
    def run(
        cls,
        motion: Motion,
        picture: Tensor,
        frames: int,
        fps: float,
        width: int,
        height: int,
        loop: bool,
        tracks: int,
        plates: Tensor | None = None,
    ) -> io.NodeOutput:
        """picture: IMAGE [1, H, W, 3]; plates: IMAGE [P, h, w, 3] -> IMAGE [T, height, width, 3], MASK and TRACKS."""
        pixels = one_picture(picture, f"{TITLE}: picture")
        view = view_of(pixels.shape[2], pixels.shape[1], width, height)
        check_memory(frames, view)
        with said_by(TITLE):
            make_room(pixels, len(motion.plan.layers))
            scene, found = scene_of(motion, pixels)
            renderer = Renderer(_filled(scene, plates), Moments(motion.plan, frames, fps, loop), view)
        tell(TITLE, "; ".join(filter(None, [found, leaving(renderer)])), otherwise="every region stays in the frame")
        made, unknown = rendered(renderer)
        return io.NodeOutput(made, unknown, _tracks(renderer, tracks))


def _filled(scene: Scene, plates: Tensor | None) -> Scene:
    """plates: IMAGE [P, h, w, 3] as somebody filled them, or None."""
    if plates is None:
        return scene.filled()
    check_pictures(plates, "plates")
    return scene.filled_with(plates[..., :3].float().movedim(-1, 1).to(scene.picture.device))


def view_of(picture_width: int, picture_height: int, width: int, height: int) -> View:
    """A frame of this size, cut out of the picture's middle; 0: as the picture has it, rounded to even sides.

    Video files have even sides, so of an odd picture the last row or column is left out, and nothing is resampled.
    """
    even = picture_width - picture_width % 2, picture_height - picture_height % 2
    if not width and not height:
        whole = max(2, even[0]), max(2, even[1])
        return View.covering(*whole, whole if min(even) else (picture_width, picture_height))
    if not width:
        width = max(2, 2 * round(height * picture_width / picture_height / 2))
    if not height:
        height = max(2, 2 * round(width * picture_height / picture_width / 2))
    return View.covering(width, height, (picture_width, picture_height))


def check_memory(frames: int, view: View) -> None:
    """Raises InputError for frames that the machine has no memory to hold."""
    asked = frames * view.width * view.height * BYTES
    free = comfy.model_management.get_free_memory(comfy.model_management.intermediate_device())
    if asked > free:
        raise InputError(
            f"{TITLE}: {frames} frames of {view.width}x{view.height} take {asked / GIB:.1f} GiB, and {free / GIB:.1f} "
            "are free; ask for fewer or smaller frames"
        )


def make_room(picture: Tensor, layers: int) -> None:
    """The host may have to unload a model for what a picture [3, H, W] and its layers take on the device."""
    asked = picture[0].numel() * picture.element_size() * (PLATE * COPIES + MAPS * layers)
    comfy.model_management.free_memory(asked, comfy.model_management.get_torch_device())


def rendered(renderer: Renderer) -> tuple[Tensor, Tensor]:
    """All frames, IMAGE [T, H, W, 3] and MASK [T, H, W], where the host keeps results. The user may cancel."""
    management, view, count = comfy.model_management, renderer.view, len(renderer)
    there = {"dtype": torch.float32, "device": management.intermediate_device()}
    made, unknown = (torch.empty((count, view.height, view.width, *rest), **there) for rest in ((3,), ()))
    bar = comfy.utils.ProgressBar(count)
    for index, frame in enumerate(renderer):
        management.throw_exception_if_processing_interrupted()
        made[index].copy_(frame.picture.movedim(0, -1))
        unknown[index].copy_(frame.unknown[0])
        bar.update(1)
    return made, unknown


def _tracks(renderer: Renderer, count: int) -> dict[str, Tensor]:
    """The host's TRACKS: paths [T, N, 2] in pixels of the frame, and visibility [T, N]."""
    device, view = comfy.model_management.intermediate_device(), renderer.view
    found = tracked(renderer, grid_points(view.width, view.height, count))
    return {"track_path": found.places.to(device), "track_visibility": found.visible.to(device)}


def _side(name: str) -> Dial:
    return Dial(f"The frames' {name} in pixels. 0: the picture's own, or what keeps its proportions.", 0, SIDE)
