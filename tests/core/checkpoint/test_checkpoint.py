"""The file format: what is written comes back bit for bit, and whatever is not exactly that is refused by name."""

import json
import os
import pickle
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from microcinema_core.backend import Backend
from microcinema_core.checkpoint import format as format_module
from microcinema_core.checkpoint.format import (
    APPEARNET,
    PREFIX,
    UNET,
    Checkpoint,
    Companion,
    Header,
    read_checkpoint,
    read_header,
    save_checkpoint_file,
)
from microcinema_core.checkpoint.load import appearnet_outline, load_networks
from microcinema_core.config import SD21, Injection, Kind, with_injection
from microcinema_core.errors import CheckpointError
from microcinema_core.files import sha256_of, written_whole
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.components import load_codec, load_text_encoder

KINDS = {"autoencoder": Kind.AUTOENCODER, "text": Kind.TEXT_ENCODER, "image": Kind.IMAGE, "video": Kind.VIDEO}


def loaded(path: Path) -> None:
    """Everything that a file of its kind can be used for."""
    kind = read_header(path).kind
    if kind in (Kind.IMAGE, Kind.VIDEO):
        load_networks(path)
    if kind is not Kind.TEXT_ENCODER:
        load_codec(path)
    if kind is not Kind.AUTOENCODER:
        load_text_encoder(path)


def metadata_of(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]


Change = Callable[[dict[str, Tensor], dict[str, str]], object]


def changed(source: Path, folder: Path, change: Change) -> Path:
    """A copy whose tensors or metadata someone changed, with what lies beside the source beside it."""
    path = folder / source.name
    for beside in source.parent.glob("*.safetensors"):
        shutil.copy(beside, folder)
    tensors, metadata = load_file(source), metadata_of(source)
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)
    return path


def configured(**values: Any) -> Change:
    """Changes entries of the stored configuration; `unet__layers_per_block` is that of `unet`."""

    def change(_: dict[str, Tensor], metadata: dict[str, str]) -> None:
        config = json.loads(metadata[PREFIX + "config"])
        for name, value in values.items():
            *outer, last = name.split("__")
            place = config
            for key in outer:
                place = place[key]
            place[last] = value
        metadata[PREFIX + "config"] = json.dumps(config)

    return change


def stored(key: str, value: str | None) -> Change:
    def change(_: dict[str, Tensor], metadata: dict[str, str]) -> None:
        if value is None:
            del metadata[PREFIX + key]
        else:
            metadata[PREFIX + key] = value

    return change


# Round trips


@pytest.mark.parametrize("stage", KINDS)
def test_every_kind_comes_back_bit_for_bit(weights, tmp_path, stage):
    path = weights / f"toybox-{stage}.safetensors"
    first = read_checkpoint(path)
    assert first.header.kind is KINDS[stage]
    save_checkpoint_file(tmp_path / "again.safetensors", first)
    again = read_checkpoint(tmp_path / "again.safetensors")
    assert again.header == first.header
    assert {s: list(t) for s, t in again.sections.items()} == {s: list(t) for s, t in first.sections.items()}
    for section, state in first.sections.items():
        for key, value in state.items():
            assert again.sections[section][key].dtype == value.dtype == torch.float16, key
            assert torch.equal(again.sections[section][key].view(torch.int16), value.view(torch.int16)), key


def test_mode_concat_has_fewer_tensors_than_its_network_has_blocks():
    config = with_injection(SD21, Injection.CONCAT).unet
    state = AppearNet(config, Backend(device="meta")).state_dict()
    assert (
        appearnet_outline(config, state, "file").state_dict().keys() == state.keys() == {"concat.weight", "concat.bias"}
    )


