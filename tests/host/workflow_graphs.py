"""The shipped workflows, described once: API form, groups of the canvas, its note, and the files to fetch.

`make_workflows.py` writes docs/api and workflows from this.
"""

from __future__ import annotations

from collections.abc import Callable

from camera_graphs import (
    depth_camera,
    guide_for_ltx,
    guide_for_vace,
    inpainted_plates,
    motion_brush,
    photo_moves,
    sdxl_to_camera,
)
from full_size_graphs import sdxl_to_video, sdxl_to_video_by_film
from graph_parts import (
    FPS,
    FRAMES,
    PHOTOS,
    RATE,
    REPACKAGED,
    ModelFile,
    Node,
    Workflow,
    batch_latents,
    decode,
    drawn_keyframe,
    encode,
    finish,
    interpolate,
    ksampler,
    load,
    picture_from_text,
    sample,
    save,
    stitch,
    text,
)
from layer_graphs import lake_alive, lake_by_hand, photo_under_snow, weather_for_any, weather_for_vace

__all__ = ["FPS", "FRAMES", "RATE", "Node"]  # of the tests, which take them from here


def picture_to_video() -> Workflow:
    flow = Workflow(
        "toybox-picture-to-video",
        f"""# A picture becomes a video

Press **Run**. A yellow square crosses a night sky: 129 frames, 32 a second. No graphics card is needed.

The keyframe is drawn by three of ComfyUI's own nodes, so nothing has to be fetched. For a picture of your own put
**Load Image** and **Upscale Image** to 128x128, cropped in the middle, in their place.

Every rate follows from **Frames a second**. Bypass **TSR Interpolate** for the model's own 9 frames, at that rate.

{PHOTOS} It knows a circle, square, triangle, star or cross in red, orange, yellow, green, blue or purple, that moves
left, right, up, down, clockwise or counterclockwise, grows or shrinks, slowly or quickly, over night, sky, sand,
meadow, dusk or a checkerboard.""",
    )
    keyframe = drawn_keyframe(flow)
    flow.group = "Clip: 9 frames, 2 a second"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A yellow square moves right slowly over a night sky")
    finish(flow, model, sample(flow, model, keyframe[0], encoded)[0])
    return flow


def text_to_video() -> Workflow:
    flow = Workflow(
        "toybox-text-to-video",
        f"""# A sentence becomes a video

The image stage draws the keyframe, the video model animates it, and temporal super-resolution takes it to 32 frames
a second. Say what is seen in **Picture** and what happens in **Prompt**; name the same things in both.

{PHOTOS}""",
    )
    keyframe = picture_from_text(flow, "A red star over a night sky", seed=3)
    flow.group = "Clip: 9 frames, 2 a second"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A red star moves left slowly over a night sky")
    finish(flow, model, sample(flow, model, keyframe[0], encoded)[0])
    return flow


def stock_sampler() -> Workflow:
    flow = Workflow(
        "toybox-ksampler",
        f"""# The stock KSampler with our MODEL

Any sampler and scheduler of the list works, those that draw fresh noise too. **Appearance Noise Prior Latent** gives
latents of the right size and number; keep **denoise** at 1 with it. Its frames must be those of AppearNet Encode.

LoRA, ControlNet and other patches go between Load MicroCinema and KSampler.

{PHOTOS}""",
    )
    keyframe = drawn_keyframe(flow)
    flow.group = "Clip: 9 frames, 2 a second"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A yellow square moves up slowly over a night sky")
    prior = flow.add(
        "MicroCinemaNoisePriorLatent", "Appearance Noise Prior Latent", model=model[0], vae=model[3],
        keyframe=keyframe[0], frames=FRAMES, gamma="auto",
    )  # fmt: skip
    made = ksampler(flow, "KSampler", model[0], encoded[0], encoded[1], prior[0], sampler_name="euler_ancestral")
    finish(flow, model, made[0])
    return flow


def extended() -> Workflow:
    flow = Workflow(
        "toybox-extend",
        f"""# Two clips in one shot

The last frame of the first clip is the keyframe of the second, at its **first** frame. The second clip leaves that
frame out, as both share it: 9 + 8 = 17 latents, which TSR Interpolate takes as one clip (`frames_per_clip` 17).

To go on, repeat the second clip. To add one **before**, use the first frame as keyframe of a clip with the keyframe
at **last**. What moves may change a little from clip to clip.

{PHOTOS}""",
    )
    keyframe = drawn_keyframe(flow, x=30, y=64)
    flow.group = "First clip"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A yellow square moves right slowly over a night sky", "first")
    first = sample(flow, model, keyframe[0], encoded)
    flow.group = "Second clip, from the last frame"
    last = flow.add("LatentFromBatch", "Last frame", samples=first[0], batch_index=FRAMES - 1, length=1)
    picture = decode(flow, last[0], model[3], "Second keyframe")
    prompt = "A yellow square moves up slowly over a night sky"
    encoded = encode(flow, model, picture[0], prompt, "first", "AppearNet Encode 2")
    second = sample(flow, model, picture[0], encoded, "MicroCinema Sampler 2", seed=2)
    new = flow.add("LatentFromBatch", "Without the shared frame", samples=second[0], batch_index=1, length=FRAMES - 1)
    shot = batch_latents(flow, "Both clips", [first[0], new[0]])
    finish(flow, model, shot[0], frames=2 * FRAMES - 1)
    return flow


