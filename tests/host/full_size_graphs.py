"""The workflows around a model of Stable Diffusion's size: from an SDXL picture to a large video."""

from __future__ import annotations

from graph_parts import (
    ModelFile,
    Node,
    Place,
    Workflow,
    decode,
    encode,
    interpolate,
    ksampler,
    load,
    rate,
    sample,
    save,
    text,
)

XL = ModelFile(
    "sd_xl_base_1.0.safetensors",
    "checkpoints",
    "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
)
UPSCALER = ModelFile(
    "RealESRGAN_x4plus.safetensors",
    "upscale_models",
    "https://huggingface.co/Comfy-Org/Real-ESRGAN_repackaged/resolve/main/RealESRGAN_x4plus.safetensors",
)
FILM = ModelFile(
    "film_net_fp16.safetensors",
    "frame_interpolation",
    "https://huggingface.co/Comfy-Org/frame_interpolation/resolve/main/frame_interpolation/film_net_fp16.safetensors",
)
VIDEO, TSR = "microcinema-sd21-video.safetensors", "microcinema-sd21-tsr.safetensors"
AS_BOTH_PASSES = 16  # frames for each one


def sdxl_to_video() -> Workflow:
    flow = Workflow(
        "sdxl-to-video",
        """# SDXL keyframe, MicroCinema of Stable Diffusion 2.1's size, upscaled

SDXL draws the keyframe at 1024x1024; a MicroCinema model of SD 2.1's size animates it at 320x320; temporal
super-resolution takes it to 32 frames a second; an upscaler makes it 1280x1280.

**The two MicroCinema files are not published by anybody yet.** The names here stand for your own: `microcinema inflate`
and `microcinema train` make them, with `configs/sd21-video.toml` and `configs/sd21-tsr.toml`. Without the second one
take *sdxl-to-video-film*. Every other file can be fetched below.""",
    )
    model, clip = _animated(flow)
    faster = interpolate(flow, clip[0], file=TSR)
    _enlarged(flow, decode(flow, faster[0], model[3])[0], faster[1])
    return flow


def sdxl_to_video_by_film() -> Workflow:
    flow = Workflow(
        "sdxl-to-video-film",
        """# The same without a temporal super-resolution file

As *sdxl-to-video*, but the frames between are made by ComfyUI's own **Run Frame Interpolation Model**, which follows
how pictures shift from one to the next. It knows no prompt, and half a second is far: what it cannot follow there it
may smear. Any file that its loader reads will do, FILM or RIFE.

**Times** is how many frames come of one: 16 makes 129 of 9, and 32 a second of 2.

**Nobody has seen what this makes**: no such file was at hand here, so the graph was run with one of random numbers in
its place. Nor is the MicroCinema file published by anybody yet: the name stands for your own, of `microcinema inflate`
and `microcinema train configs/sd21-video.toml`.""",
    )
    model, clip = _animated(flow)
    pictures, slow = decode(flow, clip[0], model[3]), rate(flow)
    flow.group = "Frame rate"
    times = flow.add("PrimitiveInt", "Times", value=AS_BOTH_PASSES)
    loaded = flow.add("FrameInterpolationModelLoader", "Load frame interpolation", (FILM,), model_name=FILM.name)
    between = flow.add(
        "FrameInterpolate", "Frames between", interp_model=loaded[0], images=pictures[0], multiplier=times[0]
    )
    fast = flow.add(
        "ComfyMathExpression", "New rate", expression="a * b", **{"values.a": slow[0], "values.b": times[0]}
    )
    _enlarged(flow, between[0], fast[0])
    return flow


def _animated(flow: Workflow) -> tuple[Node, Node]:
    """The loaded MicroCinema file, and the sampled clip around SDXL's picture."""
    flow.group = "Keyframe"
    big = flow.add("CheckpointLoaderSimple", "Load SDXL", (XL,), ckpt_name=XL.name)
    positive = text(flow, big[1], "a red fox in fresh snow, low winter sun, photograph", "Picture")
    negative = text(flow, big[1], "blurred, text, watermark", "Not in the picture")
    empty = flow.add("EmptyLatentImage", "Size", width=1024, height=1024, batch_size=1)
    drawn = ksampler(
        flow, "Sample the picture", big[0], positive[0], negative[0], empty[0], steps=25, cfg=7.0, scheduler="karras"
    )
    picture = decode(flow, drawn[0], big[2], "Picture at full size")
    keyframe = flow.add(
        "ImageScale", "Keyframe", image=picture[0], upscale_method="lanczos", width=320, height=320, crop="center"
    )
    flow.group = "Clip: 9 frames, 2 a second"
    model = load(flow, VIDEO)
    encoded = encode(flow, model, keyframe[0], "a red fox walks to the right through fresh snow")
    return model, sample(flow, model, keyframe[0], encoded, steps=25, cfg=7.0)


def _enlarged(flow: Workflow, frames: Place, fps: Place) -> None:
    flow.group = "Size"
    larger = flow.add("UpscaleModelLoader", "Load upscaler", (UPSCALER,), model_name=UPSCALER.name)
    large = flow.add("ImageUpscaleWithModel", "Upscale", upscale_model=larger[0], image=frames)
    save(flow, large[0], fps)
