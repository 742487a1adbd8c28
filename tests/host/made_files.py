"""Files as `microcinema inflate` and `microcinema convert` make them, from sources with random weights.

Few channels and the published layouts and names: the U-Net's are those of our outline, which tests/core compares with
diffusers'; the autoencoder is the host's own class at its only size; the text encoder is OpenCLIP's of three layers
with the host's own vocabulary.
"""

import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from nodes_kit import randomise_
from safetensors.torch import save_file
from torch import Tensor

ROOT = Path(__file__).parents[2]
WIDTH, LAYERS, TOKENS, HEADS = 1024, 3, 77, 16  # of the text: OpenCLIP's own width; its last layer is not read
VOCABULARY = 49408
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
FEW = {
    "block_out_channels": (64, 128), "layers_per_block": 1, "attention_levels": (True, False),
    "attention_heads": (1, 2),
}  # fmt: skip
NARROW = {"block_out_channels": (64, 64, 128, 128), "attention_heads": (1, 1, 2, 2)}  # with all levels and blocks
Sizes = Mapping[str, Any]  # of a U-Net, where they are not the preset's


@dataclass(frozen=True, slots=True)
class Material:
    """Where sources are written. autoencoder and text: CompVis' and OpenCLIP's names."""

    pack: ModuleType
    folder: Path
    vocabulary: Path
    autoencoder: dict[str, Tensor]
    text: dict[str, Tensor]

    def core(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.pack.__name__}.microcinema_core.{module}")

    def network(self, layout: str, sizes: Sizes = FEW) -> tuple[Any, dict[str, Tensor]]:
        """The configuration and random tensors, diffusers' names, of what a source of this preset holds."""
        config = self.core("config").preset(layout).unet
        config = replace(config, **sizes, temporal=layout == "modelscope")
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = self.core("models.unet").VideoUNet(config)
            randomise_(network)
        own = {key: value for key, value in network.state_dict().items() if not key.startswith(("frame_time", "gates"))}
        return config, own

    def stable_diffusion(self, *, bare: bool = False, sizes: Sizes = FEW) -> Path:
        """One file of 2.1's layout, v; bare: its U-Net alone."""
        config, unet = self.network("sd21", sizes)
        rename = self.core("importers.keys").unet_to_compvis
        state = {
            "model.diffusion_model." + rename(key, config.layers_per_block, config.attention_levels): value
            for key, value in unet.items()
        }
        if not bare:
            state |= {f"first_stage_model.{key}": value for key, value in self.autoencoder.items()}
            state |= {f"cond_stage_model.model.{key}": value for key, value in self.text.items()}
        return self.saved(state, "bare.safetensors" if bare else "sd21.safetensors")

    def text_to_video(self, *, bare: bool = False) -> Path:
        """ModelScope's model as a diffusers folder; bare: its U-Net in one file."""
        unet = {key: five_dimensional(key, value) for key, value in self.network("modelscope")[1].items()}
        if bare:
            return self.saved(unet, "zeroscope.safetensors")
        folder = self.folder / "text-to-video"
        self.saved(unet, "text-to-video/unet/diffusion_pytorch_model.safetensors")
        write_json(folder / "unet" / "config.json", {"_class_name": "UNet3DConditionModel"})
        write_json(folder / "scheduler" / "scheduler_config.json", BETAS)
        rename = self.core("checkpoint.names").vae_to_diffusers
        vae = {rename(key, 4): value.flatten(1) if "mid.attn" in key and value.ndim == 4 else value
               for key, value in self.autoencoder.items()}  # fmt: skip
        self.saved(vae, "text-to-video/vae/diffusion_pytorch_model.safetensors")
        self.saved(self.transformers_text(), "text-to-video/text_encoder/model.safetensors")
        write_json(folder / "text_encoder" / "config.json", {"num_attention_heads": HEADS, "hidden_act": "gelu"})
        shutil.copytree(self.vocabulary, folder / "tokenizer", ignore=shutil.ignore_patterns("*config*", "special*"))
        return folder

    def transformers_text(self) -> dict[str, Tensor]:
        """transformers' names, renamed by the host, without the last layer: as diffusers' folders of 2.1 hold it."""
        import comfy.utils

        state = comfy.utils.clip_text_transformers_convert({f"x.{k}": v for k, v in self.text.items()}, "x.", "")
        return {key: value for key, value in state.items() if f"layers.{LAYERS - 1}." not in key}

    def saved(self, state: dict[str, Tensor], name: str) -> Path:
        """In float16, as people have them."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: value.half().contiguous() for key, value in state.items()}, path)
        return path

    def inflated(self, source: Path, name: str, **more: Path) -> Path:
        return self._made("inflate", source, name, more)

    def converted(self, source: Path, name: str, **more: Path) -> Path:
        return self._made("convert", source, name, more)

    def _made(self, command: str, source: Path, name: str, more: Mapping[str, Path]) -> Path:
        out = self.folder / name
        options = [f"--{option.replace('_', '-')}={value}" for option, value in more.items()]
        run_program(command, str(source), f"--out={out}", *options)
        return out


def run_program(*words: str) -> None:
    """`microcinema`, in the Python that it is installed for: it needs diffusers, which ComfyUI lacks."""
    program = [os.environ.get("MICROCINEMA_PYTHON", own_python()), "-m", "microcinema_core.cli"]
    told = subprocess.run([*program, *words], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def own_python() -> str:
    """That of the repository's environment, where pytest was not started from it."""
    places = (ROOT / ".venv" / "bin" / "python", ROOT / ".venv" / "Scripts" / "python.exe")
    return str(next((place for place in places if place.exists()), places[0]))


