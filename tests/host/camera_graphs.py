"""The shipped workflows of the multiplane camera."""

from __future__ import annotations

from typing import Any

from graph_parts import REPACKAGED, ModelFile, Node, Place, Workflow, decode, ksampler, save, text

PICTURE = "example.png"  # which ComfyUI brings in its input folder
FRAMES, FPS = 97, 24.0
WAN_FRAMES, WAN_FPS, WAN_SIZE = 81, 16.0, (832, 480)
LTX_SIZE = (768, 512)
GREY = 0x808080
OWN = "The picture is the one that ComfyUI brings: choose your own in **Load Image**."
INPAINTING = ModelFile(
    "512-inpainting-ema.safetensors",
    "checkpoints",
    "https://huggingface.co/Comfy-Org/stable_diffusion_2.1_repackaged/resolve/main/512-inpainting-ema.safetensors",
)
VACE = ModelFile(
    "wan2.1_vace_1.3B_fp16.safetensors",
    "diffusion_models",
    REPACKAGED + "diffusion_models/wan2.1_vace_1.3B_fp16.safetensors",
)
DEPTH = ModelFile(
    "depth_anything_3_mono_large.safetensors",
    "geometry_estimation",
    "https://huggingface.co/Comfy-Org/Depth-Anything-3/resolve/main/geometry_estimation/"
    "depth_anything_3_mono_large.safetensors",
)


def picture(flow: Workflow) -> Node:
    flow.group = "Picture"
    return flow.add("LoadImage", "Load Image", image=PICTURE)


def camera(flow: Workflow, **changed: Any) -> Node:
    still = dict.fromkeys(("horizontal", "vertical", "dolly", "pan", "tilt"), 0.0)
    still |= {"zoom": 1.0, "roll": 0.0, "shake": 0.0, "ease": "ease_in_out", "duration": 0.0, "keyframe_at": "first"}
    still |= {"prompt": "", "depth_kind": "disparity", "depth_range": 4.0, "depth_planes": 12, "fov": 50.0}
    still |= {"shake_seed": 0, "plan": ""}
    return flow.add("MicroCinemaCamera", "MicroCinema Camera", **(still | changed))


def region(flow: Workflow, mask: Place, **changed: Any) -> Node:
    still = {"horizontal": 0.0, "vertical": 0.0, "zoom": 1.0, "roll": 0.0, "distance": 0.0, "order": 0}
    still |= {"ease": "the plan's", "pivot": "middle of the mask"}
    return flow.add("MicroCinemaRegion", "MicroCinema Region", mask=mask, **(still | changed))


def render(flow: Workflow, motion: Node, shown: Place, **changed: Any) -> Node:
    given = {"frames": FRAMES, "fps": FPS, "width": 0, "height": 0, "loop": False, "tracks": 64}
    return flow.add("MicroCinemaRender", "MicroCinema Render", motion=motion[0], picture=shown, **(given | changed))


def photo_moves() -> Workflow:
    flow = Workflow(
        "a-photo-moves",
        f"""# A photo moves

Press **Run**. The camera comes nearer and goes a little to the right: four seconds, 24 frames a second, at the
picture's own size. No graphics card and no model is needed.

{OWN} The dials of **MicroCinema Camera** say where the camera goes; or leave them all alone and write it into its
**prompt**: `the camera slowly pulls back`. The picture stands first (`keyframe_at`), exactly as it is.

What comes into view beyond its edges is filled with the colours there. A picture larger than the frame has enough to
show: set **width** and **height** in MicroCinema Render.""",
    )
    shown = picture(flow)
    flow.group = "Camera"
    moved = camera(flow, horizontal=0.04, zoom=1.2)
    frames = render(flow, moved, shown[0])
    save(flow, frames[0], FPS)
    return flow


