"""Graphs in their API form: a grey picture of 64x64 to a short clip, small enough to run in a second."""

from typing import Any

SIZE = 64
FRAMES = 2  # of the sampled clip
Graph = dict[str, dict[str, Any]]


def node(kind: str, /, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph() -> Graph:
    """A grey picture to 5 frames at 8 a second."""
    return {
        "load": node("MicroCinemaLoad", file="toybox-video.safetensors"),
        "tsr": node("MicroCinemaLoad", file="toybox-tsr.safetensors"),
        "picture": node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x808080),
        "positive": node("CLIPTextEncode", text="A red star moves left slowly over the night sky", clip=["load", 2]),
        "negative": node("CLIPTextEncode", text="", clip=["load", 2]),
        "encode": node(
            "MicroCinemaAppearNetEncode", appearnet=["load", 1], vae=["load", 3], keyframe=["picture", 0],
            positive=["positive", 0], negative=["negative", 0], frames=FRAMES, fps=2.0, motion=1.0, strength=1.0,
            start_percent=0.0, end_percent=1.0, **{"keyframe_at": "index", "keyframe_at.index": 1},
        ),
        "sample": node(
            "MicroCinemaSampler", model=["load", 0], positive=["encode", 0], negative=["encode", 1], vae=["load", 3],
            keyframe=["picture", 0], seed=1, steps=2, cfg=2.0, sampler_name="dpmpp_2m", scheduler="sgm_uniform",
            exact_keyframe=True, **{"gamma": "value", "gamma.value": 0.02},
        ),
        "interpolate": node(
            "MicroCinemaTSRInterpolate", model=["tsr", 0], appearnet=["tsr", 1], latent=["sample", 0],
            frames_per_clip=FRAMES, fps=2.0, passes=1, steps=1, seed=1, batch=8,
        ),
        "decode": node("VAEDecode", samples=["interpolate", 0], vae=["load", 3]),
        "video": node("CreateVideo", images=["decode", 0], fps=["interpolate", 1]),
        "save": node("SaveVideo", video=["video", 0], filename_prefix="test", format="auto", codec="auto"),
    }  # fmt: skip


def stock(sampled: Graph) -> Graph:
    """The same with KSampler and the prior's latents."""
    sampled["prior"] = node(
        "MicroCinemaNoisePriorLatent", model=["load", 0], vae=["load", 3], keyframe=["picture", 0], frames=FRAMES,
        gamma="auto",
    )  # fmt: skip
    sampled["sample"] = node(
        "KSampler", model=["load", 0], positive=["encode", 0], negative=["encode", 1], latent_image=["prior", 0],
        seed=1, steps=2, cfg=2.0, sampler_name="euler_ancestral", scheduler="karras", denoise=1.0,
    )  # fmt: skip
    return sampled


def put(asked: Graph, changes: dict[str, Any]) -> Graph:
    """The graph itself with each value in its place, `node.input`."""
    for place, value in changes.items():
        name, _, given = place.partition(".")
        asked[name]["inputs"][given] = value
    return asked