@pytest.mark.parametrize("injection", list(Injection))
def test_networks_come_back_as_they_were_saved(weights, tmp_path, injection):
    """Rounded to half precision once; float32 in memory, which holds every half exactly."""
    header = read_header(weights / "toybox-video.safetensors")
    config = with_injection(header.config, injection)
    unet, appearnet = VideoUNet(config.unet), AppearNet(config.unet, text_length=24)
    sections = {UNET: unet.state_dict(), APPEARNET: appearnet.state_dict()}
    path = tmp_path / "model.safetensors"
    save_checkpoint_file(path, Checkpoint(Header(Kind.VIDEO, config), sections))
    found = load_networks(path)
    for network, saved in ((found.unet, unet), (found.appearnet, appearnet)):
        assert not network.training
        assert all(parameter.requires_grad for parameter in network.parameters())
        state = network.state_dict()
        assert state.keys() == saved.state_dict().keys()
        for key, value in saved.state_dict().items():
            assert state[key].dtype == torch.float32
            assert torch.equal(state[key], value.half().float()), key


def test_a_loaded_model_owns_its_memory(weights, tmp_path):
    """Training it changes no file, and a changed file not the model."""
    path = Path(shutil.copy(weights / "toybox-video.safetensors", tmp_path))
    before = sha256_of(path)
    networks = load_networks(path, Backend(dtype=torch.float16))
    with torch.no_grad():
        networks.unet.conv_in.weight.fill_(3)
    assert sha256_of(path) == before
    with path.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(bytes(1000))
    assert (networks.unet.conv_in.weight == 3).all()
    assert all(value.any() for key, value in networks.unet.state_dict().items() if key.endswith("conv2.weight"))


def test_the_backends_dtype_is_the_models(weights):
    found = load_networks(weights / "toybox-video.safetensors", Backend(dtype=torch.bfloat16))
    assert {p.dtype for p in found.unet.parameters()} == {torch.bfloat16}
    assert {v.dtype for v in found.appearnet.state_dict().values()} == {torch.bfloat16}
    assert {p.device.type for p in found.unet.parameters()} == {"cpu"}


def test_the_image_stage_has_no_appearnet(weights):
    assert load_networks(weights / "toybox-image.safetensors").appearnet is None
    with pytest.raises(CheckpointError, match="is a file of kind image; a file of kind video is needed here"):
        load_networks(weights / "toybox-image.safetensors", kind=Kind.VIDEO)
    with pytest.raises(CheckpointError, match="a file of kind image or video or tsr is needed here"):
        load_networks(weights / "toybox-autoencoder.safetensors")


def test_codec_and_text_encoder_come_from_companions_or_from_the_file_itself(weights):
    codec, direct = (load_codec(weights / f"toybox-{stage}.safetensors") for stage in ("video", "autoencoder"))
    assert all(torch.equal(a, b) for a, b in zip(codec.vae.state_dict().values(), direct.vae.state_dict().values(),
                                                 strict=True))  # fmt: skip
    pixels = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(codec.encode(pixels), direct.encode(pixels))
    text, direct = (load_text_encoder(weights / f"toybox-{stage}.safetensors") for stage in ("video", "text"))
    assert torch.equal(text.encode(["a red star"]), direct.encode(["a red star"]))
    assert not torch.equal(text.encode(["a red star"]), text.encode(["a blue circle"]))


# Strictness


def drop(tensors: dict[str, Tensor], _: object) -> None:
    del tensors["unet.conv_in.weight"]


def add(tensors: dict[str, Tensor], _: object) -> None:
    tensors["unet.conv_in.weight_2"] = torch.ones(1)


def reshape(tensors: dict[str, Tensor], _: object) -> None:
    tensors["unet.conv_in.weight"] = tensors["unet.conv_in.weight"][:, :, :1].contiguous()


def transpose(tensors: dict[str, Tensor], _: object) -> None:
    tensors["unet.conv_in.weight"] = tensors["unet.conv_in.weight"].transpose(0, 1).contiguous()


def integers(tensors: dict[str, Tensor], _: object) -> None:
    tensors["unet.conv_in.weight"] = tensors["unet.conv_in.weight"].to(torch.int16)


def number(value: float) -> Change:
    def change(tensors: dict[str, Tensor], _: object) -> None:
        tensors["unet.conv_in.weight"][3, 1, 2, 0] = value

    return change


