"""Recipes: what learns, what it costs of a card's memory, and that what saves memory changes no figure."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint, save_checkpoint_file
from microcinema_core.errors import ConfigError, InputError
from microcinema_core.standalone.text import TextEncoder
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import Run, mean_of, train
from microcinema_core.training.memory import expect_room
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from studies.recipes import computed_on_a_cpu
from studies.speed.gauge import peak_bytes
from studies.speed.given import Place

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "core" / "importers" / "sd_files.py")))
Configured = Callable[..., TrainConfig]
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def inflated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.1's layout with few channels; its autoencoder, text encoder and vocabulary are in the file."""
    folder = tmp_path_factory.mktemp("inflated")
    source, out = sd.write_folder(sd.build("sd21"), folder / "sd21"), folder / "sd21-video.safetensors"
    assert cli.run(["inflate", str(source), "--out", str(out)]) == cli.DONE
    return out


@pytest.fixture(autouse=True)
def _forget_precision() -> Iterator[None]:
    """Accelerate takes one precision for a whole process, in which no user trains twice."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.fixture
def configured(inflated: Path, tmp_path: Path) -> Configured:
    """Two steps on Toybox from that file; keyword arguments are the recipe's, `top` is of the configuration."""

    def made(name: str = "run", top: dict[str, Any] | None = None, **recipe: Any) -> TrainConfig:
        values = {
            "stage": "video", "out": str(tmp_path / name), "start_from": str(inflated), "steps": 2, "batch": 1,
            "precision": "fp32", "checkpoint_every": 1, "sample_every": 1000, "reported": 1,
            "clip": {"frames": 3, "fps": 2.0, "width": 64, "height": 64}, "data": {"clips": 4},
            "optimiser": {"warmup": 0, "lr": 1e-3, "spatial_lr_scale": 0.1}, "recipe": recipe,
        }  # fmt: skip
        return TrainConfig.from_dict(values | (top or {}))

    return made


def trained(config: TrainConfig, **how: Any) -> dict[str, State]:
    return read_checkpoint(train(config, build_stage, progress=False, **how)).sections


def expect_equal(a: dict[str, State], b: dict[str, State]) -> None:
    for section, state in a.items():
        for key, value in state.items():
            assert torch.equal(value, b[section][key]), f"{section}.{key}"


def changed(a: dict[str, State], b: dict[str, State]) -> set[str]:
    return {f"{s}.{key}" for s, state in a.items() for key, value in state.items() if not torch.equal(value, b[s][key])}


def is_new(key: str) -> bool:
    return "temporal" in key or key.startswith(("unet.frame_time", "unet.gates.", "appearnet."))


@pytest.mark.parametrize(("learns", "precision"), [("temporal", "bf16"), ("appearnet", "fp32")])
def test_what_does_not_learn_stays_bit_for_bit(
    configured: Configured, inflated: Path, learns: str, precision: str
) -> None:
    """Also where it is held in bfloat16 on the way, which has fewer digits than the file's float16."""
    before = read_checkpoint(inflated).sections
    moved = changed(before, trained(configured(top={"precision": precision}, learns=learns)))
    assert any(key.startswith("appearnet.") for key in moved)
    assert all(is_new(key) for key in moved)
    assert any("temporal" in key for key in moved) == (learns == "temporal")