def motion_brush() -> Workflow:
    flow = Workflow(
        "motion-brush",
        f"""# Paint what moves

1. Right-click **Load Image**, choose **Open in MaskEditor**, paint over the thing that shall move, and save.
2. Say in **MicroCinema Region** where it goes: a share of the frame to the right and up, smaller, turned.
3. Press **Run**. Until something is painted, the node says so and nothing is made.

The background is filled where the thing was. For a second thing add another MicroCinema Region between this one and
MicroCinema Render, with a mask of its own (a second Load Image of the same picture).

{OWN} A person who should walk is cut out and slides: a region moves as a whole.""",
    )
    shown = picture(flow)
    flow.group = "What moves"
    camera_still = camera(flow, prompt="the camera is still")
    moved = region(flow, shown[1], horizontal=0.04, vertical=0.3, zoom=0.9)
    moved.inputs["motion"] = camera_still[0]
    frames = render(flow, moved, shown[0])
    save(flow, frames[0], FPS)
    return flow


def depth_of(flow: Workflow, shown: Place) -> Node:
    """Bright is near, as the camera's `disparity` wants it."""
    loaded = flow.add("LoadDA3Model", "Load depth model", (DEPTH,), model_name=DEPTH.name, weight_dtype="default")
    seen = flow.add(
        "DA3Inference", "Depth", da3_model=loaded[0], image=shown, resolution=504, resize_method="upper_bound_resize",
        mode="mono",
    )  # fmt: skip
    return flow.add(
        "DA3Render", "Depth picture", da3_geometry=seen[0], output="depth",
        **{"output.normalization": "v2_style", "output.apply_sky_clip": False},
    )  # fmt: skip


def depth_camera() -> Workflow:
    flow = Workflow(
        "depth-camera",
        f"""# A camera that knows depth

Depth Anything 3 says how far each part of the picture is. The camera goes to the right, and what is near moves more
than what is far.

A depth picture of your own will do as well: put a second **Load Image** in place of *Depth picture*, and say in
**depth_kind** whether bright is near (`disparity`) or far (`distance`). **depth_range** says how many times as far the
farthest is; begin with small moves (`horizontal` 0.05).

{OWN}""",
    )
    shown = picture(flow)
    flow.group = "Depth"
    depth = depth_of(flow, shown[0])
    flow.group = "Camera"
    moved = camera(flow, horizontal=0.06, dolly=0.1, depth=depth[0])
    frames = render(flow, moved, shown[0])
    save(flow, frames[0], FPS)
    return flow


def fill_plates(
    flow: Workflow, moved: Node, shown: Place, model: Node, prompt: str, negative: str, **changed: Any
) -> Node:
    """The plates, painted by an image model where the camera will uncover something."""
    plates = flow.add("MicroCinemaPlates", "MicroCinema Plates", motion=moved[0], picture=shown)
    positive = text(flow, model[1], prompt, "What is around it")
    other = text(flow, model[1], negative, "Not there")
    latent = flow.add(
        "VAEEncodeForInpaint", "To be filled", pixels=plates[0], vae=model[2], mask=plates[1], grow_mask_by=6
    )
    given = {"steps": 25, "cfg": 6.0, "scheduler": "karras"} | changed
    made = ksampler(flow, "Fill", model[0], positive[0], other[0], latent[0], **given)
    return decode(flow, made[0], model[2], "Filled plates")


def inpainted_plates() -> Workflow:
    flow = Workflow(
        "plates-inpaint",
        f"""# What the camera uncovers, painted by an inpainting model

The camera goes back and shows more than the picture has. **MicroCinema Plates** gives the picture with all that will
be seen around it, and a mask of what to fill; an inpainting model fills it **once**, so nothing flickers; **MicroCinema
Render** takes it back in *plates*. Connect the same motion and picture to both.

Any inpainting model will do, as will a paint program: save the plates and the mask, paint, and load them in their own
size. Say in **What is around it** what belongs there.

{OWN}""",
    )
    shown = picture(flow)
    flow.group = "Camera"
    moved = camera(flow, horizontal=0.1, zoom=0.8)
    flow.group = "Plates"
    model = flow.add("CheckpointLoaderSimple", "Load inpainting model", (INPAINTING,), ckpt_name=INPAINTING.name)
    filled = fill_plates(flow, moved, shown[0], model, "a child's drawing of a green hill, blue sky", "text, frame")
    flow.group = "Frames"
    frames = render(flow, moved, shown[0], plates=filled[0])
    save(flow, frames[0], FPS)
    return flow


