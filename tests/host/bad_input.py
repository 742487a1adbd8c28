"""What a user may give that cannot be used: the cases of docs/comfyui-errors.md, and the files and nodes they take."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from http_graphs import FRAMES, SIZE, Graph, graph, node, put, stock
from nodes_kit import WEIGHTS
from PIL import Image
from safetensors.torch import save_file

LATENT = (FRAMES, 4, SIZE // 8, SIZE // 8)
LATENTS = {
    "sixteen": torch.ones(FRAMES, 16, SIZE // 8, SIZE // 8),
    "nan": torch.full(LATENT, torch.nan),
    "infinity": torch.full(LATENT, torch.inf),
}
NOTHING = dict.fromkeys(("x", "y", "width", "height"), 0)
MISSING = object()  # in place of a value: the input is left out


@dataclass(frozen=True, slots=True)
class Case:
    """given: the row of the page. changes: {node.input: value} in the graph with the stock sampler, or in ours."""

    given: str
    changes: dict[str, Any]
    stock: bool = False

    def graph(self) -> Graph:
        asked = (stock(graph()) if self.stock else graph()) | sources()
        asked = put(asked, {"sample.steps": 1, "save.filename_prefix": "bad"} | self.changes)
        for part in asked.values():
            part["inputs"] = {name: value for name, value in part["inputs"].items() if value is not MISSING}
        return asked


def sources() -> Graph:
    """What the cases connect; the host runs none that is not connected."""
    area = {"width": SIZE, "height": SIZE, "x": 0, "y": 0, "strength": 1.0}
    share = {"width": 0.5, "height": 1.0, "x": 0.0, "y": 0.0, "strength": 1.0}
    empty = {"width": SIZE, "height": SIZE}
    return {
        "larger": node("EmptyImage", width=SIZE + 8, height=SIZE, batch_size=1, color=0),
        "tiny": node("EmptyImage", width=8, height=9, batch_size=1, color=0),
        "pixel": node("EmptyImage", width=1, height=1, batch_size=1, color=0),
        "two": node("EmptyImage", width=SIZE, height=SIZE, batch_size=2, color=0),
        "nothing": node("ImageCropV2", image=["picture", 0], crop_region=NOTHING),
        "upload": node("LoadImage", image=""),
        "area": node("ConditioningSetArea", conditioning=["encode", 0], **area),
        "share": node("ConditioningSetAreaPercentage", conditioning=["encode", 0], **share),
        "whole": node("SolidMask", value=1.0, **empty),
        "masked": node(
            "ConditioningSetMask", conditioning=["encode", 0], mask=["whole", 0], strength=1.0, set_cond_area="default"
        ),
        "bounds": node(
            "ConditioningSetMask", conditioning=["encode", 0], mask=["whole", 0], strength=1.0,
            set_cond_area="mask bounds",
        ),
        "sixteen": node("LoadLatent", latent="sixteen.latent"),
        "nan": node("LoadLatent", latent="nan.latent"),
        "infinity": node("LoadLatent", latent="infinity.latent"),
        "wide": node("EmptyLatentImage", width=SIZE + 8, height=SIZE, batch_size=FRAMES),
        "five": node("EmptyLatentImage", batch_size=5, **empty),
        "other-empty": node("EmptySD3LatentImage", batch_size=FRAMES, **empty),
        "in-time": node("EmptyHunyuanLatentVideo", length=5, batch_size=1, **empty),
        "broken": node("VAEDecode", samples=["nan", 0], vae=["load", 3]),
        "zero": node("PrimitiveInt", value=0),
        "nought": node("PrimitiveFloat", value=0.0),
        "hundreds": node("PrimitiveFloat", value=500.0),
        "huge": node("MicroCinemaLoad", file="huge.safetensors"),
        "texts": node("MicroCinemaLoad", file="toybox-text.safetensors"),
        "image-stage": node("MicroCinemaLoad", file="toybox-image.safetensors"),
    } | others() | motions()  # fmt: skip


def motions() -> Graph:
    """A picture under a camera, with a region and plates."""
    still = dict.fromkeys(("horizontal", "vertical", "dolly", "pan", "tilt", "roll", "shake"), 0.0)
    more = {"depth_kind": "disparity", "depth_range": 4.0, "depth_planes": 4, "fov": 50.0, "shake_seed": 0}
    size = {"width": SIZE, "height": SIZE}
    return {
        "camera": node(
            "MicroCinemaCamera", **still, **more, zoom=1.2, ease="linear", duration=0.0, keyframe_at="last",
        ),
        "black": node("SolidMask", value=0.0, **size),
        "patch": node("SolidMask", value=1.0, width=16, height=16),
        "hole": node(
            "MaskComposite", destination=["black", 0], source=["patch", 0], x=24, y=24, operation="add"
        ),
        "two-masks": node("ImageToMask", image=["two", 0], channel="red"),
        "region": node(
            "MicroCinemaRegion", mask=["hole", 0], motion=["camera", 0], horizontal=0.1, vertical=0.0, zoom=1.0,
            roll=0.0, distance=0.0, order=0, ease="the plan's", pivot="middle of the mask",
        ),
        "render": node(
            "MicroCinemaRender", motion=["region", 0], picture=["picture", 0], frames=FRAMES, fps=8.0, width=0,
            height=0, loop=False, tracks=4,
        ),
        "layer": node(
            "MicroCinemaLayer", motion=["region", 0], kind="snow", amount=1.0, speed=1.0, direction="its own",
            colour="its own", seed=0, fade_in=0.0, fade_out=0.0, size=1.0, place="its own", at="middle of the mask",
        ),
        "scene": node("MicroCinemaScene", picture=["picture", 0]),
        "compose": node(
            "MicroCinemaCompose", latent=["sample", 0], frames=["render", 0], vae=["load", 3], detail="plain"
        ),
        "small": node("SolidMask", value=1.0, width=8, height=9),
        "opaque": node("LoadImage", image="example.png"),
        "larger-two": node("EmptyImage", width=SIZE + 8, height=SIZE, batch_size=FRAMES, color=0x808080),
    }  # fmt: skip


def others() -> Graph:
    """Nodes that change what a sampler does, and samplers with guiders and noise levels of other nodes."""
    both = {"positive": ["encode", 0], "negative": ["encode", 1]}
    drawn = {"sampler": ["euler", 0], "latent_image": ["prior", 0]}
    three = {"noise": ["noise", 0], "sigmas": ["levels", 0]} | drawn
    return {
        "inside": node(
            "HyperTile", model=["load", 0], tile_size=256, swap_size=2, max_depth=0, scale_depth=False
        ),
        "alone": node("RenormCFG", model=["load", 0], cfg_trunc=100.0, renorm_cfg=1.0),
        "lazy": node(
            "LazyCache", model=["load", 0], reuse_threshold=0.2, start_percent=0.15, end_percent=0.95, verbose=False
        ),
        "kind": node("ModelSamplingSD3", model=["load", 0], shift=3.0),
        "euler": node("KSamplerSelect", sampler_name="euler"),
        "noise": node("RandomNoise", noise_seed=1),
        "levels": node("BasicScheduler", model=["load", 0], scheduler="simple", steps=1, denoise=1.0),
        "turbo": node("SDTurboScheduler", model=["load", 0], steps=1, denoise=1.0),
        "by-levels": node(
            "SamplerCustom", model=["load", 0], add_noise=True, noise_seed=1, cfg=2.0, sigmas=["turbo", 0], **both,
            **drawn,
        ),
        "perp-neg": node(
            "PerpNegGuider", model=["load", 0], empty_conditioning=["negative", 0], cfg=2.0, neg_scale=1.0, **both
        ),
        "dual": node(
            "DualCFGGuider", model=["load", 0], cond1=["encode", 0], cond2=["positive", 0], negative=["encode", 1],
            cfg_conds=2.0, cfg_cond2_negative=2.0, style="regular",
        ),
        "by-perp-neg": node("SamplerCustomAdvanced", guider=["perp-neg", 0], **three),
        "by-dual": node("SamplerCustomAdvanced", guider=["dual", 0], **three),
    }  # fmt: skip


LED = {"encode.guide": ["render", 0]}  # so that the frames are asked for
DRAWN = LED | {"render.motion": ["layer", 0]}
COMPOSED = {"video.images": ["compose", 0]}
WIDE = DRAWN | {"render.width": SIZE, "render.height": SIZE}
PLAN = '{"format": "microcinema.motion", "version": 1%s}'


def drawing(*layers: str) -> dict[str, Any]:
    """A plan that draws them."""
    return {"camera.plan": PLAN % f', "layers": [{", ".join(layers)}]'}


SNOW = '{"kind": "snow"}'

CASES = [
    # Refused by the host before anything runs.
    Case("a text for a number", {"sample.steps": "many"}),
    Case("a prompt for a picture", {"encode.keyframe": ["positive", 0]}),
    Case("a MODEL for an APPEARNET", {"encode.appearnet": ["load", 0]}),
    Case("a picture for latents", {"interpolate.latent": ["picture", 0]}),
    Case("no keyframe", {"encode.keyframe": MISSING}),
    Case("a file that is not there", {"load.file": "none.safetensors"}),
    Case("a file outside the folder", {"load.file": "../../secret.safetensors"}),
    Case("no frames", {"encode.frames": 0}),
    Case("too many frames", {"encode.frames": 257}),
    Case("too many frames for the prior's latents", {"prior.frames": 257}, stock=True),
    Case("clips of one frame to interpolate", {"interpolate.frames_per_clip": 1}),
    Case("three passes of interpolation", {"interpolate.passes": 3}),
    Case("no steps", {"sample.steps": 0}),
    Case("a sampler that does not exist", {"sample.sampler_name": "best"}),
    Case("a picture of no width", {"picture.width": 0}),
    Case("a gamma without its number", {"sample.gamma.value": MISSING}),
    Case("no motion", {"render.motion": MISSING} | LED),
    Case("a picture for a motion", {"render.motion": ["picture", 0]} | LED),
    Case("a zoom of 0", {"camera.zoom": 0.0} | LED),
    Case("a field of view of 180 degrees", {"camera.fov": 180.0} | LED),
    Case("an ease that does not exist", {"camera.ease": "bouncy"} | LED),
    Case("a frame without frames a second", {"render.fps": 0.0} | LED),
    Case("a number for a plan", {"camera.plan": ["zero", 0]} | LED),
    Case("a kind of layer that does not exist", {"layer.kind": "hail"} | DRAWN),
    Case("a negative amount of a layer", {"layer.amount": -1.0} | DRAWN),
    Case("a layer's angle without its number", {"layer.direction": "angle"} | DRAWN),
    Case("a picture for a layer's mask", {"layer.mask": ["picture", 0]} | DRAWN),
    # Refused when the node runs.
    Case("a place of the keyframe that does not exist", {"encode.keyframe_at": "somewhere"}),
    Case("a keyframe beyond the last frame", {"encode.keyframe_at.index": FRAMES}),
    Case("a choice of gamma that does not exist", {"sample.gamma": "much"}),
    Case("an appearance that ends before it starts", {"encode.start_percent": 0.8, "encode.end_percent": 0.2}),
    Case("a number that is none (NaN): fps", {"encode.fps": torch.nan}),
    Case("a number that is none (NaN): strength", {"encode.strength": torch.nan}),
    Case("a number that is none (NaN): cfg", {"sample.cfg": torch.nan}),
    Case("a number that is none (NaN): gamma", {"sample.gamma.value": torch.nan}),
    Case(
        "a number that is none (NaN): the prior's gamma", {"prior.gamma": "value", "prior.gamma.value": torch.nan}, True
    ),
    Case("a number that is none (NaN): frames a second to interpolate", {"interpolate.fps": torch.nan}),
    Case("a link that brings no steps", {"sample.steps": ["zero", 0]}),
    Case("a link that brings no frames", {"encode.frames": ["zero", 0]}),
    Case("a link that brings no frames a second", {"encode.fps": ["nought", 0]}),
    Case("a link that brings too much guidance", {"sample.cfg": ["hundreds", 0]}),
    Case("a link that brings too much gamma", {"sample.gamma.value": ["hundreds", 0]}),
    Case("a link that brings no frames for the prior", {"prior.frames": ["zero", 0]}, stock=True),
    Case("a link that brings no segments at once", {"interpolate.batch": ["zero", 0]}),
    Case("a number for a picture", {"encode.keyframe": 1}),
    Case("a text for a prompt", {"encode.positive": "A red star"}),
    Case("true or false for a MODEL", {"interpolate.model": False}),
    Case("a number for a VAE", {"prior.vae": 1.5}, stock=True),
    Case("a picture cropped to nothing", {"encode.keyframe": ["nothing", 0]}),
    Case("a picture of one pixel", {"encode.keyframe": ["pixel", 0]}),
    Case("a picture of one pixel for the prior", {"prior.keyframe": ["pixel", 0]}, stock=True),
    Case("a picture made of NaN", {"encode.keyframe": ["broken", 0]}),
    Case("an empty file for a picture", {"upload.image": "empty.png", "encode.keyframe": ["upload", 0]}),
    Case("a text for a picture file", {"upload.image": "text.png", "encode.keyframe": ["upload", 0]}),
    Case("two keyframes encoded, one sampled", {"encode.keyframe": ["two", 0]}),
    Case("a keyframe of another size than the encoded one", {"sample.keyframe": ["larger", 0]}),
    Case("latents of another size than the keyframe", {"sample.latent_image": ["wide", 0]}, stock=True),
    Case("latents of another number of frames", {"sample.latent_image": ["five", 0]}, stock=True),
    Case("latents of another model", {"sample.latent_image": ["sixteen", 0]}, stock=True),
    Case("latents with a dimension of time", {"sample.latent_image": ["in-time", 0]}, stock=True),
    Case("latents of NaN", {"sample.latent_image": ["nan", 0]}, stock=True),
    Case("latents of infinity", {"sample.latent_image": ["infinity", 0]}, stock=True),
    Case("a negative past AppearNet Encode", {"sample.negative": ["negative", 0]}, stock=True),
    Case("a positive past AppearNet Encode", {"sample.positive": ["positive", 0]}, stock=True),
    Case("a negative past AppearNet Encode, in our sampler", {"sample.negative": ["negative", 0]}),
    Case(
        "the video model without AppearNet Encode",
        {"sample.positive": ["positive", 0], "sample.negative": ["negative", 0]},
        stock=True,
    ),
    Case(
        "the video model without AppearNet Encode, in our sampler",
        {"sample.positive": ["positive", 0], "sample.negative": ["negative", 0]},
    ),
    Case("a third conditioning past AppearNet Encode", {"interpolate.latent": ["by-perp-neg", 0]}, stock=True),
    Case("a second positive past AppearNet Encode", {"interpolate.latent": ["by-dual", 0]}, stock=True),
    Case("a node that acts inside a network's blocks", {"sample.model": ["inside", 0]}, stock=True),
    Case("a node that acts inside a network's blocks, in our sampler", {"sample.model": ["inside", 0]}),
    Case("guidance for one picture at a time", {"sample.model": ["alone", 0]}),
    Case("a cache that makes noise", {"sample.model": ["lazy", 0]}),
    Case("the noise levels of another kind of model", {"sample.model": ["kind", 0]}),
    Case("a scheduler of another kind of model", {"interpolate.latent": ["by-levels", 0]}, stock=True),
    Case("a prompt limited to an area", {"sample.positive": ["area", 0]}, stock=True),
    Case("a prompt limited to a share of the picture", {"sample.positive": ["share", 0]}, stock=True),
    Case("a prompt limited to the bounds of a mask", {"sample.positive": ["bounds", 0]}, stock=True),
    Case("a prompt limited to an area, in our sampler", {"sample.positive": ["area", 0]}),
    Case("another model in our sampler", {"sample.model": ["image-stage", 0]}),
    Case(
        "the interpolating model in KSampler",
        {"sample.model": ["tsr", 0], "sample.positive": ["positive", 0], "sample.negative": ["negative", 0]},
        stock=True,
    ),
    Case("the interpolating model with the video model's AppearNet", {"sample.model": ["tsr", 0]}, stock=True),
    Case("another model's AppearNet for interpolation", {"interpolate.appearnet": ["load", 1]}),
    Case("another model for interpolation", {"interpolate.model": ["load", 0]}),
    Case("the interpolating AppearNet for a keyframe", {"encode.appearnet": ["tsr", 1]}),
    Case("latents that are no whole number of clips", {"interpolate.frames_per_clip": 3}),
    Case("latents of another model to interpolate", {"interpolate.latent": ["sixteen", 0]}),
    Case("latents of NaN to interpolate", {"interpolate.latent": ["nan", 0]}),
    Case("a model whose numbers overflow", {"sample.model": ["huge", 0]}),
    Case("a model whose numbers overflow, in KSampler", {"sample.model": ["huge", 0]}, stock=True),
    Case("a zoom that is no number (NaN)", {"camera.zoom": torch.nan} | LED),
    Case("a link that brings a zoom of 0", {"camera.zoom": ["nought", 0]} | LED),
    Case("a number for a motion", {"render.motion": 1} | LED),
    Case("a text for a curve", {"camera.curve": "0,0 1,1"} | LED),
    Case("a file's name for a plan", {"camera.plan": "plans/mine.json"} | LED),
    Case("a plan of another program", {"camera.plan": '{"camera": {"zoom": 2}}'} | LED),
    Case("a plan of a later version", {"camera.plan": PLAN.replace("1", "2") % ""} | LED),
    Case("a plan with a key that no plan has", {"camera.plan": PLAN % ', "speed": 2'} | LED),
    Case("a plan that names a file", {"camera.plan": PLAN % ', "regions": [{"mask": "hat.png"}]'} | LED),
    Case("a plan with a number that is none (NaN)", {"camera.plan": PLAN % ', "duration": NaN'} | LED),
    Case("a plan with a thousand regions", {"camera.plan": PLAN % f', "regions": [{", ".join(["{}"] * 1000)}]'} | LED),
    Case("a plan with a million regions", {"camera.plan": PLAN % f', "regions": [{", ".join(["{}"] * 10**6)}]'} | LED),
    Case("a region without outline or mask", {"camera.plan": PLAN % ', "regions": [{}]'} | LED),
    Case("a mask in which nothing is painted", {"region.mask": ["black", 0]} | LED),
    Case("the mask of a picture that has none", {"region.mask": ["opaque", 1]} | LED),
    Case("several masks for a region", {"region.mask": ["two-masks", 0]} | LED),
    Case("a mask of another size than the picture", {"region.mask": ["patch", 0]} | LED),
    Case(
        "a camera that runs into a region",
        {"camera.dolly": 0.5, "camera.keyframe_at": "first", "region.distance": 0.2} | LED,
    ),
    Case("several pictures to move", {"render.picture": ["two", 0]} | LED),
    Case("a picture made of NaN to move", {"render.picture": ["broken", 0]} | LED),
    Case("several depth pictures", {"camera.depth": ["two", 0]} | LED),
    Case("a depth picture of one brightness", {"camera.depth": ["picture", 0]} | LED),
    Case("frames that no memory holds", {"render.frames": 10_000_000, "render.width": 4096} | LED),
    Case("filled plates of another size", {"render.plates": ["larger", 0]} | LED),
    Case("filled plates of another number", {"render.plates": ["two", 0]} | LED),
    Case("an amount that is no number (NaN)", {"layer.amount": torch.nan} | DRAWN),
    Case("a link that brings too large an amount", {"layer.amount": ["hundreds", 0]} | DRAWN),
    Case("a direction that does not exist", {"layer.direction": "north"} | DRAWN),
    Case("a word for a colour", {"layer.colour": "chosen", "layer.colour.chosen": "red"} | DRAWN),
    Case("a number for a colour", {"layer.colour": "chosen", "layer.colour.chosen": 3} | DRAWN),
    Case("a layer that lacks its mask", {"layer.kind": "swing"} | DRAWN),
    Case("a layer's mask in which nothing is painted", {"layer.mask": ["black", 0]} | DRAWN),
    Case("several masks for a layer", {"layer.mask": ["two-masks", 0]} | DRAWN),
    Case("a layer's mask of another size than the picture", {"layer.mask": ["patch", 0]} | DRAWN),
    Case("a mask of what is not in the picture", {"layer.mask": ["scene", 1]} | DRAWN),
    Case("waves in a picture without water", {"layer.kind": "waves"} | DRAWN),
    Case("one layer more than a plan has", drawing(*[SNOW] * 32) | DRAWN),
    Case("a plan with 33 layers", drawing(*[SNOW] * 33) | LED),
    Case("a plan with a megabyte of layers", drawing(*[SNOW] * 60_000) | LED),
    Case("a plan with a kind of layer that does not exist", drawing('{"kind": "hail"}') | LED),
    Case("a plan whose layer names a file", drawing('{"kind": "fog", "mask": "f.png"}') | LED),
    Case("waves of a plan in a picture without water", drawing('{"kind": "waves"}') | LED),
    Case("several pictures to look at", {"scene.picture": ["two", 0], "layer.mask": ["scene", 0]} | DRAWN),
    Case("a picture made of NaN to look at", {"scene.picture": ["broken", 0], "layer.mask": ["scene", 0]} | DRAWN),
    Case("more rendered frames than were painted", {"render.frames": 5} | COMPOSED),
    Case("latents of another model to compose", {"compose.latent": ["sixteen", 0]} | COMPOSED),
    Case("latents of NaN to compose", {"compose.latent": ["nan", 0]} | COMPOSED),
    Case("frames made of NaN to compose", {"compose.frames": ["broken", 0]} | COMPOSED),
    Case("a guide of another number of frames", {"render.frames": 5} | LED),
    Case("a guide of another size", {"encode.guide": ["larger-two", 0]}),
    Case("a guide made of NaN", {"encode.guide": ["broken", 0]}),
    Case("a guide's mask that is not the guide's", {"encode.guide_mask": ["black", 0]} | LED),
    Case("a file without MODEL", {"sample.model": ["texts", 0]}),
    Case("a file without APPEARNET", {"encode.appearnet": ["image-stage", 1]}),
    Case("a file without VAE", {"decode.vae": ["texts", 3]}),
    Case("another model's safetensors", {"load.file": "other.safetensors"}),
    Case("a pickle named .safetensors", {"load.file": "pickle.safetensors"}),
    Case("a truncated file", {"load.file": "truncated.safetensors"}),
    Case("an empty file", {"load.file": "empty.safetensors"}),
    Case("a text named .safetensors", {"load.file": "text.safetensors"}),
    Case("a file of ours that lacks tensors", {"load.file": "less.safetensors"}),
    Case("a file as the host saves it, with a header of brackets", {"load.file": "brackets.safetensors"}),
]

# What looks wrong and is not.
WORKS = [
    Case("a mask that limits a prompt, without its bounds", {"sample.positive": ["masked", 0]}, stock=True),
    Case("empty latents of another model", {"sample.latent_image": ["other-empty", 0]}, stock=True),
    Case("a picture of 8x9 pixels", {"encode.keyframe": ["tiny", 0], "sample.keyframe": ["tiny", 0]}),
    Case("half a picture file", {"upload.image": "half.png", "encode.keyframe": ["upload", 0]}),
    Case("a prompt limited to an area, for interpolation", {"interpolate.conditioning": ["area", 0]}),
    Case("a region that leaves the frame", {"region.horizontal": 2.0, "camera.keyframe_at": "first"} | LED),
    Case("a mask that covers the picture", {"region.mask": ["whole", 0]} | LED),
    Case("a depth picture of another size", {"camera.depth": ["opaque", 0]} | LED),
    Case("waves everywhere in a picture without water", {"layer.kind": "waves", "layer.place": "everywhere"} | DRAWN),
    Case("a layer in a picture of one pixel", {"render.picture": ["pixel", 0], "layer.motion": ["camera", 0]} | WIDE),
    Case("as much of a layer as there can be", {"layer.amount": 10.0, "layer.size": 0.1, "layer.speed": 10.0} | DRAWN),
    Case("a guide that shows the keyframe elsewhere", {"picture.color": 0x102030} | LED),
    Case(
        "a picture of an odd size to move",
        {"render.picture": ["tiny", 0], "render.width": SIZE, "render.height": SIZE, "region.mask": ["small", 0]} | LED,
    ),
]


def write_models(folder: Path) -> list[Path]:
    """Files that are no MicroCinema models, into the host's folder for those."""
    whole = (WEIGHTS / "toybox-video.safetensors").read_bytes()
    contents = {
        "pickle": pickled(),
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"This is a page that says the file was not found.",
    }
    paths = [folder / f"{name}.safetensors" for name in (*contents, "other", "less", "huge", "brackets")]
    for name, data in contents.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    of_others = "model.diffusion_model.input_blocks.0.0.weight"  # as Stable Diffusion's is named
    save_file({of_others: torch.zeros(320, 4, 3, 3)}, folder / "other.safetensors")
    deep = torch.frombuffer(bytearray(b"[" * 100_000), dtype=torch.uint8)  # more than a parser goes into
    save_file({"microcinema.header": deep, of_others: torch.zeros(1)}, folder / "brackets.safetensors")
    first_layer = "unet.conv_in.weight"
    write_changed(folder / "less.safetensors", first_layer, None)
    write_changed(folder / "huge.safetensors", first_layer, 1e37)  # finite, unlike what is computed of it
    return paths