def foreign(tensors: dict[str, Tensor], _: object) -> None:
    tensors["model.diffusion_model.conv"] = torch.ones(1)


def sectionless(tensors: dict[str, Tensor], _: object) -> None:
    tensors["unet"] = torch.ones(1)


def without(section: str) -> Change:
    def change(tensors: dict[str, Tensor], _: object) -> None:
        for key in [key for key in tensors if key.startswith(section + ".")]:
            del tensors[key]

    return change


def no_null(tensors: dict[str, Tensor], _: object) -> None:
    del tensors["appearnet.null_context"]


def flat_null(tensors: dict[str, Tensor], _: object) -> None:
    tensors["appearnet.null_context"] = torch.ones(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"unet: 1 tensors missing \(first: conv_in.weight\), 0 unexpected; the file is of another architecture"),
        (add, r"unet: 0 tensors missing, 1 unexpected \(first: conv_in.weight_2\)"),
        (reshape, r"unet: conv_in.weight has shape \[32, 4, 1, 3\], \[32, 4, 3, 3\] was expected"),
        (transpose, r"unet: conv_in.weight has shape \[4, 32, 3, 3\], \[32, 4, 3, 3\] was expected"),
        (integers, "unet: conv_in.weight holds torch.int16, torch.float32 was expected"),
        (number(float("nan")), "unet: conv_in.weight holds NaN or infinity; get the file anew"),
        (number(float("inf")), "unet: conv_in.weight holds NaN or infinity; get the file anew"),
        (number(float("-inf")), "unet: conv_in.weight holds NaN or infinity; get the file anew"),
        (foreign, "unexpected tensor 'model.diffusion_model.conv' in a file of kind video"),
        (sectionless, "unexpected tensor 'unet' in a file of kind video"),
        (without(UNET), r"says it is of kind video but holds no unet.\* tensors"),
        (without(APPEARNET), r"says it is of kind video but holds no appearnet.\* tensors"),
        (no_null, "appearnet: null_context is missing or misshapen; get the file anew"),
        (flat_null, "appearnet: null_context is missing or misshapen; get the file anew"),
        (stored("kind", "image"), "unet.temporal is True in a file of kind image"),
        (stored("kind", "audio"), "kind 'audio' is none of autoencoder, text_encoder, image, video"),
        (stored("kind", None), "kind '' is none of"),
        (stored("format", "2"), "format version 2, this program reads 1; update microcinema"),
        (stored("format", "9" * 9000), "format version 9{20}, this program reads 1; get the file anew"),
        (stored("format", "0"), "format version 0, this program reads 1; get the file anew"),
        (stored("format", "²"), "format version ², this program reads 1; get the file anew"),
        (stored("format", None), "not MicroCinema's .*`microcinema inspect` says what it holds"),
        (stored("config", None), "bad metadata: config: expected an object, got NoneType"),
        (stored("config", "[]"), "bad metadata: config: expected an object, got list"),
        (stored("config", "{"), "bad metadata: microcinema.config is not JSON .* get the file anew"),
        (stored("config", "[" * 200_000), "bad metadata: microcinema.config is not JSON"),
        (stored("config", "1" * 9000), "bad metadata: microcinema.config is not JSON"),
        (stored("provenance", '{"a":' * 200_000), "bad metadata: microcinema.provenance is not JSON"),
        (stored("provenance", '"none"'), "provenance is not an object"),
        (stored("companions", "[]"), "companions is not an object"),
        (stored("companions", '{"vae": "file"}'), "bad metadata"),
        (stored("companions", '{"vae": {"file": "a.safetensors"}}'), "bad metadata: 'sha256'"),
        (configured(unet__magic=1), "config.unet: unknown key 'magic'"),
        (configured(unet__layers_per_block="2"), "config.unet.layers_per_block: expected int, got '2'"),
        (configured(unet__layers_per_block=True), "config.unet.layers_per_block: expected int, got True"),
        (configured(unet__block_out_channels=[32, "48"]), r"config.unet.block_out_channels\[1\]: expected int"),
        (configured(unet__block_out_channels=[32]), "need one entry for each of the 1 levels"),
        (configured(unet__block_out_channels=[32, -48]), "sizes must be between 1 and 65536"),
        (configured(unet__injection="add"), "config.unet.injection: 'add' is none of concat"),
        (configured(diffusion__prior_lambda=1e999), "config.diffusion.prior_lambda: expected a number, got inf"),
        (configured(latent__std=[1.0, 1.0, 1.0, 0.0]), "latent: std must be positive"),
        (configured(latent__std=[1.0, 1.0], latent__mean=[0.0, 0.0]), "latent channels differ"),
        (configured(vae__latent_channels=8), "latent channels differ"),
        (configured(text__width=64), "text.width 64 is not unet.cross_attention_dim 32"),
        (configured(unet__layers_per_block=2), "tensors missing .*; the file is of another architecture"),
        (configured(unet__injection="concat"), "the file is of another architecture"),
    ],
)
def test_a_changed_file_is_refused_by_name(weights, tmp_path, change, message):
    path = changed(weights / "toybox-video.safetensors", tmp_path, change)
    with pytest.raises(CheckpointError, match=message) as refused:
        loaded(path)
    assert str(refused.value).startswith(str(path))
    assert len(str(refused.value)) < 1000


