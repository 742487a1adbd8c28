"""The nodes over HTTP: every input in the API form, a video made of them, and what a user reads of what is wrong."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SIZE = 64
Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
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
            positive=["positive", 0], negative=["negative", 0], frames=2, fps=2.0, motion=1.0, strength=1.0,
            start_percent=0.0, end_percent=1.0, **{"keyframe_at": "index", "keyframe_at.index": 1},
        ),
        "sample": node(
            "MicroCinemaSampler", model=["load", 0], positive=["encode", 0], negative=["encode", 1], vae=["load", 3],
            keyframe=["picture", 0], seed=1, steps=2, cfg=2.0, sampler_name="dpmpp_2m", scheduler="sgm_uniform",
            exact_keyframe=True, **{"gamma": "value", "gamma.value": 0.02},
        ),
        "interpolate": node(
            "MicroCinemaTSRInterpolate", model=["tsr", 0], appearnet=["tsr", 1], latent=["sample", 0],
            frames_per_clip=2, fps=2.0, passes=1, steps=1, seed=1, batch=8,
        ),
        "decode": node("VAEDecode", samples=["interpolate", 0], vae=["load", 3]),
        "video": node("CreateVideo", images=["decode", 0], fps=["interpolate", 1]),
        "save": node("SaveVideo", video=["video", 0], filename_prefix="test", format="auto", codec="auto"),
    }  # fmt: skip


def stock(sampled: Graph) -> Graph:
    """The same with KSampler and the prior's latents."""
    sampled["prior"] = node(
        "MicroCinemaNoisePriorLatent",
        model=["load", 0],
        vae=["load", 3],
        keyframe=["picture", 0],
        frames=2,
        gamma="auto",
    )
    sampled["sample"] = node(
        "KSampler", model=["load", 0], positive=["encode", 0], negative=["encode", 1], latent_image=["prior", 0],
        seed=1, steps=2, cfg=2.0, sampler_name="euler_ancestral", scheduler="karras", denoise=1.0,
    )  # fmt: skip
    return sampled


@pytest.mark.parametrize("make", [graph, lambda: stock(graph())], ids=["sampler", "ksampler"])
def test_a_graph_makes_a_video(comfy: Any, make: Any, tmp_path: Path) -> None:
    import av

    [made] = comfy.run(make())
    with av.open(str(comfy.download(made, tmp_path))) as video:
        stream = video.streams.video[0]
        frames = [frame for packet in video.demux(stream) for frame in packet.decode()]
        assert float(stream.average_rate) == 8
    assert [(frame.width, frame.height) for frame in frames] == [(SIZE, SIZE)] * 5


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("load.file", "none.safetensors"),
        ("encode.frames", 0),
        ("encode.keyframe", ["positive", 0]),
        ("sample.steps", "many"),
    ],
)
def test_the_host_refuses_bad_values(comfy: Any, client: ModuleType, place: str, value: Any) -> None:
    asked = graph()
    name, _, given = place.partition(".")
    asked[name]["inputs"][given] = value
    with pytest.raises(client.GraphError):
        comfy.queue(asked)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("sample.negative", ["negative", 0], "negative conditioning did not pass through AppearNet Encode"),
        ("encode.keyframe_at", "somewhere", "keyframe_at must be one of centre, first, last, index"),
        ("sample.gamma", 0.5, "gamma must be one of auto, value"),
        ("interpolate.appearnet", ["load", 1], "kind video"),
        ("decode.vae", ["missing", 3], r"there is no VAE: .*toybox-text.safetensors: holds no vae"),
        ("sample.keyframe", ["larger", 0], "is of 64x64 pixels and the latents are of 72x72"),
    ],
)
def test_run_time_errors_say_what_to_do(comfy: Any, client: ModuleType, place: str, value: Any, message: str) -> None:
    asked = graph()
    asked["larger"] = node("EmptyImage", width=72, height=72, batch_size=1, color=0)
    asked["missing"] = node("MicroCinemaLoad", file="toybox-text.safetensors")
    name, _, given = place.partition(".")
    asked[name]["inputs"][given] = value
    with pytest.raises(client.RunError, match=message):
        comfy.run(asked)
    assert comfy.object_info()