def write_changed(path: Path, key: str, value: float | None) -> None:
    """The embedded model with one of its tensors filled with a number, or left out."""
    from safetensors import safe_open

    with safe_open(WEIGHTS / "toybox-video.safetensors", framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}
        if value is None:
            del state[key]
        else:
            state[key] = torch.full_like(state[key].float(), value)
        save_file(state, path, metadata=file.metadata())


def pickled() -> bytes:
    made = io.BytesIO()
    torch.save({"state_dict": {"x": torch.zeros(2)}}, made)
    return made.getvalue()


def write_inputs(folder: Path) -> list[Path]:
    """Files to upload: pictures that are none, and latents as the host saves them."""
    picture = io.BytesIO()
    noise = torch.randint(256, (SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    Image.fromarray(noise.numpy()).save(picture, "PNG")
    contents = {"empty": b"", "half": picture.getvalue()[:6000], "text": b"This is no picture."}
    for name, data in contents.items():
        (folder / f"{name}.png").write_bytes(data)
    for name, latent in LATENTS.items():
        save_file({"latent_tensor": latent, "latent_format_version_0": torch.zeros(0)}, folder / f"{name}.latent")
    return [*(folder / f"{name}.png" for name in contents), *(folder / f"{name}.latent" for name in LATENTS)]
