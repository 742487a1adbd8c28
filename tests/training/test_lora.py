"""A LoRA: parts beside a network that stays as it is, trained, kept and exported alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor

from microcinema_core.backend import Backend
from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.format import Checkpoint, Header, read_checkpoint
from microcinema_core.checkpoint.lora_file import with_loras
from microcinema_core.config import MODELSCOPE, TOYBOX, Kind, ModelConfig
from microcinema_core.errors import ConfigError
from microcinema_core.models.unet import VideoUNet, temporal_parameters
from microcinema_core.training.config import LoraConfig, TrainConfig
from microcinema_core.training.loop import Run
from microcinema_core.training.lora import LoraExport, add_lora_
from microcinema_core.training.memory import leaner
from microcinema_core.training.stages import build_stage
from microcinema_core.training.trainee import DiffusionNetworks, Trainee

MODEL = Path(__file__).parents[2] / "weights" / "toybox-video.safetensors"
Configured = Callable[..., TrainConfig]
FRAMES = 3


def small(model: ModelConfig) -> ModelConfig:
    widths = (32, 32, 48, 48)[: len(model.unet.block_out_channels)]
    heads = (2, 2, 3, 3)[: len(widths)]
    sizes = {"cross_attention_dim": 32, "temporal_head_dim": 16, "norm_groups": 16, "spade_hidden": 8}
    return replace(model, unet=replace(model.unet, block_out_channels=widths, attention_heads=heads, **sizes))


@torch.no_grad()
def randomise_(unet: VideoUNet) -> None:
    for parameter in unet.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.1)


def run(unet: VideoUNet) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, unet.config.in_channels, FRAMES, 8, 8, generator=generator)
    context = torch.randn(1, 5, unet.config.cross_attention_dim, generator=generator)
    return unet(x, torch.tensor([0.5]), context)


@pytest.mark.parametrize("model", [TOYBOX, MODELSCOPE], ids=lambda model: model.name)
@pytest.mark.parametrize("layers", [(), ("*.attn2.to_k", "conv_in")], ids=["temporal", "named"])
def test_the_file_does_what_the_parts_did(tmp_path: Path, model: ModelConfig, layers: tuple[str, ...]) -> None:
    """Of our own layout and of converted models': without effect at first, then merged as it was beside."""
    torch.manual_seed(0)
    config, lora = small(model), LoraConfig(rank=2, alpha=3.0, layers=layers, words="spins")
    networks = DiffusionNetworks(config.unet, 5)
    unet = networks.unet
    randomise_(unet)
    plain = {key: value.clone() for key, value in unet.state_dict().items()}
    before = run(unet)
    parameters = add_lora_(unet, lora)
    assert torch.equal(run(unet), before)
    assert plain.keys() < unet.state_dict().keys()
    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0, 0.1)
            parameter.copy_(parameter.half())
    changed = run(unet)
    assert not torch.allclose(changed, before, atol=1e-2)
    coders: Any = None
    LoraExport(Trainee(Kind.VIDEO, config, networks, coders), lora)(tmp_path / "lora.safetensors", {})
    model_file = Checkpoint(Header(Kind.VIDEO, config), {"unet": plain})
    state = with_loras(model_file, Path("model"), [Addition(tmp_path / "lora.safetensors")]).sections["unet"]
    merged = VideoUNet(config.unet)
    merged.load_state_dict(state)
    assert torch.allclose(run(merged), changed, atol=2e-4)  # of about 1, through a few hundred layers
    touched = {key for key, value in state.items() if not torch.equal(value, plain[key])}
    if layers:
        assert touched == {key for key in plain if key.endswith("attn2.to_k.weight")} | {"conv_in.weight"}
    else:
        assert touched < temporal_parameters(merged)
        assert not any(key.startswith(("gates.", "frame_time_embedding.")) for key in touched)


