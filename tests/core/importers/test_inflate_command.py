"""`microcinema inflate` as its users meet it: what it prints, what it refuses and how, and the memory it takes."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint, read_header
from microcinema_core.checkpoint.identify import identify

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("sd_files.py"))))
ROOT = Path(__file__).parents[3]
UNET = "model.diffusion_model."


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good sources, 2.1 as a folder and 1.5 as a file, and what else people have."""
    made = tmp_path_factory.mktemp("material")
    newer, older = sd.build("sd21"), sd.build("sd15")
    sd.write_folder(newer, made / "newer", shard="4MB")
    state = load_file(sd.write_single(older, made / "sd15.safetensors"))

    def file(name: str, tensors: dict[str, torch.Tensor]) -> None:
        save_file({key: value.clone().contiguous() for key, value in tensors.items()}, made / f"{name}.safetensors")

    def part(prefix: str, keep: str) -> dict[str, torch.Tensor]:
        return {keep + key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}

    file("inpainting", state | {UNET + "input_blocks.0.0.weight": torch.randn(64, 9, 3, 3)})
    file("vae", part("first_stage_model.", ""))
    file("text", part("cond_stage_model.transformer.", ""))
    file("openclip", sd.open_clip_state(newer))
    file("lora", {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 128)})
    file("sdxl", {k: torch.zeros(64, 2048) if k.endswith("attn2.to_k.weight") else v for k, v in state.items()})
    file("nan", state | {UNET + "out.2.bias": torch.full((4,), torch.nan)})
    file("lacking", {key: value for key, value in state.items() if key != UNET + "out.2.bias"})
    file("extra", state | {UNET + "label_emb.weight": torch.zeros(4, 4)})
    file("video", {"input_blocks.1.0.temopral_conv.conv1.0.weight": torch.zeros(4)})
    whole = (made / "sd15.safetensors").read_bytes()
    (made / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (made / "html.safetensors").write_text("<!DOCTYPE html> Sign in to download")
    torch.save({"state_dict": {"w": torch.zeros(2)}}, made / "pickle.ckpt")
    shutil.copytree(made / "newer", made / "shard")
    sorted((made / "shard" / "unet").glob("*-of-*.safetensors"))[1].unlink()
    shutil.copytree(made / "newer", made / "pickled")
    for weights in (made / "pickled" / "unet").glob("*.safetensors*"):
        weights.unlink()
    (made / "pickled" / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"PK")
    (made / "empty").mkdir()
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRONG = {
    "a LoRA": ("lora.safetensors", r"something else: LoRA weights.*; give the model that it belongs to.*--lora"),
    "SDXL": ("sdxl.safetensors", r"something else: Stable Diffusion XL checkpoint.*; give a Stable Diffusion 1"),
    "1.5 for 2.1": ("sd15.safetensors --preset sd21", r"is a Stable Diffusion 1\.x model, sd21 was asked for"),
    "2.1 for 1.5": ("newer --preset sd15", r"is a Stable Diffusion 2\.x model, sd15 was asked for"),
    "v for eps": ("newer --preset sd21_base", r"says that it predicts v, sd21_base predicts eps"),
    "missing shard": ("shard", r"-00002-of-\d+\.safetensors: this shard, which .*index\.json names, is missing"),
    "pickle": ("pickle.ckpt", r"PyTorch pickle.*never loaded here; get the model as \.safetensors"),
    "pickle in a folder": ("pickled", r"holds only diffusion_pytorch_model\.bin, a pickle.*; get diff"),
    "half-downloaded": ("half.safetensors", r"truncated or damaged safetensors file: [\d.]+ of [\d.]+ MB are there"),
    "a web page": ("html.safetensors", r"is not a safetensors file; get the file anew"),
    "VAE alone": ("vae.safetensors", r"something else: Stable Diffusion autoencoder .*with its U-Net is needed"),
    "VAE's folder": ("newer/vae", r"something else: model folder \(AutoencoderKL\).*with its U-Net is needed"),
    "text encoder alone": ("text.safetensors", r"something else: CLIP text encoder.*with its U-Net is needed"),
    "OpenCLIP alone": ("openclip.safetensors", r"something else: CLIP text encoder \(OpenCLIP.*with its U-Net is"),
    "inpainting": ("inpainting.safetensors", r"1\.x inpainting \(9 input channels\).*it was made from"),
    "text-to-video": ("video.safetensors", r"ModelScope text-to-video.*`microcinema convert`"),
    "one of ours": (str(ROOT / "weights" / "toybox-video.safetensors"), r"MicroCinema key.*; it needs no inflation"),
    "NaN": ("nan.safetensors", r"not written: unet\.conv_out\.bias holds NaN"),
    "a tensor too few": ("lacking.safetensors", r"1 tensors .* are missing, 0 are none .*: conv_out\.bias"),
    "a tensor too many": ("extra.safetensors", r"label_emb\.weight is no tensor of Stable Diffusion 1\.x's or 2\.x's"),
    "nothing": ("nowhere", r"does not exist; give a \.safetensors file or a diffusers folder"),
    "an empty folder": ("empty", r"is a folder without model_index\.json"),
    "a VAE as LoRA": ("newer --lora vae.safetensors", r"autoencoder.*is no tensor of a plain LoRA"),
    "another's LoRA": ("newer --lora half-lora", r"half-lora: does not exist"),
    "half a LoRA": ("newer --lora lora.safetensors", r"lacks one half of its LoRA"),
    "text of another": ("newer --text-encoder sd15.safetensors", r"768 wide, the model reads 1024; give the one"),
    "VAE as text": ("newer --text-encoder vae.safetensors", r"autoencoder.*without a text encoder"),
    "cosine": ("newer --schedule cosine", r"--schedule: no Stable Diffusion was trained on cosine"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_inflated_is_named(material, folder, capsys, case):
    """One line, exit code 2, and nothing under the name that was asked for or beside it."""
    words, said = WRONG[case]
    given = [str(material / word) if (material / word).exists() else word for word in words.split()]
    assert cli.run(["inflate", *given, "--out", "made/video.safetensors"]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert error.count("\n") == 1
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_an_older_file_stays_where_the_new_one_fails(material, folder):
    out = folder / "video.safetensors"
    out.write_bytes(b"older")
    assert cli.run(["inflate", str(material / "nan.safetensors"), "--out", str(out)]) == 2
    assert [path.name for path in folder.iterdir()] == ["video.safetensors"]
    assert out.read_bytes() == b"older"


@pytest.mark.parametrize("name", ["video.ckpt", "taken.safetensors"])
def test_the_file_to_write_must_be_one(material, folder, capsys, name):
    (folder / "taken.safetensors").mkdir()
    assert cli.run(["inflate", str(material / "newer"), "--out", name]) == 2
    assert "give" in capsys.readouterr().err


def test_what_it_prints_and_writes(material, folder, capsys):
    source = str(material / "sd15.safetensors")
    assert cli.run(["inflate", source, "--out", "new/video.safetensors", "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    out = folder / "new" / "video.safetensors"
    stored = read_checkpoint(out)
    networks = [stored.sections["unet"], stored.sections["appearnet"]]
    count = sum(value.numel() for network in networks for value in network.values())
    null = stored.sections["appearnet"]["null_context"].numel()
    assert result["trained"] + result["new"] + null == count
    assert {value.dtype for network in networks for value in network.values()} == {torch.float16}
    assert (result["model"], result["prediction"], result["schedule"]) == ("sd15", "eps", "sd")
    assert "OpenRAIL" in result["licence"]
    for note in result["notes"]:
        assert note in printed.err
    assert any("eps was assumed" in note for note in result["notes"])
    provenance = read_header(out).provenance
    assert provenance["source"] == "sd15.safetensors"
    assert "start at zero" in provenance["trained"]
    assert "keyframe-and-text-to-video" in identify(out).title
    assert identify(out).details["licence"] == result["licence"]
    assert identify(out).details["motion"].startswith("not trained")
    assert identify(out).details["appearance"].startswith("AppearNet is not trained")

    assert cli.run(["inflate", str(material / "newer"), "--out", "new.safetensors", "--dtype", "bf16"]) == 0
    assert "v-prediction" in capsys.readouterr().out
    assert read_checkpoint(folder / "new.safetensors").sections["unet"]["conv_in.weight"].dtype is torch.bfloat16


def peak_anonymous_memory(arguments: list[str]) -> float:
    """MB of a run of the program, watched from outside; it must succeed."""
    script = "import sys; from microcinema_core import cli; sys.exit(cli.run(sys.argv[1:]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.002)
    assert process.returncode == 0, process.stderr.read().decode()
    return peak / 1e3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from Linux's /proc")
def test_the_file_is_never_in_memory(folder):
    """The libraries take 0.3 GB before anything is read: with the file's 0.45 GB besides it would be far above."""
    model = sd.build("sd15")
    config = replace(model.config, block_out_channels=(256, 512))
    wide = replace(model, config=config, unet=sd.image_model(config))
    source = sd.write_single(wide, folder / "wide.safetensors")
    out = folder / "video.safetensors"
    peak = peak_anonymous_memory(["inflate", str(source), "--out", str(out), "--dtype", "fp32"])
    size = out.stat().st_size / 1e6
    print(f"a file of {size:.0f} MB, a peak of {peak:.0f} MB")
    assert size > 400
    assert peak < size


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "layout"), [("sd21", "folder"), ("sd21", "single"), ("sd15", "single")])
def test_memory_at_full_size(folder, record_property, name, layout):
    """865 M parameters in float32, 5 GB of files, of which 3.8 GB are written in float16."""
    model = sd.build(name, full=True)
    source = folder / "sd.safetensors"
    source = sd.write_single(model, source) if layout == "single" else sd.write_folder(model, folder / "sd")
    del model
    out = folder / "video.safetensors"
    start = time.monotonic()
    peak = peak_anonymous_memory(["inflate", str(source), "--out", str(out)])
    seconds, size = time.monotonic() - start, out.stat().st_size / 1e6
    record_property("peak of anonymous memory, MB", f"{peak:.0f} for a file of {size:.0f}")
    print(f"{name} {layout}: {peak:.0f} MB of anonymous memory for a file of {size:.0f} MB, {seconds:.0f} s")
    shutil.rmtree(folder)
    assert peak < 2000