def wan_parts(flow: Workflow, file: ModelFile = VACE, title: str = "Load Wan VACE") -> tuple[Node, Node, Node]:
    name = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
    reader = ModelFile(name, "text_encoders", f"{REPACKAGED}text_encoders/{name}")
    vae_file = ModelFile("wan_2.1_vae.safetensors", "vae", REPACKAGED + "vae/wan_2.1_vae.safetensors")
    model = flow.add("UNETLoader", title, (file,), unet_name=file.name, weight_dtype="default")
    clip = flow.add("CLIPLoader", "Load text encoder", (reader,), clip_name=name, type="wan", device="default")
    vae = flow.add("VAELoader", "Load VAE", (vae_file,), vae_name=vae_file.name)
    return model, clip, vae


def guide_for_vace() -> Workflow:
    width, height = WAN_SIZE
    flow = Workflow(
        "guide-wan-vace",
        f"""# The camera leads Wan VACE

MicroCinema Render makes the move; Wan VACE keeps what the picture shows in each frame and makes the rest, with life in
it. Its mask means the same as Render's *unknown*: 1 is made. What is to be made is given to it in grey, as it was
trained.

**frames** is 4 n + 1 and the same in *Wan VACE* ({WAN_FRAMES}, {WAN_FPS:g} a second); **width** and **height** are
multiples of 16. Say in **Prompt** what is seen and what happens. To let Wan repaint the whole, take *unknown* away.

{OWN} We have not run this model: the graph is checked against the host's node, not against its weights.""",
    )
    shown = picture(flow)
    flow.group = "Camera"
    moved = camera(flow, horizontal=0.15, zoom=0.9)
    frames = render(flow, moved, shown[0], frames=WAN_FRAMES, fps=WAN_FPS, width=width, height=height)
    grey = flow.add("EmptyImage", "Grey", width=width, height=height, batch_size=1, color=GREY)
    led = flow.add(
        "ImageCompositeMasked", "Grey where unknown", destination=frames[0], source=grey[0], x=0, y=0,
        resize_source=False, mask=frames[1],
    )  # fmt: skip
    flow.group = "Model"
    model, clip, vae = wan_parts(flow)
    shifted = flow.add("ModelSamplingSD3", "Shift", model=model[0], shift=8.0)
    flow.group = "Guide"
    positive = text(flow, clip[0], "a drawing of a girl on a green hill, her hair moves in the wind")
    negative = text(flow, clip[0], "still picture, blurred, text", "Negative prompt")
    guide = flow.add(
        "WanVaceToVideo", "Wan VACE", positive=positive[0], negative=negative[0], vae=vae[0], width=width,
        height=height, length=WAN_FRAMES, batch_size=1, strength=1.0, control_video=led[0], control_masks=frames[1],
    )  # fmt: skip
    made = ksampler(
        flow, "Sample", shifted[0], guide[0], guide[1], guide[2], steps=30, cfg=6.0, sampler_name="uni_pc",
        scheduler="simple",
    )  # fmt: skip
    save(flow, decode(flow, made[0], vae[0])[0], WAN_FPS)
    return flow