def test_a_run_with_a_frozen_part_goes_on_to_the_same_weights(configured: Configured) -> None:
    """Its checkpoints hold what learns alone."""
    recipe: dict[str, Any] = {"learns": "appearnet", "average": "cpu"}
    whole = trained(configured("whole", {"precision": "bf16"}, **recipe))
    config = configured("stopped", {"precision": "bf16"}, **recipe)

    def stop(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(config, on_step=stop)
    kept = Path(config.out) / "checkpoint-00000001" / "model.safetensors"
    assert kept.stat().st_size < 0.7 * Path(config.start_from).stat().st_size * 2  # float32, and a fraction of it
    expect_equal(whole, trained(config))


def test_a_checkpoint_is_not_continued_beside_another_file(
    configured: Configured, inflated: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(inflated.read_bytes())
    config = configured(top={"start_from": str(other), "steps": 1}, learns="appearnet")
    trained(config)
    sections = read_checkpoint(inflated)
    sections.sections["unet"]["conv_in.weight"] *= 1.5
    save_checkpoint_file(other, sections)
    with pytest.raises(ConfigError, match="trained beside other weights than `start_from`"):
        trained(config)


@pytest.mark.parametrize("recipe", [{"gradient_checkpointing": True}, {"coders_on_cpu": True}])
def test_what_saves_memory_changes_no_weight(configured: Configured, recipe: dict[str, Any]) -> None:
    expect_equal(trained(configured("plain")), trained(configured("lean", **recipe)))


def test_sentences_are_read_once(configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(configured("first", coders_on_cpu=True))
    read: list[str] = []
    encode = TextEncoder.encode
    monkeypatch.setattr(TextEncoder, "encode", lambda self, texts: (read.extend(texts), encode(self, texts))[1])
    kept = sorted((tmp_path / "cache").glob("texts-*/*/*.safetensors"))
    kept[0].write_bytes(b"damaged")
    trained(configured("second", coders_on_cpu=True))
    assert len(kept) > 1
    assert len(read) <= 1


def test_a_steps_gradient_is_the_mean_of_its_micro_batches(configured: Configured) -> None:
    """To what sums in another order leave."""
    one = configured("one", {"batch": 1, "steps": 1}, micro_batches=2)
    run = Run(one, build_stage(one), Accelerator(cpu=True))
    losses = [run._back(micro) for micro in run.own]
    summed = {name: p.grad.clone() for name, p in run.stage.model.named_parameters() if p.grad is not None}
    run.optimiser.zero_grad()
    for micro in range(2):
        draw = Draw.of(one.seed, 0, micro)
        loss = run.stage.loss(run.forward, run.stage.source(draw), draw)["denoising"]
        loss.backward()
    for name, gradient in summed.items():
        theirs = dict(run.stage.model.named_parameters())[name].grad
        assert theirs is not None
        assert torch.allclose(gradient, theirs / 2, rtol=1e-5, atol=1e-8), name
    assert mean_of(losses)["denoising"].item() == pytest.approx(sum(one["denoising"].item() for one in losses) / 2)


@pytest.mark.slow
def test_without_an_average_files_are_of_the_weights_themselves(configured: Configured) -> None:
    averaged, plain = trained(configured("averaged")), trained(configured("plain", average="none"))
    assert changed(averaged, plain)
    config = configured("plain", average="none")
    kept = load_file(Path(config.out) / "checkpoint-00000002" / "model.safetensors")
    assert all(torch.equal(plain["unet"][k[5:]], v.half()) for k, v in kept.items() if k.startswith("unet."))


@pytest.mark.parametrize(
    ("top", "recipe", "message"),
    [
        ({"stage": "image"}, {"learns": "temporal"}, "the image stage learns whole"),
        ({"optimiser": {"spatial_lr_scale": 0}}, {}, 'say \\[recipe\\] learns = "temporal"'),
        ({}, {"learns": "lips"}, "'lips' is none of all, temporal, appearnet"),
        ({}, {"micro_batches": 0}, "micro_batches must be between 1 and"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    configured: Configured, top: dict[str, Any], recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(top=top, **recipe)


def test_8_bit_moments_need_a_library(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ConfigError, match="pip install bitsandbytes"):
        trained(configured(adamw="8bit"))


@pytest.mark.slow
def test_a_run_with_8_bit_moments_goes_on_to_the_same_weights(configured: Configured) -> None:
    """And takes a fraction of their room. Where bitsandbytes is there, which other libraries load as soon as it is."""
    pytest.importorskip("bitsandbytes")
    whole = trained(configured("whole", adamw="8bit"))
    config = configured("stopped", adamw="8bit")

    def stop(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(config, on_step=stop)
    kept = Path(config.out) / "checkpoint-00000001"
    assert 3 * (kept / "optimiser.safetensors").stat().st_size < 2 * (kept / "model.safetensors").stat().st_size
    expect_equal(whole, trained(config))


@pytest.mark.parametrize(
    "recipe",
    [
        {"learns": "appearnet"},
        pytest.param({"learns": "lora"}, marks=pytest.mark.slow),
        {"micro_batches": 2, "gradient_checkpointing": True},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"micro_batches": 2, "learns": "temporal"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_computed_memory_is_the_allocators(configured: Configured, recipe: dict[str, Any]) -> None:
    """Of a second step, whose optimiser has its state already: gradients and activations."""
    config = configured(top={"clip": {"frames": 5, "fps": 2.0, "width": 128, "height": 128}}, **recipe)
    run = Run(config, build_stage(config), Accelerator(cpu=True))
    run.take_step()
    recorded = peak_bytes(run.take_step, Place(torch.device("cpu"), torch.float32))
    computed = computed_on_a_cpu(config).working
    assert computed == pytest.approx(recorded, rel=0.1)


def test_the_command_says_what_each_recipe_takes(configured: Configured, capsys: pytest.CaptureFixture[str]) -> None:
    """And a run that does not fit is refused with the first that does."""
    config = configured()
    path = Path(config.out).with_name("run.toml")
    path.write_text(
        f'stage = "video"\nout = "{config.out}"\nstart_from = "{config.start_from}"\nsteps = 1\n'
        "[clip]\nframes = 3\nfps = 2.0\nwidth = 64\nheight = 64\n"
    )
    assert cli.run(["train", str(path), "--memory", "--json"]) == cli.DONE
    found = json.loads(capsys.readouterr().out)["bytes"]
    needs = [step["total"] for step in found.values()]
    assert list(found)[:3] == ["as it is", "+ coders_on_cpu = true", '+ average = "cpu"']
    assert needs == sorted(needs, reverse=True)
    assert not Path(config.out).exists()
    told = TrainConfig.load(path)
    expect_room(told, needs[0])
    with pytest.raises(InputError, match=r"under \[recipe\] coders_on_cpu = true would fit"):
        expect_room(told, needs[1])


def test_where_no_recipe_fits_smaller_clips_are_advised(configured: Configured) -> None:
    config = configured(learns="appearnet", adamw="8bit", average="cpu", gradient_checkpointing=True)
    with pytest.raises(InputError, match="no recipe of this size fits; take a smaller `batch`"):
        expect_room(config, 1000)
