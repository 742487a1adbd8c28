"""The shipped workflows of drawn layers: weather, light, water, wind and sky in a picture."""

from __future__ import annotations

from typing import Any

from camera_graphs import FPS, OWN, WAN_FPS, WAN_FRAMES, WAN_SIZE, camera, picture, render, wan_parts
from graph_parts import REPACKAGED, ModelFile, Node, Place, Workflow, decode, ksampler, save, text

WAN = ModelFile(
    "wan2.1_t2v_1.3B_fp16.safetensors",
    "diffusion_models",
    REPACKAGED + "diffusion_models/wan2.1_t2v_1.3B_fp16.safetensors",
)
UNRUN = "We have not run this model: the graph is checked against the host's nodes, not against its weights."


def layer(flow: Workflow, kind: str, before: Node | None = None, **changed: Any) -> Node:
    """before: the camera, region or layer that it is chained to."""
    usual = {"kind": kind, "amount": 1.0, "speed": 1.0, "direction": "its own", "colour": "its own", "seed": 0}
    usual |= {
        "fade_in": 0.0,
        "fade_out": 0.0,
        "size": 1.0,
        "place": "its own",
        "at": "middle of the mask",
        "taught": "none",
    }
    chained = {} if before is None else {"motion": before[0]}
    return flow.add("MicroCinemaLayer", f"Layer: {kind}", **(usual | changed | chained))


def photo_under_snow() -> Workflow:
    flow = Workflow(
        "photo-under-snow",
        f"""# A photo under snow

Press **Run**. It snows, fog drifts, and the light fades a little while the camera comes nearer: all of it drawn, sharp
at the picture's own size, without a model and without a graphics card.

Each **MicroCinema Layer** is one thing: another **kind** makes it rain, dust, petals, embers ... **amount** 1 is as
usual, and **fade_in** lets it come. They are drawn in a fixed order, whatever order they are chained in. Take one out
with *Bypass*, or add more. The same seed gives the same snow.

Or write it: leave the layers out and put `snow falls softly, fog rolls in` into the camera's **prompt**.

{OWN}""",
    )
    shown = picture(flow)
    flow.group = "Weather"
    moved = camera(flow, zoom=1.1)
    fog = layer(flow, "fog", moved, amount=0.3)
    snow = layer(flow, "snow", fog)
    dark = layer(flow, "darker", snow, amount=0.4, fade_in=1.0)
    frames = render(flow, dark, shown[0])
    save(flow, frames[0], FPS)
    return flow


def lake_alive() -> Workflow:
    flow = Workflow(
        "lake-alive",
        """# A lake comes alive

1. Choose in **Load Image** a photograph with water, a sky and trees or grass.
2. Press **Run**. The water ripples, the clouds drift, the plants sway, and the video repeats without a seam.

Where they are, a small network finds by itself; **MicroCinema Render** shows what it found and how sure it is. What it
does not find it says instead of guessing: *Bypass* that layer, paint a mask as in *lake-by-hand*, or say in the layer's
**place** that it is everywhere. To see the masks, add **MicroCinema Scene** and *Preview Mask*.

**speed** and **direction** say how the clouds go, **size** how long the waves are.""",
    )
    shown = picture(flow)
    flow.group = "Water, sky and wind"
    waves = layer(flow, "waves")
    clouds = layer(flow, "clouds", waves, direction="left")
    wind = layer(flow, "wind", clouds)
    frames = render(flow, wind, shown[0], loop=True)
    save(flow, frames[0], FPS)
    return flow


def lake_by_hand() -> Workflow:
    flow = Workflow(
        "lake-by-hand",
        """# A lake comes alive where you paint it

1. Choose the same photograph in both **Load Image** nodes.
2. Right-click *Load Image*, choose **Open in MaskEditor**, paint over the water, and save.
3. The same with *Load Image: sky*, and the sky.
4. Press **Run**. Until both are painted, the layer that lacks its mask says so and nothing is made.

A painted mask always wins over what is found. Any node that gives a MASK will do as well: *MicroCinema Scene*'s, to be
corrected with the host's mask nodes, or one that segments.""",
    )
    shown = picture(flow)
    other = flow.add("LoadImage", "Load Image: sky", image=shown.inputs["image"])
    flow.group = "Water and sky"
    waves = layer(flow, "waves", mask=shown[1])
    clouds = layer(flow, "clouds", waves, direction="left", mask=other[1])
    frames = render(flow, clouds, shown[0], loop=True)
    save(flow, frames[0], FPS)
    return flow


