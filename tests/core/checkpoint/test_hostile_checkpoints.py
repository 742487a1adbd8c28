"""Model files of ill will or ill luck: each gets one clear line, at once, and nothing is allocated for it.

`docs/hostile-input.md` says the same in words. What is wrong with single tensors and entries is in test_checkpoint.py.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest
import torch
from safetensors.torch import load_file, save_file

from microcinema_core.checkpoint.format import PREFIX, read_checkpoint, read_header
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.inflate import inflate_
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.config import Kind
from microcinema_core.errors import CheckpointError
from microcinema_core.files import sha256_of
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.components import load_codec, load_text_encoder

ONE_LINE = 500  # characters, the path not counted


def one_line(error: BaseException, path: Path) -> str:
    text = str(error)
    assert text.startswith(str(path))
    text = text.removeprefix(str(path))
    assert text.isprintable()
    assert len(text) < ONE_LINE
    return text


def written(path: Path, header: bytes | dict[str, Any], body: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file of exactly these bytes, which no library would write."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + body)
    return path


def said(**entries: str) -> dict[str, Any]:
    """A header of ours without tensors, with these entries of the metadata."""
    metadata = {"format": "1", "kind": "video", "config": "{}"} | entries
    return {"__metadata__": {PREFIX + key: value for key, value in metadata.items()}}


def config(**parts: Any) -> dict[str, Any]:
    return said(config=json.dumps(parts))


def tensors(count: int) -> dict[str, Any]:
    return {f"unet.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}


HUGE = 10**9
WIDE = {"block_out_channels": [HUGE, HUGE], "attention_levels": [True, True], "attention_heads": [1, 1]}
LOADED = (Kind.IMAGE, Kind.VIDEO, Kind.TSR)

# name -> (what is written, what is said of it)
FILES: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "nothing in the header": (b"", "truncated or damaged|not a safetensors"),
    "header is text": (b"hello hello", "truncated or damaged"),
    "header is deeply nested": (b'{"a":' * 100_000, "truncated or damaged"),
    "metadata of 50 MB": (said(licence="x" * 50_000_000), "header of 50 MB is longer than any model's"),
    "400,000 tensors": (said() | tensors(400_000), "header of .* MB is longer than any model's"),
    "JSON bomb of brackets": (said(config="[" + "[]," * 1_000_000 + "[]]"), "config is too long"),
    "JSON bomb of numbers": (said(provenance="[" + "1e9," * 1_000_000 + "1]"), "provenance is too long"),
    "JSON bomb in the tokenizer": (said(tokenizer="[" + "[]," * 1_300_000 + "[]]"), "tokenizer is not an object"),
    "config deeply nested": (said(config="[" * 200_000), "config is not JSON"),
    "config of NaN": (said(config='{"diffusion": {"prior_lambda": NaN}}'), "prior_lambda: expected a number, got nan"),
    "config of infinity": (said(config='{"latent": {"mean": [0, 0, 0, 1e999]}}'), "expected a number, got inf"),
    "config: an integer beyond floats": (config(diffusion={"prior_lambda": 10**400}), "expected a number, got 10000"),
    "config: the edge of float64": (config(unet={"timestep_scale": 1e308}), "timestep_scale: expected a number"),
    "config: beyond float32": (config(latent={"mean": [1e39] * 4}), "expected a number, got 1e.39"),
    "config: true for a number": (config(clip={"frames": True}), "frames: expected int, got True"),
    "config: a long wrong word": (said(config=json.dumps({"name": ["x" * 900_000]})), "config.name: expected str"),
    "config: 10^9 channels": (config(unet=WIDE), "sizes must be between 1 and 65536"),
    "config: 10^6 layers": (config(unet={"layers_per_block": 10**6}), "sizes must be between 1 and 65536"),
    "config: 10^6 levels": (
        config(unet={"block_out_channels": [32] * 10**5, "attention_levels": [], "attention_heads": []}),
        "need one entry for each of the 100000 levels",
    ),
    "config: negative sizes": (config(unet={"norm_groups": -32}), "sizes must be between 1 and 65536"),
    "config: negative frames": (config(clip={"frames": -1}), "frames must be between 1 and 4096"),
    "config: 10^9 pixels": (config(clip={"width": HUGE, "height": HUGE}), "size must be 8 to 16384 pixels"),
    "config: 10^9 tokens": (config(text={"vocab_size": HUGE}), "sizes must be positive"),
    "config: 10^9 autoencoder channels": (config(vae={"channels": HUGE}), "sizes must be between 1 and 4096"),
    "config: 10^9 composer channels": (config(composer={"channels": HUGE}), "composer: sizes must be 1 to 4096"),
    "config: a composer's blocks of no pixels": (config(composer={"block": 0}), "block must be between 1 and 16"),
    "config: a number of 5,000 digits": (said(config='{"unet": {"in_channels": 1' + "0" * 5000 + "}}"), "is not JSON"),
    "kind of a million letters": (said(kind="x" * 10**6), "kind 'x+[.]{3}' is none of"),
    "kind that commands the terminal": (said(kind="\x1b[2J\x1b]0;owned\x07"), "is none of autoencoder"),
    "format of tomorrow": (said(format="2"), "format version 2, this program reads 1; update microcinema"),
    "companion above": (
        said(companions=json.dumps({"vae": {"file": "../../etc/passwd", "sha256": ""}})), "is not a plain file name",
    ),
    "companion elsewhere": (
        said(companions=json.dumps({"vae": {"file": "/etc/passwd", "sha256": ""}})), "is not a plain file name",
    ),
    "companion of 300 letters": (
        said(companions=json.dumps({"vae": {"file": "x" * 300, "sha256": ""}})), "is not a plain file name",
    ),
    "companion that commands the terminal": (
        said(companions=json.dumps({"vae": {"file": "\x1b[2J", "sha256": ""}})), "is not a plain file name",
    ),
    "tensor beyond the end": (
        said() | {"unet.a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}, "truncated or damaged",
    ),
    "tensor of overflowing size": (
        said() | {"unet.a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]}}, "truncated or damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("header", "message"), FILES.values(), ids=FILES)
def test_hostile_headers_are_refused_in_one_line(tmp_path: Path, header: Any, message: str) -> None:
    path = written(tmp_path / "model.safetensors", header)
    for read in (read_header, read_checkpoint, identify):
        with pytest.raises(CheckpointError, match=message) as refused:
            read(path)
        one_line(refused.value, path)


@pytest.mark.parametrize("length", [2**60, 2**63, 2**64 - 1, 2**31, 99_999_999, 9_000_000, 3])
def test_header_lengths_that_cannot_be(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "model.safetensors", b"{}" + bytes(100), length=length)
    for read in (read_header, identify):
        with pytest.raises(CheckpointError, match=r"is not a safetensors file|truncated or damaged") as refused:
            read(path)
        one_line(refused.value, path)


# Runs alone, so that its peak is its own. For each file: [processor seconds of the slowest use, MB of growth, error].
MEASURED = """
import json, sys, time
from pathlib import Path
from microcinema_core.standalone.components import load_codec, load_text_encoder
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.errors import CheckpointError

