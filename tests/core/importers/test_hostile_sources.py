"""Stable Diffusion and ModelScope as nobody should have them: every JSON value and every kind of tensor made odd.

Whatever stands there, `inflate` and `convert` write a file or refuse in one line. docs/hostile-input.md says the same.
"""

import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import hostile
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from microcinema_core import cli
from microcinema_core.checkpoint.addition import Addition
from microcinema_core.errors import CheckpointError, MicroCinemaError
from microcinema_core.importers.convert import convert
from microcinema_core.importers.inflate import Order, inflate_file
from microcinema_core.importers.source import Choices, open_source
from microcinema_core.importers.text_to_video import open_text_to_video

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("sd_files.py"))))
ROOT = Path(__file__).parents[3]
SECONDS = 60  # of one attempt, which takes less than one on an idle machine
FAST, THOROUGH = 30, 200  # attempts of each kind in a test, drawn from some thousands; one takes half a second
Job = Callable[[Path], object]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good ones: a folder with shards, a single file, ModelScope's folder, a LoRA of the single file."""
    made = tmp_path_factory.mktemp("sources")
    sd.write_modelscope(sd.write_folder(sd.build("sd21"), made / "folder", shard="4MB"), made / "modelscope")
    single = sd.write_single(sd.build("sd15"), made / "single.safetensors")
    lora: dict[str, Tensor] = {}
    for key, value in open_source(single, Choices()).unet.items():
        if key.endswith("attn1.to_q.weight") or key == "conv_in.weight":
            name, ones = "lora_unet_" + key.removesuffix(".weight").replace(".", "_"), (1,) * (len(value.shape) - 2)
            lora[f"{name}.lora_down.weight"] = torch.randn(4, *value.shape[1:])
            lora[f"{name}.lora_up.weight"] = torch.randn(value.shape[0], 4, *ones)
            lora[f"{name}.alpha"] = torch.tensor(2.0)
    save_file(lora, made / "lora.safetensors")
    return made


def copied(sources: Path, folder: Path, name: str) -> Path:
    """A source of one's own to spoil."""
    path = folder / name
    shutil.copytree(sources / name, path) if (sources / name).is_dir() else shutil.copy(sources / name, path)
    return path


def job_of(source: Path) -> Job:
    out = source.parent / "out.safetensors"
    if source.name == "modelscope":
        return lambda path: convert(open_text_to_video(path), out)
    return lambda path: inflate_file(Order(path, out))


def attempt(what: str, job: Job, source: Path) -> bool:
    """Whether it was refused; any error but ours is a fault, and so is a minute without an answer."""
    started, refused = time.monotonic(), False
    try:
        job(source)
    except MicroCinemaError as error:
        refused = True
        assert "\n" not in str(error), what  # noqa: PT017
    except BaseException as error:
        raise AssertionError(f"{what}: {error!r}") from error
    assert time.monotonic() - started < SECONDS, what
    return refused