def weather(flow: Workflow) -> tuple[Node, Node]:
    """A picture, and its frames under snow at Wan's size and rate."""
    shown = picture(flow)
    flow.group = "Weather"
    moved = camera(flow, zoom=1.1)
    fog = layer(flow, "fog", moved, amount=0.5)
    snow = layer(flow, "snow", fog, amount=1.5)
    width, height = WAN_SIZE
    frames = render(flow, snow, shown[0], frames=WAN_FRAMES, fps=WAN_FPS, width=width, height=height)
    return shown, frames


def prompts(flow: Workflow, clip: Place) -> tuple[Node, Node]:
    positive = text(flow, clip, "a drawing of a girl on a green hill, heavy snowfall, fog, falling snowflakes")
    return positive, text(flow, clip, "still picture, blurred, text", "Negative prompt")


def weather_for_vace() -> Workflow:
    width, height = WAN_SIZE
    flow = Workflow(
        "weather-draft-wan-vace",
        f"""# Drawn weather leads Wan VACE

MicroCinema draws the camera's move, fog and snow in seconds; Wan VACE takes those frames as its control video and the
picture as its reference, and makes all of it anew: what the snow does to hair and ground comes from the model, where
and when from here. To keep most of the frames as they are, take *weather-draft-low-denoise*.

**frames** is 4 n + 1 and the same in *Wan VACE* ({WAN_FRAMES}, {WAN_FPS:g} a second); **width** and **height** are
multiples of 16. Say in **Prompt** what is seen and what falls. A lower **strength** leaves Wan more freedom.

{OWN} {UNRUN}""",
    )
    shown, frames = weather(flow)
    flow.group = "Model"
    model, clip, vae = wan_parts(flow)
    shifted = flow.add("ModelSamplingSD3", "Shift", model=model[0], shift=8.0)
    flow.group = "Guide"
    positive, negative = prompts(flow, clip[0])
    guide = flow.add(
        "WanVaceToVideo", "Wan VACE", positive=positive[0], negative=negative[0], vae=vae[0], width=width,
        height=height, length=WAN_FRAMES, batch_size=1, strength=0.8, control_video=frames[0],
        reference_image=shown[0],
    )  # fmt: skip
    made = ksampler(
        flow, "Sample", shifted[0], guide[0], guide[1], guide[2], steps=30, cfg=6.0, sampler_name="uni_pc",
        scheduler="simple",
    )  # fmt: skip
    whole = flow.add("TrimVideoLatent", "Without the reference", samples=made[0], trim_amount=guide[3])
    save(flow, decode(flow, whole[0], vae[0])[0], WAN_FPS)
    return flow


def weather_for_any() -> Workflow:
    flow = Workflow(
        "weather-draft-low-denoise",
        f"""# Drawn weather as a draft that any video model makes real

MicroCinema draws the camera's move, fog and snow; **VAE Encode** makes latents of the frames, and a video model samples
them at a low **denoise**: 0.3 keeps them nearly as they are, 0.6 leaves their layout. It works with any model of the
host that samples a video's latents; change the three loaders, the frames' size and their number to its own.

For Wan **frames** is 4 n + 1 ({WAN_FRAMES}, {WAN_FPS:g} a second), **width** and **height** are multiples of 16.

{OWN} {UNRUN}""",
    )
    _, frames = weather(flow)
    flow.group = "Model"
    model, clip, vae = wan_parts(flow, WAN, "Load Wan")
    shifted = flow.add("ModelSamplingSD3", "Shift", model=model[0], shift=8.0)
    flow.group = "Draft made real"
    positive, negative = prompts(flow, clip[0])
    drafted = flow.add("VAEEncode", "Draft", pixels=frames[0], vae=vae[0])
    made = ksampler(
        flow, "Sample", shifted[0], positive[0], negative[0], drafted[0], steps=30, cfg=6.0, sampler_name="uni_pc",
        scheduler="simple", denoise=0.4,
    )  # fmt: skip
    save(flow, decode(flow, made[0], vae[0])[0], WAN_FPS)
    return flow