def loop() -> Workflow:
    flow = Workflow(
        "toybox-loop",
        f"""# A video that repeats without a seam

The first clip goes right, the second goes back from its last frame. The second one's last frame is replaced by the
first of all, so TSR Interpolate makes the way back to it: 9 + 7 + 1 = 17 latents. Of its 257 frames the last equals
the first and is left out.

Switch on **loop** in the player to see it.

{PHOTOS}""",
    )
    keyframe = drawn_keyframe(flow, x=30)
    flow.group = "There"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A yellow square moves right slowly over a night sky", "first")
    there = sample(flow, model, keyframe[0], encoded)
    flow.group = "And back"
    last = flow.add("LatentFromBatch", "Last frame", samples=there[0], batch_index=FRAMES - 1, length=1)
    turn = decode(flow, last[0], model[3], "Second keyframe")
    prompt = "A yellow square moves left slowly over a night sky"
    encoded = encode(flow, model, turn[0], prompt, "first", "AppearNet Encode 2")
    back = sample(flow, model, turn[0], encoded, "MicroCinema Sampler 2", seed=2)
    between = flow.add("LatentFromBatch", "Way back", samples=back[0], batch_index=1, length=FRAMES - 2)
    first = flow.add("LatentFromBatch", "First frame", samples=there[0], batch_index=0, length=1)
    closed = batch_latents(flow, "Closed loop", [there[0], between[0], first[0]])
    faster = interpolate(flow, closed[0], frames=2 * FRAMES - 1)
    frames = decode(flow, faster[0], model[3])
    whole = flow.add("ImageFromBatch", "All but the last", image=frames[0], batch_index=0, length=256)
    save(flow, whole[0], faster[1])
    return flow


def seeds() -> Workflow:
    flow = Workflow(
        "toybox-seeds",
        f"""# Four seeds side by side

One keyframe and one prompt, four samplers. AppearNet Encode runs once for all of them. Look for the motion you like,
then use its seed in another workflow: each tile is what its seed gives alone.

TSR Interpolate takes the four clips one after the other (`frames_per_clip` 9) and makes 33 frames of each, 8 a second.

{PHOTOS}""",
        fixed_seeds=True,
    )
    keyframe = picture_from_text(flow, "A green triangle over sand", seed=1)
    flow.group = "Four clips"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A green triangle moves down over sand")
    clips = [sample(flow, model, keyframe[0], encoded, f"Seed {seed}", seed=seed) for seed in range(1, 5)]
    all_clips = batch_latents(flow, "All clips", [clip[0] for clip in clips])
    faster = interpolate(flow, all_clips[0], passes=1)
    frames = decode(flow, faster[0], model[3])
    flow.group = "Grid"
    length = (FRAMES - 1) * 4 + 1
    tiles = [
        flow.add("ImageFromBatch", f"Clip {i + 1}", image=frames[0], batch_index=i * length, length=length)
        for i in range(4)
    ]
    rows = [stitch(flow, f"Row {i + 1}", tiles[2 * i], tiles[2 * i + 1], "right") for i in range(2)]
    grid = stitch(flow, "Grid", rows[0], rows[1], "down")
    save(flow, grid[0], faster[1])
    return flow