def tokenizer(**values: Any) -> Change:
    def change(_: dict[str, Tensor], metadata: dict[str, str]) -> None:
        metadata[PREFIX + "tokenizer"] = json.dumps(json.loads(metadata[PREFIX + "tokenizer"]) | values)

    return change


ENDS = {"<|startoftext|>": 0, "<|endoftext|>": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (tokenizer(vocab=None), "tokenizer.vocab is not an object"),
        (tokenizer(vocab={"a": "b"}), "tokenizer.vocab holds something other than token ids"),
        (tokenizer(vocab=ENDS | {"a": -1}), "tokenizer.vocab holds something other than token ids"),
        (tokenizer(vocab={"a": 1}, merges=[]), "needs `vocab` with start and end tokens"),
        (tokenizer(vocab=ENDS | {"a": 10_000}, merges=[]), "ids reach 10000, the model embeds 600"),
        (tokenizer(merges=None), "tokenizer.merges is not a list of texts"),
        (tokenizer(merges=[["a", "b"]]), "tokenizer.merges is not a list of texts"),
        (tokenizer(merges=["ab"]), "'ab' is not a pair from the vocabulary"),
        (tokenizer(merges=["unheard of"]), "'unheard of' is not a pair from the vocabulary"),
        (stored("tokenizer", "[]"), "tokenizer is not an object"),
        (stored("tokenizer", None), "holds a text encoder without its configuration or tokenizer"),
        (configured(text=None), "holds a text encoder without its configuration or tokenizer"),
        (configured(text__layers=2), "tensors missing .*; the file is of another architecture"),
        (configured(text__vocab_size=700), r"has shape \[600, 32\], \[700, 32\] was expected"),
    ],
)
def test_a_changed_text_encoder_is_refused_by_name(weights, tmp_path, change, message):
    path = changed(weights / "toybox-text.safetensors", tmp_path, change)
    with pytest.raises(CheckpointError, match=message):
        loaded(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (configured(vae=None), "holds an autoencoder but its configuration describes none"),
        (configured(vae__blocks=2), "the file is of another architecture"),
        (configured(vae__channels=32), r"was expected"),
        (lambda tensors, _: tensors.update({"vae.decoder": torch.ones(1)}), "vae: unexpected tensor"),
        (
            lambda tensors, _: tensors.update({"unet.a": torch.ones(1)}),
            "unexpected tensor 'unet.a' in a file of kind auto",
        ),
    ],
)
def test_a_changed_autoencoder_is_refused_by_name(weights, tmp_path, change, message):
    path = changed(weights / "toybox-autoencoder.safetensors", tmp_path, change)
    with pytest.raises(CheckpointError, match=message):
        loaded(path)


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("video", configured(unet__block_out_channels=[65520, 65520], unet__attention_heads=[5, 5])),
        ("video", configured(unet__layers_per_block=60_000)),
        ("video", configured(unet__spade_hidden=65_536)),
        (
            "video",
            configured(
                unet__block_out_channels=[48] * 50_000,
                unet__attention_heads=[3] * 50_000,
                unet__attention_levels=[True] * 50_000,
            ),
        ),
        ("text", configured(text__vocab_size=1_000_000)),
        ("text", configured(text__max_length=1_000_000)),
        ("text", configured(text__layers=1_000_000)),
        ("text", configured(text__width=1_000_000, unet__cross_attention_dim=65_536)),
        ("autoencoder", configured(vae__channels=4096)),
        ("autoencoder", configured(vae__blocks=4096)),
    ],
    ids=[
        "width",
        "layers",
        "spade",
        "levels",
        "vocabulary",
        "prompt",
        "text-layers",
        "text-width",
        "vae",
        "vae-blocks",
    ],
)
@pytest.mark.timeout(60)
def test_a_configuration_of_enormous_size_allocates_nothing(weights, tmp_path, stage, change):
    """Widths alone would ask for terabytes, layers for hours; the file itself tells that it holds nothing like it."""
    path = changed(weights / f"toybox-{stage}.safetensors", tmp_path, change)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        CheckpointError,
        match=r"too few for the|more than any network has|was expected|another architecture|text\.width",
    ):
        loaded(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown * (1 if sys.platform == "darwin" else 1024) < 200e6


# What is no checkpoint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a safetensors file"),
        (b"\x05", "is not a safetensors file"),
        (b"a text, and a longer one than eight bytes", "is not a safetensors file"),
        (pickle.dumps({"unet": 1}), "is a pickle .* can run code when opened and is never loaded"),
        (b"PK\x03\x04" + bytes(100), "is a pickle .* can run code when opened and is never loaded"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "is not a safetensors file"),
        ((90).to_bytes(8, "little") + b"{}", "is a truncated or damaged safetensors file"),
        ((2).to_bytes(8, "little") + b"\xff\xff", "is a truncated or damaged safetensors file"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for read in (read_header, read_checkpoint):
        with pytest.raises(CheckpointError, match=f"{message}.*give a MicroCinema .safetensors file"):
            read(path)


def test_a_truncated_file_is_refused_at_any_length(weights, tmp_path):
    whole = (weights / "toybox-video.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    for length in (7, 8, 9, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"truncated|not a safetensors"):
            read_header(path)
    path.write_bytes(whole + b"\x00")
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        read_header(path)


def test_paths_without_a_file_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"is a folder; give a MicroCinema .safetensors file"):
        read_header(tmp_path)
    with pytest.raises(CheckpointError, match=r"does not exist; give a MicroCinema .safetensors file"):
        read_header(tmp_path / "none.safetensors")


def test_safetensors_of_others_are_refused(tmp_path):
    for metadata in (None, {"format": "pt"}):
        save_file({"conv_in.weight": torch.ones(1)}, tmp_path / "other.safetensors", metadata=metadata)
        with pytest.raises(CheckpointError, match=r"not MicroCinema's .*`microcinema inspect`"):
            read_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F4", "C64", "NOVEL"])
def test_numbers_of_any_kind_are_loaded_or_refused_but_never_crash(weights, tmp_path, kind):
    """A tensor said to be of another type than the bytes are, by editing the header alone."""
    raw = (weights / "toybox-video.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    entry = header["unet.conv_in.weight"]
    bits = {"F8_E4M3": 8, "F8_E5M2": 8, "F4": 4, "C64": 64}.get(kind, 16)
    entry["shape"] = [(entry["data_offsets"][1] - entry["data_offsets"][0]) * 8 // bits]
    entry["dtype"] = kind
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    with pytest.raises(CheckpointError, match=r"model.safetensors"):
        load_networks(path)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16, torch.float32])
def test_other_floating_point_widths_load(weights, tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    save_checkpoint_file(path, read_checkpoint(weights / "toybox-video.safetensors"), dtype)
    networks = load_networks(path)
    wanted = read_checkpoint(path).sections[UNET]["conv_in.weight"]
    assert wanted.dtype == dtype
    assert torch.equal(networks.unet.conv_in.weight, wanted.float())


# Companions


def test_a_missing_companion_is_named(weights, tmp_path):
    path = Path(shutil.copy(weights / "toybox-video.safetensors", tmp_path))
    with pytest.raises(CheckpointError, match=r"needs toybox-autoencoder.safetensors beside it for its vae; put both"):
        load_codec(path)
    with pytest.raises(CheckpointError, match=r"needs toybox-text.safetensors beside it for its text_encoder"):
        load_text_encoder(path)


def test_another_companion_than_the_one_trained_with_is_refused(weights, tmp_path):
    path = Path(shutil.copy(weights / "toybox-video.safetensors", tmp_path))
    shutil.copy(weights / "toybox-image.safetensors", tmp_path / "toybox-autoencoder.safetensors")
    with pytest.raises(
        CheckpointError, match=r"is not the vae that toybox-video.safetensors was trained with; get both"
    ):
        load_codec(path)


def test_a_companion_without_the_section_is_refused(weights, tmp_path):
    def change(_: dict[str, Tensor], metadata: dict[str, str]) -> None:
        text = {"file": "toybox-text.safetensors", "sha256": sha256_of(weights / "toybox-text.safetensors")}
        metadata[PREFIX + "companions"] = json.dumps({"vae": text})

    path = changed(weights / "toybox-video.safetensors", tmp_path, change)
    with pytest.raises(
        CheckpointError, match=r"toybox-text.safetensors: holds no vae, though toybox-video.safetensors"
    ):
        load_codec(path)
    with pytest.raises(CheckpointError, match="holds no text_encoder and names no companion file that does"):
        load_text_encoder(path)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/hostname", "a/b", "..", ".", "", "..\\secret", "C:secret", "a\0b"]
)
def test_a_companions_name_never_leads_out_of_the_folder(weights, tmp_path, name):
    """Even where the file it leads to would have the right hash."""
    inner = tmp_path / "inner"
    inner.mkdir()
    secret = Path(shutil.copy(weights / "toybox-autoencoder.safetensors", tmp_path / "secret.safetensors"))
    entry = json.dumps({"vae": {"file": name, "sha256": sha256_of(secret)}})
    path = changed(weights / "toybox-video.safetensors", inner, stored("companions", entry))
    with pytest.raises(CheckpointError, match="is not a plain file name"):
        load_codec(path)
    with pytest.raises(ValueError, match="is not a plain file name"):
        Companion(name, "")


# Writing


def test_a_failed_write_leaves_the_old_file_and_nothing_else(weights, tmp_path, monkeypatch):
    path = Path(shutil.copy(weights / "toybox-image.safetensors", tmp_path))
    before, checkpoint = path.read_bytes(), read_checkpoint(path)

    def half_written(tensors: dict[str, Tensor], to: Path, metadata: dict[str, str]) -> None:
        to.write_bytes(before[:1000])
        raise OSError("no space left on device")

    monkeypatch.setattr(format_module, "save_file", half_written)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint_file(path, checkpoint)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_numbers_that_would_not_load_again_are_not_written(weights, tmp_path):
    """A diverged training must not replace the last good file; 1e5 is finite, but not in half precision."""
    path = Path(shutil.copy(weights / "toybox-image.safetensors", tmp_path))
    before = path.read_bytes()
    for value in (float("nan"), 1e5):
        state = read_checkpoint(path).sections[UNET] | {"conv_in.bias": torch.tensor([0.0, value])}
        with pytest.raises(
            CheckpointError, match=r"not written: unet.conv_in.bias holds NaN, infinity or numbers beyond"
        ):
            save_checkpoint_file(path, Checkpoint(read_header(path), {UNET: state}))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_written_file_has_the_users_permissions_in_a_folder_made_for_it(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    old = os.umask(0o027)
    try:
        with written_whole(path) as temporary:
            temporary.write_bytes(b"whole")
            assert not path.exists()
    finally:
        os.umask(old)
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o640