def megabytes(field):
    return int(next(l for l in open("/proc/self/status") if l.startswith(field)).split()[1]) / 1024

warm, *paths = map(Path, sys.argv[1:])
jobs = (identify, load_networks, load_codec, load_text_encoder)
for job in jobs:
    job(warm)  # libraries load parts of themselves at first use
for path in paths:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    before, seconds, said = megabytes("VmRSS"), 0, None
    for job in jobs:
        started = time.process_time()
        try:
            job(path)
        except CheckpointError as error:
            said = said or str(error)
        seconds = max(seconds, time.process_time() - started)
    print(json.dumps([seconds, megabytes("VmHWM") - before, said]))
"""


def stored_config(**parts: dict[str, Any]) -> Callable[[dict[str, str]], None]:
    def change(metadata: dict[str, str]) -> None:
        stored = json.loads(metadata[PREFIX + "config"])
        for name, values in parts.items():
            stored[name] |= values
        metadata[PREFIX + "config"] = json.dumps(stored)

    return change


def wide(size: int) -> dict[str, Any]:
    return {"block_out_channels": [size, size], "attention_heads": [5, 5]}


SIZES = {
    "wide": ("video", stored_config(unet=wide(65520))),
    "deep": ("video", stored_config(unet={"layers_per_block": 60_000})),
    "spade": ("video", stored_config(unet={"spade_hidden": 65_536})),
    "vae": ("autoencoder", stored_config(vae={"channels": 4096})),
    "vae deep": ("autoencoder", stored_config(vae={"blocks": 4096})),
    "vocabulary": ("text", stored_config(text={"vocab_size": 1_000_000})),
    "prompts": ("text", stored_config(text={"max_length": 1_000_000})),
    "text deep": ("text", stored_config(text={"layers": 1_000_000})),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures through /proc")
def test_hostile_files_cost_neither_memory_nor_time(weights: Path, tmp_path: Path) -> None:
    """Headers as above, and sizes within bounds that the file's own tensors do not bear out."""
    paths = {
        name: written(tmp_path / f"{i}.safetensors", header) for i, (name, (header, _)) in enumerate(FILES.items())
    }
    for beside in weights.glob("*.safetensors"):
        shutil.copy(beside, tmp_path)
    for name, (stage, change) in SIZES.items():
        state, metadata = contents(weights / f"toybox-{stage}.safetensors")
        change(metadata)
        paths[name] = tmp_path / f"{name}.safetensors"
        save_file(state, paths[name], metadata=metadata)
    for name, key in (("video", "unet.conv_in.weight"), ("text", "text_encoder.text_projection.weight")):
        good, path = weights / f"toybox-{name}.safetensors", tmp_path / f"sparse-{name}.safetensors"
        paths[f"2 GB of zeros: {name}"] = hostile.sparse(path, good, key)
    command = [sys.executable, "-c", MEASURED, weights / "toybox-video.safetensors", *paths.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = dict(zip(paths, map(json.loads, done.stdout.splitlines()), strict=True))
    for name, (seconds, grown, error) in measured.items():
        assert error is not None, name
        assert seconds < 2, (name, seconds)
        assert grown < 200, (name, grown)


def contents(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    raw = path.read_bytes()
    return load_file(path), json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]


# What is another's, or no model


class Trap:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("save", ["pickle", "torch", "old torch"])
def test_pickles_are_never_opened_whatever_their_name(tmp_path: Path, name: str, save: str) -> None:
    path, trap = tmp_path / name, Trap(tmp_path / "sprung")
    if save == "pickle":
        path.write_bytes(pickle.dumps(trap))
    else:
        torch.save({"trap": trap}, path, _use_new_zipfile_serialization=save == "torch")
    for read in (read_header, read_checkpoint, load_networks, load_codec, load_text_encoder):
        with pytest.raises(CheckpointError, match=r"is a pickle .* can run code when opened and is never loaded"):
            read(path)
    assert "never loaded" in identify(path).title
    assert not trap.path.exists()


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ({"lora_unet_down_blocks_0_attentions_0.lora_down.weight": (4, 320)}, "LoRA"),
        ({"conv_in.weight": (320, 4, 3, 3), "down_blocks.0.attn2.to_k.weight": (320, 768), "up_blocks.0.a": (1,)},
         "Stable Diffusion 1.x U-Net"),
    ],
    ids=["LoRA", "U-Net"],
)  # fmt: skip
def test_models_of_others_are_refused_and_inspect_names_them(tmp_path: Path, keys: Any, title: str) -> None:
    path = tmp_path / "other.safetensors"
    save_file({key: torch.zeros(shape) for key, shape in keys.items()}, path)
    with pytest.raises(CheckpointError, match=r"not MicroCinema's .*`microcinema inspect` says") as refused:
        load_networks(path)
    one_line(refused.value, path)
    assert title in identify(path).title