def restyle() -> Workflow:
    flow = Workflow(
        "toybox-restyle",
        f"""# A given clip in another look

The given clip is made here, so that the workflow runs as it is; put **Load Video** and **Get Video Components** in its
place, at 128x128, 2 frames a second and 9 frames.

Its middle frame is drawn anew by the image stage (**denoise** below 1 keeps the place), and becomes the keyframe. The
video model then denoises the given frames from part of the way: a lower **denoise** in *Restyle* keeps more of them.
The noise prior is left out: what is given holds the appearance already.

{PHOTOS}""",
    )
    keyframe = drawn_keyframe(flow)
    flow.group = "Given clip"
    model = load(flow)
    encoded = encode(flow, model, keyframe[0], "A yellow square moves right slowly over a night sky")
    given = decode(flow, sample(flow, model, keyframe[0], encoded)[0], model[3], "Given frames")
    flow.group = "New keyframe"
    middle = flow.add("ImageFromBatch", "Middle frame", image=given[0], batch_index=FRAMES // 2, length=1)
    image = load(flow, "toybox-image.safetensors", "Load image stage")
    start = flow.add("VAEEncode", "Middle frame as latent", pixels=middle[0], vae=image[3])
    positive = text(flow, image[2], "A red circle over a dusk sky", "New look")
    negative = text(flow, image[2], "", "Not in the picture")
    drawn = ksampler(
        flow, "Draw anew", image[0], positive[0], negative[0], start[0], denoise=0.85, cfg=4.0,
        sampler_name="euler_ancestral",
    )  # fmt: skip
    look = decode(flow, drawn[0], image[3], "New keyframe")
    flow.group = "Restyled clip"
    frames = flow.add("VAEEncode", "Given frames as latents", pixels=given[0], vae=model[3])
    prompt = "A red circle moves right slowly over a dusk sky"
    encoded = encode(flow, model, look[0], prompt, title="AppearNet Encode 2")
    made = ksampler(flow, "Restyle", model[0], encoded[0], encoded[1], frames[0], denoise=0.85)
    finish(flow, model, made[0])
    return flow


def prior_elsewhere() -> Workflow:
    wan = ModelFile(
        "wan2.1_t2v_1.3B_fp16.safetensors",
        "diffusion_models",
        REPACKAGED + "diffusion_models/wan2.1_t2v_1.3B_fp16.safetensors",
    )
    reader = ModelFile(
        "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "text_encoders",
        REPACKAGED + "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
    )
    vae_file = ModelFile("wan_2.1_vae.safetensors", "vae", REPACKAGED + "vae/wan_2.1_vae.safetensors")
    flow = Workflow(
        "noise-prior-with-wan",
        """# The noise prior on another model

Wan 2.1 makes videos of text alone. **Appearance Noise Prior Noise** mixes a little of a picture's latent into its
starting noise, and the video takes on that picture's colours and layout. It works with every model that
SamplerCustomAdvanced samples.

**gamma** is the dial. For a flow model such as this one *auto* means 0, as it starts from pure noise by design, so
choose *value*: begin at 0.05, and raise it until the picture shows. Too much freezes the motion. We have not measured
what is best for this model.""",
    )
    flow.group = "Model"
    model = flow.add("UNETLoader", "Load Wan", (wan,), unet_name=wan.name, weight_dtype="default")
    shifted = flow.add("ModelSamplingSD3", "Shift", model=model[0], shift=8.0)
    clip = flow.add("CLIPLoader", "Load text encoder", (reader,), clip_name=reader.name, type="wan", device="default")
    vae = flow.add("VAELoader", "Load VAE", (vae_file,), vae_name=vae_file.name)
    flow.group = "Keyframe"
    picture = flow.add("LoadImage", "Load Image", image="keyframe.png")
    keyframe = flow.add(
        "ImageScale", "Keyframe", image=picture[0], upscale_method="lanczos", width=832, height=480, crop="center"
    )
    flow.group = "Noise with the keyframe in it"
    noise = flow.add(
        "MicroCinemaNoisePriorNoise", "Appearance Noise Prior Noise", model=shifted[0], vae=vae[0],
        keyframe=keyframe[0], seed=1, gamma="value", **{"gamma.value": 0.05},
    )  # fmt: skip
    flow.group = "Sampling"
    positive = text(flow, clip[0], "a paper boat drifts down a brook, morning light")
    negative = text(flow, clip[0], "still picture, blurred, text", "Negative prompt")
    guider = flow.add("CFGGuider", "Guidance", model=shifted[0], positive=positive[0], negative=negative[0], cfg=6.0)
    sampler = flow.add("KSamplerSelect", "Sampler", sampler_name="uni_pc")
    sigmas = flow.add("BasicScheduler", "Schedule", model=shifted[0], scheduler="simple", steps=30, denoise=1.0)
    size = flow.add("EmptyHunyuanLatentVideo", "Size", width=832, height=480, length=33, batch_size=1)
    made = flow.add(
        "SamplerCustomAdvanced", "Sample", noise=noise[0], guider=guider[0], sampler=sampler[0], sigmas=sigmas[0],
        latent_image=size[0],
    )  # fmt: skip
    save(flow, decode(flow, made[0], vae[0])[0], 16.0)
    return flow


READY: tuple[Callable[[], Workflow], ...] = (  # run as they are, without any download
    photo_moves, photo_under_snow, lake_alive, lake_by_hand, motion_brush,
    picture_to_video, text_to_video, stock_sampler, extended, loop, seeds, restyle,
)  # fmt: skip
TO_FETCH: tuple[Callable[[], Workflow], ...] = (
    depth_camera, inpainted_plates, guide_for_vace, guide_for_ltx, weather_for_vace, weather_for_any,
    sdxl_to_camera, prior_elsewhere, sdxl_to_video, sdxl_to_video_by_film,
)  # fmt: skip


def all_workflows() -> list[Workflow]:
    return [make() for make in (*READY, *TO_FETCH)]
