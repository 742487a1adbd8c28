"""A fill model under the host's own inpainting nodes: what each of them says is known reaches the network."""

import importlib
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from http_graphs import Graph, node
from nodes_kit import CLOSE, FAR, WEIGHTS, Kit, apart, load, pictures
from run_host import Server

NAME = "small fill.safetensors"
SIDE = 64


def write_fill(pack: ModuleType, folder: Path) -> Path:
    """A small fill model of random weights on Toybox's latents, whose autoencoder and text encoder are beside it."""
    core = f"{pack.__name__}.microcinema_core."
    form = importlib.import_module(core + "checkpoint.format")
    unet_class = importlib.import_module(core + "models.unet").VideoUNet
    toybox = form.read_header(WEIGHTS / "toybox-image.safetensors")
    layout = replace(
        toybox.config.unet, block_out_channels=(16, 32), attention_heads=(1, 2), fills=True, reads_text=False,
        pooled_text=False,
    )  # fmt: skip
    for companion in toybox.companions.values():
        shutil.copy(WEIGHTS / companion.file, folder)
    torch.manual_seed(0)
    header = form.Header(toybox.kind, replace(toybox.config, unet=layout), companions=toybox.companions)
    path = folder / NAME
    form.save_checkpoint_file(path, form.Checkpoint(header, {"unet": unet_class(layout).state_dict()}), torch.float32)
    return path