def test_a_name_in_another_file_never_reaches_the_terminal_raw(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"\x1b[2J" + "x" * 5000: torch.zeros(1)}, path)
    assert identify(path).title.isprintable()
    path = written(path, said(licence="\x1b]0;owned\x07\nfree", provenance=json.dumps({"\x1b[2J": "a\nb" * 99_999})))
    details = identify(path).details
    assert all(name.isprintable() and value.isprintable() for name, value in details.items())
    assert max(map(len, details.values())) < 11_000


def test_numbers_finite_in_float64_alone_are_refused(weights: Path, tmp_path: Path) -> None:
    state, metadata = contents(weights / "toybox-video.safetensors")
    key = "unet.conv_in.weight"
    save_file(state | {key: torch.full(state[key].shape, 1e300, dtype=torch.float64)}, tmp_path / "x", metadata)
    with pytest.raises(CheckpointError, match=r"unet: conv_in.weight holds NaN or infinity; get the file anew"):
        load_networks(tmp_path / "x")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path, message in (
        (tmp_path / "circle", "cannot be read .Too many levels of symbolic links"),
        (tmp_path / "pipe", "is a pipe or device"),
        (Path("/dev/null"), "is a pipe or device"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (tmp_path / "a\0b", "cannot be read"),
    ):
        with pytest.raises(CheckpointError, match=message):
            read_header(path)


def test_truncated_anywhere(weights: Path, tmp_path: Path) -> None:
    """Every byte of the first few, and steps through header and tensors; also for companions."""
    whole = (weights / "toybox-video.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    for length in (*range(20), *range(20, len(whole), len(whole) // 40), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"truncated|not a safetensors") as refused:
            load_networks(path)
        one_line(refused.value, path)


# Pairs that each agree with themselves only


def paired(weights: Path, folder: Path, companion: str, section: str, **parts: dict[str, Any]) -> Path:
    """The video model and a companion whose stored configuration is changed, hash and all."""
    beside, video = folder / f"toybox-{companion}.safetensors", folder / "toybox-video.safetensors"
    state, metadata = contents(weights / beside.name)
    stored_config(**parts)(metadata)
    save_file(state, beside, metadata=metadata)
    state, metadata = contents(weights / video.name)
    metadata[PREFIX + "companions"] = json.dumps({section: {"file": beside.name, "sha256": sha256_of(beside)}})
    save_file(state, video, metadata=metadata)
    return video


def test_companions_must_fit_the_file_that_names_them(weights: Path, tmp_path: Path) -> None:
    mean = {"mean": [0.0] * 8, "std": [1.0] * 8}
    path = paired(
        weights, tmp_path, "autoencoder", "vae", unet={"in_channels": 8}, latent=mean, vae={"latent_channels": 8}
    )
    with pytest.raises(CheckpointError, match=r"latent channels are 4, those of toybox-autoencoder\.safetensors 8"):
        load_codec(path)
    path = paired(weights, tmp_path, "autoencoder", "vae", latent={"downscale": 64})
    with pytest.raises(CheckpointError, match="downscale is 64, this autoencoder's is 8"):
        load_codec(path)
    path = paired(weights, tmp_path, "text", "text_encoder", unet={"cross_attention_dim": 64}, text={"width": 64})
    with pytest.raises(CheckpointError, match=r"text width are 32, those of toybox-text\.safetensors 64"):
        load_text_encoder(path)


def test_a_configuration_of_many_blocks_is_refused_even_with_many_tensors(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _, metadata = contents(weights / "toybox-video.safetensors")
    stored_config(unet={"layers_per_block": 300})(metadata)
    written(path, {"__metadata__": metadata} | tensors(700) | {"appearnet.a": tensors(1)["unet.0"]})
    with pytest.raises(CheckpointError, match="600 blocks in its configuration, more than any network has"):
        load_networks(path)


# Inflation


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((32,), float("nan")), "conv_in.bias holds NaN or infinity"),
        (torch.full((32,), float("inf")), "conv_in.bias holds NaN or infinity"),
        (torch.zeros(32, dtype=torch.int64), "conv_in.bias holds torch.int64, torch.float32 was expected"),
        (torch.zeros(33), r"conv_in.bias has shape \[33\], \[32\] was expected"),
        (None, r"1 tensors missing \(first: conv_in.bias\)"),
    ],
    ids=["nan", "inf", "integers", "shape", "missing"],
)
def test_inflation_refuses_weights_before_it_changes_anything(weights: Path, value: Any, message: str) -> None:
    image = dict(read_checkpoint(weights / "toybox-image.safetensors").sections["unet"])
    settings = read_header(weights / "toybox-video.safetensors").config.unet
    unet, appearnet = VideoUNet(settings), AppearNet(settings, text_length=24)
    before = {key: tensor.clone() for key, tensor in unet.state_dict().items()}
    if value is None:
        del image["conv_in.bias"]
    else:
        image["conv_in.bias"] = value
    with pytest.raises(CheckpointError, match=message):
        inflate_(unet, appearnet, image, None)
    assert all(torch.equal(tensor, before[key]) for key, tensor in unet.state_dict().items())


def test_inflation_refuses_a_null_prompt_of_another_size(weights: Path) -> None:
    image = read_checkpoint(weights / "toybox-image.safetensors").sections["unet"]
    settings = read_header(weights / "toybox-video.safetensors").config.unet
    with pytest.raises(CheckpointError, match="null_context has shape"):
        inflate_(VideoUNet(settings), AppearNet(settings, text_length=24), image, torch.zeros(1, 23, 32))
