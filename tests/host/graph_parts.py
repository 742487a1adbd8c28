"""What the shipped workflows are put together from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FRAMES, FPS = 9, 2.0
RATE = "Frames a second"
PHOTOS = "**Toybox is a demonstration with simple shapes, not trained for photos.**"
REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/"
NIGHT, YELLOW = 0x1B213D, 0xF8D61E
Place = list[Any]  # [node id, output]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to fetch. folder: under models/. url: empty where nobody publishes one."""

    name: str
    folder: str
    url: str = ""


@dataclass(slots=True)
class Node:
    """A node; `node[0]` is its first output, as another's input."""

    id: str
    kind: str
    title: str
    inputs: dict[str, Any]
    group: str
    files: tuple[ModelFile, ...] = ()

    def __getitem__(self, output: int) -> Place:
        return [self.id, output]


@dataclass(slots=True)
class Workflow:
    """One graph. note: Markdown for the canvas. fixed_seeds: the page leaves seeds as they are after a run."""

    name: str
    note: str
    nodes: list[Node] = field(default_factory=list)
    group: str = ""
    fixed_seeds: bool = False

    def add(self, kind: str, title: str, files: tuple[ModelFile, ...] = (), /, **inputs: Any) -> Node:
        made = Node(str(len(self.nodes) + 1), kind, title, inputs, self.group, files)
        self.nodes.append(made)
        return made

    @property
    def api(self) -> dict[str, dict[str, Any]]:
        return {
            node.id: {"class_type": node.kind, "inputs": node.inputs, "_meta": {"title": node.title}}
            for node in self.nodes
        }

    @property
    def files(self) -> list[ModelFile]:
        return [file for node in self.nodes for file in node.files]


def load(flow: Workflow, file: str = "toybox-video.safetensors", title: str = "Load MicroCinema") -> Node:
    own = () if file.startswith("toybox") else (ModelFile(file, "microcinema"),)
    return flow.add("MicroCinemaLoad", title, own, file=file)


def drawn_keyframe(flow: Workflow, x: int = 48, y: int = 48) -> Node:
    """A yellow square over a night sky, of the host's own nodes: needs no file in the input folder."""
    flow.group = "Keyframe"
    sky = flow.add("EmptyImage", "Night sky", width=128, height=128, batch_size=1, color=NIGHT)
    square = flow.add("EmptyImage", "Yellow square", width=32, height=32, batch_size=1, color=YELLOW)
    both = {"destination": sky[0], "source": square[0], "x": x, "y": y, "resize_source": False}
    return flow.add("ImageCompositeMasked", "Keyframe", **both)


def text(flow: Workflow, clip: Place, prompt: str, title: str = "Prompt") -> Node:
    return flow.add("CLIPTextEncode", title, text=prompt, clip=clip)


def ksampler(
    flow: Workflow, title: str, model: Place, positive: Place, negative: Place, latent: Place, **changed: Any
) -> Node:
    given = {"seed": 1, "steps": 12, "cfg": 2.0, "sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform", "denoise": 1.0}
    inputs = {"model": model, "positive": positive, "negative": negative, "latent_image": latent}
    return flow.add("KSampler", title, **inputs, **(given | changed))


def picture_from_text(flow: Workflow, prompt: str, **changed: Any) -> Node:
    """The image stage of Toybox makes the keyframe."""
    flow.group = "Keyframe"
    image = load(flow, "toybox-image.safetensors", "Load image stage")
    positive = text(flow, image[2], prompt, "Picture")
    negative = text(flow, image[2], "", "Not in the picture")
    empty = flow.add("EmptyLatentImage", "Size", width=128, height=128, batch_size=1)
    made = ksampler(flow, "Sample the picture", image[0], positive[0], negative[0], empty[0], **changed)
    return flow.add("VAEDecode", "Keyframe", samples=made[0], vae=image[3])


def rate(flow: Workflow) -> Node:
    """The one number that all rates of a workflow come from; a bypassed TSR Interpolate hands it on to Create Video."""
    made = [node for node in flow.nodes if node.title == RATE]
    return made[0] if made else flow.add("PrimitiveFloat", RATE, value=FPS)


def encode(
    flow: Workflow, model: Node, keyframe: Place, prompt: str, at: str = "centre", title: str = "AppearNet Encode"
) -> Node:
    number = title.removeprefix("AppearNet Encode")
    positive = text(flow, model[2], prompt, f"Prompt{number}")
    negative = text(flow, model[2], "", f"Negative prompt{number}")
    return flow.add(
        "MicroCinemaAppearNetEncode", title, appearnet=model[1], vae=model[3], keyframe=keyframe,
        positive=positive[0], negative=negative[0], frames=FRAMES, fps=rate(flow)[0], keyframe_at=at, motion=1.0,
        strength=1.0, start_percent=0.0, end_percent=1.0, share_attention=False,
    )  # fmt: skip


def sample(
    flow: Workflow, model: Node, keyframe: Place, encoded: Node, title: str = "MicroCinema Sampler", **changed: Any
) -> Node:
    given = {"gamma": "auto", "seed": 1, "steps": 12, "cfg": 2.0, "sampler_name": "dpmpp_2m"}
    given |= {"scheduler": "sgm_uniform", "exact_keyframe": False}
    inputs = {"model": model[0], "positive": encoded[0], "negative": encoded[1], "vae": model[3], "keyframe": keyframe}
    return flow.add("MicroCinemaSampler", title, **inputs, **(given | changed))


def interpolate(
    flow: Workflow, latent: Place, frames: int = FRAMES, passes: int = 2, file: str = "toybox-tsr.safetensors"
) -> Node:
    slow, flow.group = rate(flow), "Frame rate"
    tsr = load(flow, file, "Load TSR")
    return flow.add(
        "MicroCinemaTSRInterpolate", "TSR Interpolate", model=tsr[0], appearnet=tsr[1], latent=latent,
        frames_per_clip=frames, fps=slow[0], passes=passes, steps=4, seed=1, batch=8,
    )  # fmt: skip


def decode(flow: Workflow, latent: Place, vae: Place, title: str = "VAE Decode") -> Node:
    return flow.add("VAEDecode", title, samples=latent, vae=vae)


def save(flow: Workflow, images: Place, fps: Place | float) -> None:
    flow.group = "Video"
    video = flow.add("CreateVideo", "Create Video", images=images, fps=fps, bit_depth=8)
    flow.add(
        "SaveVideo", "Save Video", video=video[0], filename_prefix=f"microcinema/{flow.name}", format="mp4",
        codec="h264", **{"codec.encoding": "auto"},
    )  # fmt: skip


def finish(flow: Workflow, model: Node, latent: Place, frames: int = FRAMES) -> None:
    faster = interpolate(flow, latent, frames)
    save(flow, decode(flow, faster[0], model[3])[0], faster[1])


def batch_latents(flow: Workflow, title: str, latents: list[Place]) -> Node:
    given = {f"latents.latent{number}": latent for number, latent in enumerate(latents)}
    return flow.add("BatchLatentsNode", title, **given)


def stitch(flow: Workflow, title: str, first: Node, second: Node, direction: str) -> Node:
    given = {"image1": first[0], "image2": second[0], "direction": direction, "match_image_size": False}
    return flow.add("ImageStitch", title, **given, spacing_width=4, spacing_color="black")


def fix_seed(node: dict[str, Any]) -> None:
    """A node of a canvas: the page leaves its seed as it is after a run."""
    node["widgets_values"] = ["fixed" if value == "randomize" else value for value in node.get("widgets_values", [])]