@pytest.fixture(scope="module")
def kit(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return load(pack, pack_nodes, write_fill(pack, tmp_path_factory.mktemp("fill")))


def hole() -> torch.Tensor:
    """MASK of a picture of 32x40: its right part, from within a cell of latents on."""
    mask = torch.zeros(1, 32, 40)
    mask[..., 21:] = 1
    return mask


def conditioned(kit: Kit, picture: torch.Tensor, mask: torch.Tensor, prompt: str = "", held: bool = False) -> tuple:
    import nodes

    with torch.inference_mode():
        made = nodes.InpaintModelConditioning().encode(
            kit.text(prompt), kit.text(""), picture, kit.vae, mask, noise_mask=held
        )
    return made[:2], made[2]


def standalone(kit: Kit, picture: torch.Tensor, mask: torch.Tensor, latent: dict) -> torch.Tensor:
    """The same by the core alone, on the host's sigmas and noise of seed 7."""
    import comfy.sample
    import comfy.samplers

    networks = kit.core("checkpoint.load").load_networks(kit.path)
    form = kit.model.model.latent_format
    sigmas = comfy.samplers.calculate_sigmas(kit.model.get_model_object("model_sampling"), "sgm_uniform", 3)
    start = comfy.sample.prepare_noise(latent["samples"], 7) * (1 + sigmas[0] ** 2).sqrt()
    start = (start + form.process_in(latent["samples"])).unsqueeze(2)
    guides, prediction = kit.core("models.guide"), kit.core("diffusion.prediction")
    known = (1 - mask)[None]
    with torch.inference_mode():
        seen = form.process_in(kit.vae.encode(torch.lerp(torch.full_like(picture, 0.5), picture, known[0, ..., None])))
        cells = 1 - torch.nn.functional.interpolate(1 - known, seen.shape[-2:], mode="bilinear").round()
        guide = guides.Guide(kit.core("motion.fill").filled_latents(seen, cells)[:, :, None], cells[:, :, None])
        denoiser = prediction.Denoiser(
            lambda x, t, context: networks.unet(guides.beside(x, guide), t, context),
            kit.core("diffusion.schedule").make_schedule(networks.header.config.diffusion.schedule),
            networks.header.config.diffusion.prediction,
            0.0,
        )
        context = torch.zeros(1, 1, networks.header.config.unet.cross_attention_dim)
        made = kit.core("diffusion.samplers").sample(
            "euler", lambda y, sigma: denoiser.denoise(y, sigma, None, context=context), start, sigmas
        )
    return form.process_out(made[:, :, 0])


def test_ksampler_fills_as_the_core_does_whatever_the_prompt(kit: Kit) -> None:
    picture = pictures(1)
    prompts, latent = conditioned(kit, picture, hole(), "a red star")
    ours = kit.ksampler(prompts, latent)
    assert apart(ours, standalone(kit, picture, hole(), latent)) < CLOSE
    assert apart(kit.ksampler(conditioned(kit, picture, hole())[0], latent), ours) < CLOSE
    assert apart(kit.ksampler(conditioned(kit, picture, 1 - hole())[0], latent), ours) > FAR


def test_a_noise_mask_alone_says_what_is_known(kit: Kit) -> None:
    """Set Latent Noise Mask, and the node that encodes for inpainting: what a hole holds is not seen."""
    import nodes

    with torch.inference_mode():
        latent = {"samples": kit.vae.encode(pictures(1))}
        other = {"samples": latent["samples"].clone()}
        other["samples"][..., 3:] += 1
        encoded = nodes.VAEEncodeForInpaint().encode(kit.vae, pictures(1), hole(), 6)[0]
        pairs = [nodes.SetLatentNoiseMask().set_mask(one, hole())[0] for one in (latent, other)]
    prompts = kit.text(""), kit.text("")
    ours, again = (kit.ksampler(prompts, one) for one in pairs)
    assert apart(again, ours) < FAR / 2  # the start of sampling, at sigma 500, holds a 500th of the latents
    assert torch.allclose(ours[..., :2], latent["samples"][..., :2], atol=1e-4)
    assert apart(ours[..., 3:], latent["samples"][..., 3:]) > FAR
    assert torch.isfinite(kit.ksampler(prompts, encoded)).all()
    assert torch.isfinite(kit.ksampler(prompts, latent)).all()  # no mask: nothing is known


def graph() -> Graph:
    """A picture whose right half is filled, and the picture through the autoencoder."""
    return {
        "load": node("MicroCinemaLoad", file=NAME),
        "picture": node("EmptyImage", width=SIDE, height=SIDE, batch_size=1, color=0x4080C0),
        "none": node("SolidMask", value=0.0, width=SIDE, height=SIDE),
        "half": node("SolidMask", value=1.0, width=SIDE // 2, height=SIDE),
        "hole": node("MaskComposite", destination=["none", 0], source=["half", 0], x=SIDE // 2, y=0, operation="add"),
        "text": node("CLIPTextEncode", text="anything", clip=["load", 2]),
        "inpaint": node(
            "InpaintModelConditioning", positive=["text", 0], negative=["text", 0], vae=["load", 3],
            pixels=["picture", 0], mask=["hole", 0], noise_mask=True,
        ),
        "sample": node(
            "KSampler", model=["load", 0], positive=["inpaint", 0], negative=["inpaint", 1],
            latent_image=["inpaint", 2], seed=1, steps=2, cfg=1.0, sampler_name="dpmpp_2m", scheduler="sgm_uniform",
            denoise=1.0,
        ),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 3]),
        "trip": node("VAEDecode", samples=["encode", 0], vae=["load", 3]),
        "filled": node("VAEDecode", samples=["sample", 0], vae=["load", 3]),
        "both": node("ImageBatch", image1=["trip", 0], image2=["filled", 0]),
        "save": node("SaveImage", images=["both", 0], filename_prefix="fill"),
    }  # fmt: skip


def test_stock_nodes_inpaint_over_http(kit: Kit, host: Server, comfy: Any, tmp_path: Path) -> None:
    """What is known is kept; the rest is made up."""
    import numpy as np
    from PIL import Image

    for file in kit.path.parent.iterdir():
        shutil.copy(file, host.base / "models" / "microcinema")
    trip, filled = (np.asarray(Image.open(comfy.download(made, tmp_path))).astype(int) for made in comfy.run(graph()))
    far = SIDE // 4  # beyond most of what the decoder sees of the hole
    assert abs(filled[:, :far] - trip[:, :far]).max() <= 4
    assert abs(filled[:, SIDE // 2 :] - trip[:, SIDE // 2 :]).max() > 8


def test_latents_of_a_clip_are_refused_in_words(kit: Kit) -> None:
    latent = {"samples": torch.zeros(1, kit.vae.latent_channels, 3, 8, 8)}
    with pytest.raises(kit.core("errors").InputError, match="MicroCinema: the latent"):
        kit.ksampler((kit.text(""), kit.text("")), latent)
