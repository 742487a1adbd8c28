"""AppearNet Encode: the keyframe is read once, and its appearance travels with both prompts."""

from __future__ import annotations

from typing import Any

import node_helpers
from comfy_api.latest import io

from ..microcinema_core.config import ClipConfig, Kind
from ..microcinema_core.errors import InputError
from ..microcinema_core.shot.plan import MOTION, STRENGTH, ShotConfig
from ..microcinema_core.shot.timing import MAX_FRAMES, POSITIONS, check_frames, frame_times, keyframe_index
from .appearance import HostAppearNet
from .conditions import KEY, Acting, Encoded, keyframe_guide
from .latents import latent_format
from .types import AppearNetSocket, check_numbers, chosen
from .vae import encode_keyframes

CLIP, SHOT, ACTING = ClipConfig(), ShotConfig(), Acting()
INDEX = "index"


class AppearNetEncode(io.ComfyNode):
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
                io.Int.Input(
                    "frames",
                    default=CLIP.frames,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Frames of one clip; the latents to sample hold as many, for each keyframe.",
                ),
                io.Float.Input(
                    "fps",
                    default=CLIP.fps,
                    min=0.01,
                    max=1000.0,
                    step=0.01,
                    tooltip="Frames a second of this clip, before interpolation.",
                ),
                io.DynamicCombo.Input(
                    "keyframe_at",
                    options=[
                        *(io.DynamicCombo.Option(name, []) for name in POSITIONS),
                        io.DynamicCombo.Option(
                            INDEX,
                            [io.Int.Input(INDEX, default=0, min=0, max=MAX_FRAMES - 1, tooltip="Counted from 0.")],
                        ),
                    ],
                    tooltip="Where in the clip the keyframe stands: first and last extend a clip.",
                ),
                io.Float.Input(
                    "motion",
                    default=SHOT.motion,
                    min=MOTION[0],
                    max=MOTION[1],
                    step=0.05,
                    tooltip="Strength of the motion: 0 is still, 1 as trained.",
                ),
                io.Float.Input(
                    "strength",
                    default=ACTING.strength,
                    min=STRENGTH[0],
                    max=STRENGTH[1],
                    step=0.05,
                    tooltip="Strength of the keyframe's appearance; 1 as trained, 0 leaves AppearNet out.",
                    advanced=True,
                ),
                io.Float.Input(
                    "start_percent",
                    default=ACTING.start,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where in the schedule the appearance begins to act.",
                    advanced=True,
                ),
                io.Float.Input(
                    "end_percent",
                    default=ACTING.end,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where in the schedule the appearance ceases to act.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "share_attention",
                    default=ACTING.share_attention,
                    optional=True,
                    tooltip="All frames attend to the keyframe's too; for models whose AppearNet is not trained.",
                    advanced=True,
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
            ],
        )

    @classmethod
    def execute(
        cls,
        appearnet: HostAppearNet,
        vae: Any,
        keyframe: Any,
        positive: Any,
        negative: Any,
        frames: int,
        fps: float,
        motion: float,
        strength: float,
        start_percent: float,
        end_percent: float,
        keyframe_at: dict[str, Any] | None = None,
        share_attention: bool = ACTING.share_attention,
    ) -> io.NodeOutput:
        if appearnet.header.kind is not Kind.VIDEO:
            raise InputError(
                "AppearNet Encode: this APPEARNET is a temporal super-resolution model's; connect it to TSR Interpolate"
            )
        acts = {"strength": strength, "start_percent": start_percent, "end_percent": end_percent}
        check_numbers("AppearNet Encode", {"fps": fps, "motion": motion} | acts)
        if start_percent > end_percent:
            raise InputError(
                f"AppearNet Encode: start_percent {start_percent} is beyond end_percent {end_percent}; swap them"
            )
        at = chosen("keyframe_at", keyframe_at, (*POSITIONS, INDEX))
        key = keyframe_index(at.get(INDEX, at["keyframe_at"]), check_frames(frames))
        config = appearnet.header.config
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
