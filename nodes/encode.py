"""AppearNet Encode: the keyframe is read once, and its appearance travels with both prompts."""

from __future__ import annotations

from typing import Any

import node_helpers
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.config import Kind
from ..microcinema_core.errors import InputError
from ..microcinema_core.models.guide import Guide
from ..microcinema_core.shot.dials import Dial, dials_of
from ..microcinema_core.shot.plan import SHOT, ShotConfig
from ..microcinema_core.shot.timing import FRAMES, MAX_FRAMES, POSITIONS, frame_times, keyframe_index
from .appearance import HostAppearNet
from .conditions import KEY, Acting, Encoded, model_guide
from .dials import CLIP, RATE, setting, widget
from .guiding import check_size, elsewhere, frames_guide, guide_inputs, with_keyframe
from .latents import latent_format
from .node import Node
from .told import tell
from .types import AppearNetSocket
from .vae import encode_keyframes

TITLE = "AppearNet Encode"
ACTING = Acting()
INDEX = "index"


class AppearNetEncode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaAppearNetEncode",
            display_name=TITLE,
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
                *guide_inputs(),
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
        guide: Tensor | None = None,
        guide_mask: Tensor | None = None,
    ) -> io.NodeOutput:
        """keyframe: IMAGE [N, H, W, 3]; guide: IMAGE [N * frames, H, W, 3] -> both prompts with one Encoded."""
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
        latents = encode_keyframes(vae, keyframe, config.unet.in_channels)
        given = Guide(latents.unsqueeze(2))
        if guide is not None:
            led = frames_guide(vae, TITLE, guide, guide_mask, len(keyframe), frames, config.unet.in_channels)
            check_size(led, latents, guide, keyframe, TITLE)
            given = with_keyframe(led, latents, key)
        _tell(len(keyframe), frames, guide is not None and elsewhere(guide, keyframe, key))
        read = model_guide(given, latent_format(config.latent))
        encoded = Encoded(
            read,
            appearnet.encode(read, strength),
            frames,
            [motion * seconds for seconds in frame_times(frames, fps, key)],
            config.unet,
            key,
            Acting(strength, start_percent, end_percent, share_attention),
        )
        both = (node_helpers.conditioning_set_values(prompt, {KEY: encoded}) for prompt in (positive, negative))
        return io.NodeOutput(*both)


def _tell(clips: int, frames: int, astray: bool) -> None:
    """Several pictures are several clips, and a whole video given here is rarely meant. astray: the guide is."""
    said = shown = ""
    if clips > 1:
        said = f"{clips} keyframes make as many clips of {frames} frames each; for one clip give one picture"
        shown = f"{clips} clips of {frames} frames, one of each keyframe"
    if astray:
        said = shown = "the guide shows the keyframe elsewhere; set keyframe_at as in MicroCinema Camera"
    tell(TITLE, said, shown, otherwise=f"1 clip of {frames} frames")


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