def material(pack: ModuleType, tree: Path, folder: Path) -> Material:
    return Material(pack, folder, tree / "comfy" / "sd1_tokenizer", autoencoder(pack), open_clip())


def autoencoder(pack: ModuleType) -> dict[str, Tensor]:
    """The host's class leaves its tensors as memory was: values as a new network has them, no tensor constant."""
    from comfy.ldm.models.autoencoder import AutoencoderKL

    sizes = importlib.import_module(f"{pack.__name__}.nodes.vae").SIZES
    with torch.device("meta"):
        outline = AutoencoderKL(ddconfig=sizes, embed_dim=4).state_dict()
    generator, state = torch.Generator().manual_seed(2), {}
    for key, value in outline.items():
        drawn = torch.randn(value.shape, generator=generator) * max(1, value[0].numel()) ** -0.5 * 0.7
        state[key] = (1 + 0.1 * drawn if value.ndim == 1 and key.endswith("weight") else drawn).half().float()
    return state


def open_clip() -> dict[str, Tensor]:
    """As large as a trained one's where that matters: an embedding's numbers are about 0.01 and all sums stay small."""
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int, scale: float = 0.02, around: float = 0.0) -> Tensor:
        return (around + scale * torch.randn(shape, generator=generator)).half().float()

    state = {
        "positional_embedding": drawn(TOKENS, WIDTH, scale=0.01),
        "token_embedding.weight": drawn(VOCABULARY, WIDTH),
        "text_projection": drawn(WIDTH, WIDTH),
        "logit_scale": torch.tensor(4.6),
    }
    norms = ["ln_final", *(f"transformer.resblocks.{i}.ln_{n}" for i in range(LAYERS) for n in (1, 2))]
    for name in norms:
        state |= {f"{name}.weight": drawn(WIDTH, scale=0.2, around=1.0), f"{name}.bias": drawn(WIDTH)}
    for i in range(LAYERS):
        for name, rows, columns in (
            ("attn.in_proj_", 3 * WIDTH, WIDTH), ("attn.out_proj.", WIDTH, WIDTH), ("mlp.c_fc.", 4 * WIDTH, WIDTH),
            ("mlp.c_proj.", WIDTH, 4 * WIDTH),
        ):  # fmt: skip
            prefix = f"transformer.resblocks.{i}.{name}"
            state |= {f"{prefix}weight": drawn(rows, columns), f"{prefix}bias": drawn(rows)}
    return state


def five_dimensional(key: str, value: Tensor) -> Tensor:
    """Convolutions over time as diffusers has them, [C, C, 3, 1, 1]."""
    return value.unsqueeze(-1) if ".temp_convs." in key and value.ndim == 4 else value


def write_json(path: Path, stored: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored))