def odd_files(source: Path) -> Iterator[tuple[Path, str, str]]:
    """(file, what is odd, its text) for every JSON file of a folder and every value in it."""
    for path in sorted(source.rglob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        cases = list(hostile.odd_json(value))
        for what, text in cases if len(cases) < 1000 else random.Random(0).sample(cases, 200):
            yield path, what, text


def kinds(names: list[str]) -> list[str]:
    """One name of each kind of tensor: numbers do not count."""
    return list({re.sub(r"\d+", "N", name): name for name in reversed(names)}.values())


def odd_weights(path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """(what is odd, what writes it) for every kind of tensor in a file."""
    state = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()

    def written(name: str, tensor: Tensor | None) -> Callable[[], None]:
        changed = {key: value for key, value in state.items() if key != name}
        changed |= {} if tensor is None else {name: tensor.clone().contiguous()}
        return lambda: save_file(changed, path, metadata=metadata)

    for name in kinds(list(state)):
        for what, tensor in hostile.odd_tensors(state[name]):
            yield f"{path.name}: {name}: {what}", written(name, tensor)


def spoil_json(source: Path, count: int) -> int:
    cases = list(odd_files(source))
    refused = 0
    for path, what, text in random.Random(count).sample(cases, min(count, len(cases))):
        before = path.read_bytes()
        path.write_text(text, encoding="utf-8")
        refused += attempt(f"{path.relative_to(source)}: {what}", job_of(source), source)
        path.write_bytes(before)
    return refused


def spoil_weights(path: Path, source: Path, job: Job, count: int) -> int:
    before, cases = path.read_bytes(), list(odd_weights(path))
    refused = 0
    for what, write in random.Random(count).sample(cases, min(count, len(cases))):
        write()
        refused += attempt(what, job, source)
    path.write_bytes(before)
    return refused


@pytest.mark.parametrize("name", ["folder", "modelscope"])
def test_odd_values_in_json(sources: Path, tmp_path: Path, name: str) -> None:
    assert spoil_json(copied(sources, tmp_path, name), FAST)


PARTS = {
    "single file": ("single.safetensors", ""),
    "U-Net": ("folder", "unet/*-00001-of-*.safetensors"),
    "autoencoder": ("folder", "vae/*.safetensors"),
    "text encoder": ("folder", "text_encoder/*.safetensors"),
    "U-Net over time": ("modelscope", "unet/*.safetensors"),
}


def part_of(sources: Path, tmp_path: Path, part: str) -> tuple[Path, Path]:
    name, pattern = PARTS[part]
    source = copied(sources, tmp_path, name)
    return (next(source.glob(pattern)) if pattern else source), source


@pytest.mark.parametrize("part", PARTS)
def test_odd_tensors(sources: Path, tmp_path: Path, part: str) -> None:
    path, source = part_of(sources, tmp_path, part)
    assert spoil_weights(path, source, job_of(source), FAST // 2)


def test_odd_loras(sources: Path, tmp_path: Path) -> None:
    path, source = copied(sources, tmp_path, "lora.safetensors"), sources / "single.safetensors"
    out = tmp_path / "out.safetensors"
    job: Job = lambda source: inflate_file(Order(source, out, loras=(Addition(path),)))  # noqa: E731
    assert spoil_weights(path, source, job, FAST)


@pytest.mark.parametrize("text", ['"x"', "[]", '{"unet.lora_alpha": "x"}', '{"unet.lora_alpha": 1e400}', "[" * 9000])
def test_odd_settings_of_a_lora(sources: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "lora.safetensors"
    save_file(load_file(sources / "lora.safetensors"), path, metadata={"lora_adapter_metadata": text})
    order = Order(sources / "single.safetensors", tmp_path / "out.safetensors", loras=(Addition(path),))
    with pytest.raises(CheckpointError, match=r"lora\.safetensors: .*(lora_adapter_metadata|lora_alpha) is"):
        inflate_file(order)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["folder", "modelscope"])
def test_many_odd_values_in_json(sources: Path, tmp_path: Path, name: str) -> None:
    assert spoil_json(copied(sources, tmp_path, name), THOROUGH)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_many_odd_tensors(sources: Path, tmp_path: Path, part: str) -> None:
    path, source = part_of(sources, tmp_path, part)
    assert spoil_weights(path, source, job_of(source), THOROUGH)


# What is named


VALUES = [
    ("unet/config.json", "attention_head_dim", 10**400, "is 1000.*, a whole number between 1 and 65536 was expected"),
    ("unet/config.json", "attention_head_dim", [5, "x"], "2 whole numbers between 1 and 65536 was expected"),
    ("unet/config.json", "attention_head_dim", 0, "attention_head_dim is 0, a whole number"),
    ("unet/config.json", "norm_num_groups", True, "norm_num_groups is True, a whole number"),
    ("unet/config.json", "norm_eps", [], r"norm_eps is \[\], 1e-05 was expected"),
    ("unet/config.json", "_class_name", {}, "_class_name is {}, a text was expected"),
    ("vae/config.json", "scaling_factor", 0, "scaling_factor is 0, a number between 0.001 and 1000 was expected"),
    ("vae/config.json", "scaling_factor", 1e308, "scaling_factor is 1e.308, a number between"),
    ("text_encoder/config.json", "num_attention_heads", 3, "width must be a multiple of heads"),
    ("text_encoder/config.json", "hidden_act", "relu", "activation must be quick_gelu or gelu"),
    ("scheduler/scheduler_config.json", "beta_start", 10**400, "beta_start is 1000.*, 0.00085 was expected"),
    ("scheduler/scheduler_config.json", "prediction_type", [], r"prediction_type is \[\], a text was expected"),
    ("scheduler/scheduler_config.json", "rescale_betas_zero_snr", "no", "is 'no', true or false was expected"),
    ("tokenizer/vocab.json", "!", -1, "is no vocabulary"),
    ("tokenizer/vocab.json", "!", 1e400, "is no vocabulary"),
]


@pytest.mark.parametrize(("file", "key", "value", "message"), VALUES)
def test_odd_values_are_named(sources: Path, tmp_path: Path, file: str, key: str, value: object, message: str) -> None:
    source = copied(sources, tmp_path, "folder")
    stored = json.loads((source / file).read_text(encoding="utf-8"))
    (source / file).write_text(json.dumps(stored | {key: value}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as refused:
        job_of(source)(source)
    assert str(refused.value).startswith(str(source))
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.transpose(0, 1), r"has shape \[.*\], \[.*\] was expected"),
        (lambda t: t.flatten(), "(has shape|does not fit)"),
        (lambda t: t.long(), "holds whole numbers, which are no weights"),
    ],
)
@pytest.mark.parametrize("name", ["folder", "single.safetensors", "modelscope"])
def test_an_autoencoder_that_does_not_fit_is_refused_when_it_is_read(
    sources: Path, tmp_path: Path, name: str, change: Callable[[Tensor], Tensor], message: str
) -> None:
    """Not later, by `animate`."""
    source = copied(sources, tmp_path, name)
    path, key = source, "first_stage_model.decoder.conv_out.weight"
    if source.is_dir():
        path, key = next(source.glob("vae/*.safetensors")), "decoder.conv_out.weight"
    state = load_file(path)
    save_file(state | {key: change(state[key]).contiguous()}, path)
    with pytest.raises(CheckpointError, match=f"decoder.conv_out.weight {message}"):
        open_text_to_video(source) if name == "modelscope" else open_source(source, Choices())


@pytest.mark.parametrize(
    "file", ["unet/config.json", "vae/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"]
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "circle", "deep", "no text"])
def test_members_that_are_no_files(sources: Path, tmp_path: Path, file: str, kind: str) -> None:
    source = copied(sources, tmp_path, "folder")
    member = source / file
    member.unlink()
    if kind == "circle":
        member.symlink_to(member)
    elif kind == "pipe":
        os.mkfifo(member)
    elif kind == "folder":
        member.mkdir()
    else:
        member.write_bytes(b"[" * 500_000 if kind == "deep" else b"\xff\xfe")
    refused = attempt(f"{file}: {kind}", job_of(source), source)
    assert refused or (kind, member.name) == ("deep", "merges.txt")  # a line without a space is no merge


@pytest.mark.parametrize("option", ["--lora", "--merge", "--text-encoder", "--tokenizer", "SD"])
@pytest.mark.parametrize("kind", ["pipe", "circle", "name", "device"])
def test_options_that_name_no_files(
    sources: Path, tmp_path: Path, option: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A name that is too long for a file system is an error of its own there."""
    named = {"pipe": tmp_path / "pipe", "circle": tmp_path / "circle", "name": tmp_path / ("x" * 300)}
    os.mkfifo(named["pipe"])
    named["circle"].symlink_to(named["circle"])
    given = str(named.get(kind, "/dev/zero"))
    source = given if option == "SD" else str(sources / "folder")
    more = [] if option == "SD" else [option, given]
    assert cli.run(["inflate", source, "--out", str(tmp_path / "out.safetensors"), *more]) == cli.WRONG_INPUT
    said = capfd.readouterr().err
    assert said.count("\n") == 1, said
    assert not (tmp_path / "out.safetensors").exists()


def test_paths_may_be_strings(sources: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.safetensors")
    order = Order(str(sources / "single.safetensors"), out, loras=(Addition(str(sources / "lora.safetensors")),))
    inflate_file(order)
    convert(open_text_to_video(str(sources / "modelscope")), out)


# A huge tensor of zeros in a file that takes no room

# Runs alone, so that its peak is its own: [exit code, MB of growth], after the same command on a good file.
MEASURED = """
import json, sys
from pathlib import Path
from microcinema_core import cli

def megabytes(field):
    return int(next(l for l in open("/proc/self/status") if l.startswith(field)).split()[1]) / 1024

command, out, good, huge = sys.argv[1:]
words = [[command, name, *(["--out", out] if out else [])] for name in (good, huge)]
cli.run(words[0])
Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
before = megabytes("VmRSS")
code = cli.run(words[1])
print(json.dumps([code, megabytes("VmHWM") - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures through /proc")
@pytest.mark.parametrize("command", ["inflate", "inspect a source", "inspect"])
@pytest.mark.slow
def test_a_sparse_tensor_of_two_gigabytes_costs_nothing(
    sources: Path, weights: Path, tmp_path: Path, command: str
) -> None:
    """`inspect` reads of our own files the tensors that tell what is trained: here a huge one is among them."""
    good = sources / "single.safetensors" if command != "inspect" else weights / "toybox-video.safetensors"
    with safe_open(good, framework="pt") as file:
        ending = (
            "unet.down_blocks.0.downsamplers.0.temporal_conv.taps.weight" if command == "inspect" else ".out.2.weight"
        )
        key = next(key for key in file.keys() if key.endswith(ending))
    huge, out = hostile.sparse(tmp_path / "huge-video.safetensors", good, key), str(tmp_path / "out.safetensors")
    assert huge.stat().st_blocks * 512 < 100_000_000
    words = [command.split()[0], out if command == "inflate" else "", str(good), str(huge)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=True, timeout=200
    )
    code, grown = json.loads(done.stdout.splitlines()[-1])
    assert code == (cli.WRONG_INPUT if command == "inflate" else cli.DONE), done.stderr
    assert grown < 200


ROWS = {
    "null, a text, 0, -1, 10^400, infinity, a list, true in the place of any value of a JSON file": (
        test_odd_values_in_json
    ),
    "brackets in brackets, no UTF-8, a pipe, a folder, a circle of links for a member of a folder": (
        test_members_that_are_no_files
    ),
    "a tensor of other dimensions, empty, transposed, of whole numbers, complex, or missing": test_odd_tensors,
    "NaN, infinity, numbers beyond the written format": test_odd_tensors,
    "an autoencoder of other shapes than Stable Diffusion's": (
        test_an_autoencoder_that_does_not_fit_is_refused_when_it_is_read
    ),
    "a LoRA of other shapes, with an alpha that is no number, with settings that are none": test_odd_loras,
    "a pipe, a device, a circle of links, a name of 300 letters for any option": test_options_that_name_no_files,
    "one tensor of 2 GB of zeros in a file that takes no room": test_a_sparse_tensor_of_two_gigabytes_costs_nothing,
}


def test_the_page_lists_these_cases() -> None:
    page = (ROOT / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    assert hostile.rows(page, "Models of others") == sorted(ROWS)