def test_its_layers_compile_to_one_graph() -> None:
    """What torch.compile is given takes the parts along."""
    torch.manual_seed(0)
    unet = VideoUNet(small(TOYBOX).unet)
    randomise_(unet)
    for parameter in add_lora_(unet, LoraConfig(rank=2)):
        torch.nn.init.normal_(parameter, 0, 0.1)
    layer: Any = unet.mid_block.temporal_attentions[0]
    x = torch.randn(FRAMES, 32, 4, 4)
    made: Any = torch.compile(layer, backend="eager", fullgraph=True)
    assert torch.allclose(made(x, FRAMES), layer(x, FRAMES), atol=1e-5)


def test_layers_that_are_not_there_are_refused() -> None:
    unet = VideoUNet(small(TOYBOX).unet, Backend(device="meta"))
    with pytest.raises(ConfigError, match=r"no layer's name fits 'lips\.\*'; names are like gates.mid"):
        add_lora_(unet, LoraConfig(layers=("conv_in", "lips.*")))


@pytest.fixture(autouse=True)
def _forget_precision() -> Iterator[None]:
    yield
    AcceleratorState._reset_state()


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Two steps of a LoRA; `top` is of the configuration, other arguments of [recipe]."""

    def made(name: str = "run", top: dict[str, Any] | None = None, **recipe: Any) -> TrainConfig:
        values = {
            "stage": "video", "out": str(tmp_path / name), "start_from": str(MODEL), "steps": 2, "batch": 1,
            "precision": "bf16", "checkpoint_every": 1, "sample_every": 1000, "reported": 1,
            "clip": {"frames": 3, "fps": 2.0, "width": 64, "height": 64}, "data": {"clips": 4},
            "optimiser": {"warmup": 0, "lr": 1e-2}, "recipe": {"learns": "lora", "lora": {"rank": 2}} | recipe,
        }  # fmt: skip
        return TrainConfig.from_dict(values | (top or {}))

    return made


def started(config: TrainConfig) -> Run:
    run = Run(config, build_stage(config), Accelerator(cpu=True, mixed_precision="bf16"))
    run.resume()
    return run


def test_a_run_keeps_and_exports_the_parts_alone(configured: Configured) -> None:
    """From its checkpoint, in bfloat16, it goes on to the same file; the model in it stays bit for bit."""
    config = configured()
    first = started(config)
    Path(config.out).mkdir()
    first.take_step()
    first.save()
    kept = load_file(Path(config.out) / "checkpoint-00000001" / "model.safetensors")
    assert all(".lora_" in key or key.endswith("null_context") for key in kept), sorted(kept)
    again = started(config)
    assert again.step == 1
    for run in (first, again):
        run.take_step()
    files = [Path(config.out) / name for name in ("first.safetensors", first.file.name)]
    for run, file in zip((first, again), files, strict=True):
        run.stage.export(file, {"seed": 0})
    one, two = map(load_file, files)
    assert files[1].name == "lora.safetensors"
    assert one.keys() == two.keys()
    assert all(torch.equal(two[key], value) for key, value in one.items())
    assert all(value.any() for key, value in one.items() if key.endswith("up.weight"))
    before, plain = read_checkpoint(MODEL).sections["unet"], first.stage.model.unet.state_dict()
    for key, value in before.items():
        assert torch.equal(plain[key], value.to(plain[key].dtype)), key


def test_leaner_recipes_stay_loras(configured: Configured) -> None:
    assert [name for name, _ in leaner(configured())][1:] == [
        "+ coders_on_cpu = true", '+ average = "cpu"', "+ gradient_checkpointing = true", '+ adamw = "8bit"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("top", "recipe", "message"),
    [
        ({"stage": "tsr"}, {}, 'is of a video model, stage = "video"'),
        ({"start_from": ""}, {}, "name it in `start_from`"),
        ({}, {"learns": "temporal"}, r"\[recipe.lora\] goes with"),
        ({}, {"lora": {"rank": 0}}, "rank must be between 1 and 4096"),
        ({}, {"lora": {"alpha": 0}}, "alpha must be above 0"),
        ({}, {"lora": {"lips": 1}}, "unknown key 'lips'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    configured: Configured, top: dict[str, Any], recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(top=top, **recipe)
