"""What the host's own nodes do to our MODEL: a clip of Toybox at its real size, and the cases of docs/comfyui.md.

A case names a node as the canvas does. Values that are not given are the node's defaults.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from nodes_kit import Kit

FRAMES, STEPS = 5, 4
SIDE = 128  # pixels; latents of 16x16, in which every node of the host has something to act on
PROMPT = "A yellow square moves right slowly over a night sky"
NIGHT, YELLOW = (0x1B, 0x21, 0x3D), (0xF8, 0xD6, 0x1E)


@dataclass(frozen=True, slots=True)
class Case:
    """title: as the canvas has it. says: the error, a regular expression; none where the clip is made. steps: of it."""

    title: str
    given: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    steps: int = STEPS

    def __str__(self) -> str:
        return " ".join([self.title, *(f"{name}={value}" for name, value in self.given.items())])


WINDOWS = {"context_length": 4, "context_overlap": 2, "cond_retain_index_list": [], "latent_retain_index_list": []}

# They change the clip, and it stays as smooth as it was.
ACTS = [
    Case("RescaleCFG"),
    Case("Adaptive Projected Guidance"),
    Case("CFGZeroStar"),
    Case("CFGNorm"),
    Case("CFGNorm", {"pre_cfg": True}),
    Case("CFG Override", {"cfg": 4.0, "start_percent": 0.0}),
    Case("Tangential Damping CFG"),
    Case("Positive-Biased Guidance"),
    Case("FreSca", {"freq_cutoff": 4}),
    Case("Self-Attention Guidance"),
    Case("PerturbedAttentionGuidance"),
    Case("Normalized Attention Guidance"),
    Case("Video Linear CFG Guidance"),
    Case("Video Triangle CFG Guidance"),
    Case("EasyCache", steps=12),
    Case("ModelComputeDtype", {"dtype": "bf16"}),
    Case("ModelSamplingContinuousV"),
    Case("UNetSelfAttentionMultiply", {"q": 2.0}),
    Case("UNetCrossAttentionMultiply", {"q": 2.0}),
    Case("UNetTemporalAttentionMultiply", {"self_structural": 2.0}),
    Case("UNetTemporalAttentionMultiply", {"cross_structural": 2.0}),
    Case("Context Windows (Manual)", WINDOWS),
]

# The clip is the one without them.
NOTHING = [
    Case("FreSca"),
    Case("UNetTemporalAttentionMultiply", {"self_temporal": 2.0, "cross_temporal": 2.0}),
    Case("ChromaRadianceOptions", {"nerf_tile_size": 32}),
    Case("MultiGPU CFG Split"),
    Case("Select Model Device"),
    Case("wanBlockSwap"),
]

INSIDE = "acts inside the blocks of another network.*take it out"
KIND = "makes the sampler read this MODEL as one of another kind.*take that node out"
ALONE = f"can work on one picture at a time only, and this clip's frames are a batch of {FRAMES}; take it out"
DIM = "context windows are over dimension 2.*take Context Windows .Manual. with dim 0"
LACKS = "object has no attribute"

REFUSED = [
    Case("SkipLayerGuidanceDiT", says=INSIDE),
    Case("SkipLayerGuidanceDiTSimple", says=INSIDE),
    Case("SkipLayerGuidanceSD3", says=INSIDE),
    Case("FreeU", says=INSIDE),
    Case("FreeU_V2", says=INSIDE),
    Case("HyperTile", says=INSIDE),
    Case("PatchModelAddDownscale (Kohya Deep Shrink)", says=INSIDE),
    Case("TomePatchModel", says=INSIDE),
    Case("ScaleROPE", says=INSIDE),
    Case("Flux KV Cache", says=INSIDE),
    Case("RenormCFG", says=ALONE),
    Case("TSR - Temporal Score Rescaling", says=ALONE),
    Case("LazyCache", says="only noise comes of it; take EasyCache instead"),
    Case("Wan Context Windows", says=DIM),
    Case("LTXV Context Windows", says=DIM),
    *(Case("ModelSamplingDiscrete", {"sampling": name}, KIND) for name in ("eps", "v_prediction", "lcm", "x0")),
    *(Case("ModelSamplingContinuousEDM", {"sampling": name}, KIND) for name in ("edm", "eps", "v_prediction")),
    Case("ModelSamplingSD3", says=KIND),
    Case("ModelSamplingAuraFlow", says=KIND),
    Case("ModelSamplingFlux", says=KIND),
    Case("ModelSamplingLTXV", says=KIND),
    Case("ModelSamplingStableCascade", says=KIND),
    Case("MiniMax H3 Sigma Shift", says=KIND),
    Case("ModelNoiseScale", {"noise_scale": 1.5}, LACKS),
    Case("HiDream-O1 Patch Seam Smoothing", says=LACKS),
    Case("TripoSplat Sampling Preview", {"vae": None}, LACKS),
]

CASES = [*ACTS, *NOTHING, *REFUSED]


@dataclass(frozen=True, slots=True)
class HostNodes:
    """classes: by id. titles: each one's id by what the canvas calls it."""

    classes: dict[str, Any]
    titles: dict[str, str]