def guide_for_ltx() -> Workflow:
    width, height = LTX_SIZE
    checkpoint = ModelFile(
        "ltx-video-2b-v0.9.5.safetensors",
        "checkpoints",
        "https://huggingface.co/Lightricks/LTX-Video/resolve/main/ltx-video-2b-v0.9.5.safetensors",
    )
    reader = ModelFile(
        "t5xxl_fp16.safetensors",
        "text_encoders",
        "https://huggingface.co/comfyanonymous/flux_text_encoders/resolve/main/t5xxl_fp16.safetensors",
    )
    flow = Workflow(
        "guide-ltx",
        f"""# The camera leads LTX

MicroCinema Render makes the move, and LTX follows its frames. LTX's *attention_mask* is 1 where the guide counts, the
opposite of Render's *unknown*: **Invert Mask** stands between.

**frames** is 8 n + 1 ({FRAMES}); what is beyond is cut off by the host. **width** and **height** are multiples of 32
and the same in *Size*. A lower **strength** in *Guide* leaves LTX more freedom.

{OWN} We have not run this model: the graph is checked against the host's node, not against its weights.""",
    )
    shown = picture(flow)
    flow.group = "Camera"
    moved = camera(flow, horizontal=0.1, zoom=1.1)
    frames = render(flow, moved, shown[0], width=width, height=height)
    known = flow.add("InvertMask", "Known", mask=frames[1])
    flow.group = "Model"
    model = flow.add("CheckpointLoaderSimple", "Load LTX", (checkpoint,), ckpt_name=checkpoint.name)
    clip = flow.add("CLIPLoader", "Load text encoder", (reader,), clip_name=reader.name, type="ltxv", device="default")
    flow.group = "Guide"
    positive = text(flow, clip[0], "A drawing of a girl on a green hill. The wind moves her hair and the clouds.")
    negative = text(flow, clip[0], "still picture, blurred, text", "Negative prompt")
    rated = flow.add("LTXVConditioning", "Frame rate", positive=positive[0], negative=negative[0], frame_rate=FPS)
    size = flow.add("EmptyLTXVLatentVideo", "Size", width=width, height=height, length=FRAMES, batch_size=1)
    guide = flow.add(
        "LTXVAddGuide", "Guide", positive=rated[0], negative=rated[1], vae=model[2], latent=size[0], image=frames[0],
        frame_idx=0, strength=0.8, attention_mask=known[0],
    )  # fmt: skip
    flow.group = "Sampling"
    sampler = flow.add("KSamplerSelect", "Sampler", sampler_name="euler")
    sigmas = flow.add(
        "LTXVScheduler", "Schedule", steps=30, max_shift=2.05, base_shift=0.95, stretch=True, terminal=0.1,
        latent=guide[2],
    )  # fmt: skip
    made = flow.add(
        "SamplerCustom", "Sample", model=model[0], add_noise=True, noise_seed=1, cfg=3.0, positive=guide[0],
        negative=guide[1], sampler=sampler[0], sigmas=sigmas[0], latent_image=guide[2],
    )  # fmt: skip
    whole = flow.add("LTXVCropGuides", "Without the guide", positive=guide[0], negative=guide[1], latent=made[0])
    save(flow, decode(flow, whole[2], model[2])[0], FPS)
    return flow


def sdxl_to_camera() -> Workflow:
    xl = ModelFile(
        "sd_xl_base_1.0.safetensors",
        "checkpoints",
        "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
    )
    scene = "a wooden boat on a mountain lake at dawn, mist, photograph"
    flow = Workflow(
        "sdxl-to-camera",
        """# An SDXL picture, its depth, and a camera in it

SDXL draws the picture, Depth Anything 3 says how far things are, the camera moves, and SDXL itself fills what comes
into view, once. MicroCinema Render makes the frames at SDXL's own size.

**What the camera does** may be written into the camera's *prompt*; here it goes back, as the prompt says. The frames
and *unknown* can lead a video model from here: see *guide-wan-vace* and *guide-ltx*.""",
    )
    flow.group = "Picture"
    big = flow.add("CheckpointLoaderSimple", "Load SDXL", (xl,), ckpt_name=xl.name)
    positive = text(flow, big[1], scene, "Picture")
    negative = text(flow, big[1], "blurred, text, watermark", "Not in the picture")
    empty = flow.add("EmptyLatentImage", "Size", width=1216, height=832, batch_size=1)
    drawn = ksampler(
        flow, "Sample the picture", big[0], positive[0], negative[0], empty[0], steps=25, cfg=7.0, scheduler="karras"
    )
    shown = decode(flow, drawn[0], big[2], "Keyframe")
    flow.group = "Depth"
    depth = depth_of(flow, shown[0])
    flow.group = "Camera"
    moved = camera(flow, prompt="the camera slowly pulls back", depth=depth[0])
    flow.group = "Plates"
    filled = fill_plates(flow, moved, shown[0], big, scene, "text, frame", cfg=7.0, seed=2)
    flow.group = "Frames"
    frames = render(flow, moved, shown[0], plates=filled[0])
    save(flow, frames[0], FPS)
    return flow
