"""AppearNet Encode: the keyframe is read once, and its appearance travels with both prompts."""

from __future__ import annotations

import logging
from typing import Any

import node_helpers
from comfy_api.latest import io
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..microcinema_core.config import Kind
from ..microcinema_core.errors import InputError
from ..microcinema_core.shot.dials import Dial, dials_of
from ..microcinema_core.shot.plan import SHOT, ShotConfig
from ..microcinema_core.shot.timing import FRAMES, MAX_FRAMES, POSITIONS, frame_times, keyframe_index
from .appearance import HostAppearNet
from .conditions import KEY, Acting, Encoded, keyframe_guide
from .dials import CLIP, RATE, setting, widget
from .latents import latent_format
from .node import Node
from .types import AppearNetSocket
from .vae import encode_keyframes

ACTING = Acting()
INDEX = "index"
TOLD: set[str] = set()  # nodes that show a number of clips, which the page leaves there until it is told another


class AppearNetEncode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaAppearNetEncode",
            display_name="AppearNet Encode",
            category="MicroCinema",
            description="Reads the keyframe once and adds its appearance to both prompts, for KSampler and others.",
            search_aliases=["keyframe", "image to video conditioning", "i2v encode", "first frame", "start image"],
            inputs=[
                AppearNetSocket.Input("appearnet", tooltip="From the same Load MicroCinema as MODEL."),
                io.Vae.Input("vae", tooltip="The VAE that belongs to the model."),
                io.Image.Input("keyframe", tooltip="The picture to animate; a batch makes one clip of each."),
                io.Conditioning.Input("positive", tooltip="What happens, as text from the model's CLIP."),
                io.Conditioning.Input("negative", tooltip="What to steer away from; empty text will do."),
                widget("frames", FRAMES, CLIP.frames, "The latents to sample hold as many, for each keyframe."),
                widget("fps", RATE, CLIP.fps),
                _keyframe_at(),
                setting(SHOT, "motion"),
                setting(SHOT, "strength", advanced=True),
                setting(ACTING, "start", "start_percent", advanced=True),
                setting(ACTING, "end", "end_percent", advanced=True),
                setting(SHOT, "share_attention", optional=True, advanced=True),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
            ],
        )

    @classmethod
    def run(
        cls,
        appearnet: HostAppearNet,
        vae: Any,
        keyframe: Any,
        positive: Any,
        negative: Any,
        frames: int,
        fps: float,
        keyframe_at: dict[str, Any],
        motion: float,
        strength: float,
        start_percent: float,
        end_percent: float,
        share_attention: bool = ACTING.share_attention,
    ) -> io.NodeOutput:
        if appearnet.header.kind is not Kind.VIDEO:
            raise InputError(
                "AppearNet Encode: this APPEARNET is a temporal super-resolution model's; connect it to TSR Interpolate"
            )
        if start_percent > end_percent:
            raise InputError(
                f"AppearNet Encode: start_percent {start_percent} is beyond end_percent {end_percent}; swap them"
            )
        key = keyframe_index(keyframe_at.get(INDEX, keyframe_at["keyframe_at"]), frames)
        config = appearnet.header.config
        tell(len(keyframe), frames)
        latents = encode_keyframes(vae, keyframe, config.unet.in_channels)
        guide = keyframe_guide(latent_format(config.latent).process_in(latents.float()))
        encoded = Encoded(
            guide,
            appearnet.encode(guide, strength),
            frames,
            [motion * seconds for seconds in frame_times(frames, fps, key)],
            config.unet,
            key,
            Acting(strength, start_percent, end_percent, share_attention),
        )
        both = (node_helpers.conditioning_set_values(prompt, {KEY: encoded}) for prompt in (positive, negative))
        return io.NodeOutput(*both)


def tell(clips: int, frames: int) -> None:
    """Several pictures are several clips, and a whole video given here is rarely meant: on the node and in the log."""
    several = clips > 1
    if several:
        said = "AppearNet Encode: %d keyframes make as many clips of %d frames each; for one clip give one picture"
        logging.info(said, clips, frames)
    running = get_executing_context()
    if running is None or not (several or running.node_id in TOLD):
        return
    shown = f"{clips} clips of {frames} frames, one of each keyframe" if several else f"1 clip of {frames} frames"
    PromptServer.instance.send_progress_text(shown, running.node_id)
    (TOLD.add if several else TOLD.discard)(running.node_id)


def _keyframe_at() -> io.DynamicCombo.Input:
    index = widget(INDEX, Dial("Counted from 0.", 0, MAX_FRAMES - 1), 0)
    return io.DynamicCombo.Input(
        "keyframe_at",
        options=[
            *(io.DynamicCombo.Option(name, []) for name in POSITIONS),
            io.DynamicCombo.Option(INDEX, [index]),
        ],
        tooltip=f"{dials_of(ShotConfig)['keyframe_at'].help} First and last extend a clip.",
    )
