"""Models for the tests of the nodes: the embedded one, and small ones with random weights that share its companions."""

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "weights"
MOVES_LEFT = "A red star moves left slowly over the night sky"
GAMMA = {"gamma": "value", "value": 0.02}
FRAMES = 3
# Of the extreme: float32 through a few hundred layers whose products are summed in another order.
CLOSE = 1e-4
FAR = 100 * CLOSE


@dataclass(frozen=True, slots=True)
class Kit:
    """One loaded file and short ways to call the nodes with it."""

    pack: ModuleType
    nodes: dict[str, type]
    path: Path
    model: Any
    appearnet: Any
    clip: Any
    vae: Any

    def core(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.pack.__name__}.microcinema_core.{module}")

    def ours(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.pack.__name__}.nodes.{module}")

    def run(self, node: str, **inputs: Any) -> tuple:
        with torch.inference_mode():  # as the host runs its nodes
            return self.nodes["MicroCinema" + node].execute(**inputs).result

    def text(self, prompt: str) -> list:
        with torch.inference_mode():
            return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(prompt))

    def encode(self, keyframes: torch.Tensor, prompt: str = MOVES_LEFT, **changed: Any) -> tuple:
        given = {
            "appearnet": self.appearnet, "vae": self.vae, "keyframe": keyframes, "positive": self.text(prompt),
            "negative": self.text(""), "frames": FRAMES, "fps": 2.0, "keyframe_at": {"keyframe_at": "centre"},
            "motion": 1.0, "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0,
        }  # fmt: skip
        return self.run("AppearNetEncode", **(given | changed))

    def prior(self, keyframes: torch.Tensor, frames: int = FRAMES, gamma: Any = GAMMA) -> dict:
        model, vae = self.model, self.vae
        return self.run("NoisePriorLatent", model=model, vae=vae, keyframe=keyframes, frames=frames, gamma=gamma)[0]

    def sampler(self, keyframes: torch.Tensor, prompts: tuple, **changed: Any) -> torch.Tensor:
        given = {
            "model": self.model, "positive": prompts[0], "negative": prompts[1], "vae": self.vae,
            "keyframe": keyframes, "gamma": GAMMA, "seed": 7, "steps": 3, "cfg": 2.0, "sampler_name": "euler",
            "scheduler": "sgm_uniform", "exact_keyframe": False,
        }  # fmt: skip
        return self.run("Sampler", **(given | changed))[0]["samples"]

    def ksampler(
        self, prompts: tuple, latent: dict, sampler: str = "euler", scheduler: str = "sgm_uniform", steps: int = 3,
        cfg: float = 2.0, model: Any = None,
    ) -> torch.Tensor:  # fmt: skip
        """The stock KSampler, seed 7, denoise 1."""
        import nodes

        with torch.inference_mode():
            given = (7, steps, cfg, sampler, scheduler, *prompts, latent)
            return nodes.common_ksampler(model or self.model, *given)[0]["samples"]


def load(pack: ModuleType, nodes: dict[str, type], path: Path) -> Kit:
    loader = importlib.import_module(f"{pack.__name__}.nodes.load")
    with torch.inference_mode():
        return Kit(pack, nodes, path, *loader.load_parts(path))


def standalone(
    kit: Kit, keyframes: torch.Tensor, prompts: tuple, latent: dict, steps: int, cfg: float, sampler: str = "euler",
    led: tuple | None = None,
) -> Callable[[], torch.Tensor]:  # fmt: skip
    """The same clips by the core alone: its networks, denoiser and sampler, on the host's sigmas and noise of seed 7.

    AppearNet runs here; the result samples and returns latents as KSampler does. led: VAE latents [N, C, T, h, w] of
    every frame in place of the keyframes', and what is known of them.
    """
    import comfy.sample
    import comfy.samplers

    networks = kit.core("checkpoint.load").load_networks(kit.path)
    diffusion, form = networks.header.config.diffusion, kit.model.model.latent_format
    encoded = prompts[0][0][1]["microcinema"]
    sigmas = comfy.samplers.calculate_sigmas(kit.model.get_model_object("model_sampling"), "sgm_uniform", steps)
    noise = comfy.sample.prepare_noise(latent["samples"], 7, latent["batch_index"])
    start = noise * (1 + sigmas[0] ** 2).sqrt() + form.process_in(latent["samples"])
    video = start.unflatten(0, (-1, encoded.frames)).transpose(1, 2)
    with torch.inference_mode():
        clips, known = (kit.vae.encode(keyframes).unsqueeze(2), None) if led is None else led
        scaled = torch.stack([form.process_in(frames) for frames in clips.unbind(2)], dim=2)
        guide = kit.core("models.guide").Guide(scaled, known)
        appearance = networks.appearnet(guide).scaled(encoded.acting.strength)
        shared = {"appearance": appearance, "frame_time": torch.tensor(encoded.seconds)}
        shared["shared_frame"] = encoded.key if encoded.acting.share_attention else None
    denoiser = kit.core("diffusion.prediction").Denoiser(
        networks.unet,
        kit.core("diffusion.schedule").make_schedule(diffusion.schedule),
        diffusion.prediction,
        diffusion.prior_lambda,
    )
    branches = [{"context": text[0][0].expand(len(keyframes), -1, -1), **shared} for text in prompts]
    guided = kit.core("diffusion.guidance").GuidedDenoiser(denoiser, guide, *branches, cfg)

    def sampled() -> torch.Tensor:
        with torch.inference_mode():
            made = kit.core("diffusion.samplers").sample(sampler, guided, video, sigmas)
            return form.process_out(made.transpose(1, 2).flatten(0, 1))

    return sampled


def write_small(pack: ModuleType, folder: Path, kind: str = "video", base: Any = None, **unet: Any) -> Path:
    """A file with a small U-Net of random weights and Toybox's autoencoder and text encoder beside it.

    base: the ModelConfig whose layout, diffusion and latents it has; None is Toybox's.
    """
    core = f"{pack.__name__}.microcinema_core."
    form = importlib.import_module(core + "checkpoint.format")
    unet_class = importlib.import_module(core + "models.unet").VideoUNet
    appearnet_class = importlib.import_module(core + "models.appearnet").AppearNet
    toybox = form.read_header(WEIGHTS / f"toybox-{kind}.safetensors")
    sizes = {"block_out_channels": (32, 48), "attention_heads": (2, 3), "spade_hidden": 8} | unet
    base = base or toybox.config
    layout = replace(base.unet, **sizes)
    config = replace(toybox.config, name="small", unet=layout, diffusion=base.diffusion, latent=base.latent)
    for companion in toybox.companions.values():
        shutil.copy(WEIGHTS / companion.file, folder)
    torch.manual_seed(0)
    appearnet = appearnet_class(config.unet, text_length=config.text.max_length)
    sections = {"unet": unet_class(config.unet).state_dict(), "appearnet": appearnet.state_dict()}
    path = folder / f"small {kind} é.safetensors"
    header = form.Header(toybox.kind, config, companions=toybox.companions)
    form.save_checkpoint_file(path, form.Checkpoint(header, sections), torch.float32)
    return path


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, of the other's extreme."""
    return float((one - other).abs().max() / other.abs().max())


def pictures(count: int, height: int = 32, width: int = 40) -> torch.Tensor:
    """Keyframes that differ in every pixel: IMAGE [count, height, width, 3]."""
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def randomise_(module: torch.nn.Module) -> None:
    """No tensor is one number throughout, as those are that a class starts at zero."""
    for parameter in module.parameters():
        if parameter.min() == parameter.max():
            parameter += 0.2 * torch.randn(parameter.shape)