@dataclass(frozen=True, slots=True)
class Toy:
    """Toybox with a keyframe, both prompts and the prior's latents."""

    kit: Kit
    nodes: HostNodes
    prompts: tuple
    latent: dict[str, Any]

    def call(self, title: str, **given: Any) -> tuple:
        """The outputs of one of the host's nodes; what is not given is its default."""
        node = self.nodes.classes[self.nodes.titles.get(title, title)]
        sockets = node.INPUT_TYPES()
        filled = {
            name: default_of(*socket)
            for group in ("required", "optional")
            for name, socket in sockets.get(group, {}).items()
        }
        filled = {name: value for name, value in filled.items() if value is not None} | given
        with torch.inference_mode():
            if hasattr(node, "define_schema"):
                made = node.execute(**filled)
                return getattr(made, "result", made)  # some give a bare tuple
            return getattr(node(), node.FUNCTION)(**filled)

    def sampled(
        self, model: Any = None, steps: int = STEPS, scheduler: str = "sgm_uniform", latent: Any = None
    ) -> torch.Tensor:
        return self.kit.ksampler(self.prompts, latent or self.latent, "dpmpp_2m", scheduler, steps, 2.0, model)

    def by_guider(self, guider: Any = None, sigmas: Any = None, sampler: Any = None) -> torch.Tensor:
        """The same by SamplerCustomAdvanced."""
        positive, negative = self.prompts
        given = {
            "noise": self.call("RandomNoise", noise_seed=7)[0],
            "guider": guider
            or self.call("CFGGuider", model=self.kit.model, positive=positive, negative=negative, cfg=2.0)[0],
            "sampler": sampler or self.call("KSamplerSelect", sampler_name="dpmpp_2m")[0],
            "sigmas": self.sigmas() if sigmas is None else sigmas,
            "latent_image": self.latent,
        }
        return self.call("SamplerCustomAdvanced", **given)[0]["samples"]

    def sigmas(self) -> torch.Tensor:
        return self.call("BasicScheduler", model=self.kit.model, steps=STEPS, scheduler="sgm_uniform")[0]

    def changed(self, case: Case, model: Any = None) -> torch.Tensor:
        """The clip of a case."""
        return self.sampled(self.call(case.title, model=model or self.kit.model, **case.given)[0], case.steps)

    def pixels(self, latents: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.kit.vae.decode(latents)


def make_toy(kit: Kit, nodes: HostNodes) -> Toy:
    keyframe = drawn_keyframe()
    prompts, latent = kit.encode(keyframe, PROMPT, frames=FRAMES), kit.prior(keyframe, FRAMES, {"gamma": "auto"})
    return Toy(kit, nodes, prompts, latent)


def drawn_keyframe() -> torch.Tensor:
    """A yellow square over a night sky: IMAGE [1, 128, 128, 3]."""
    picture = torch.tensor(NIGHT).expand(1, SIDE, SIDE, 3) / 255
    picture[:, 48:80, 48:80] = torch.tensor(YELLOW) / 255
    return picture


def default_of(kind: Any, options: Any = None) -> Any:
    """What a socket or widget starts with; None for a socket."""
    given = options or {}
    if "default" in given:
        return given["default"]
    choices = kind if isinstance(kind, list) else given.get("options") if kind == "COMBO" else None
    return choices[0] if choices else None


def roughness(pixels: torch.Tensor) -> float:
    """Mean difference of neighbours in pictures [F, H, W, 3]: noise has more of it than a clip of flat colours."""
    return float((pixels[:, 1:] - pixels[:, :-1]).abs().mean())
