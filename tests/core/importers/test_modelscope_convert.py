"""Text-to-video models of ModelScope's family in each layout become one and the same file; all else is refused."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, I2VGenXLUNet, UNet2DConditionModel, UNet3DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from microcinema_core import cli
from microcinema_core.backend import Backend
from microcinema_core.checkpoint.format import APPEARNET, UNET, VAE, read_checkpoint
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.config import MODELSCOPE, TOYBOX, ClipConfig, Kind, Prediction, TemporalLayers, UNetConfig
from microcinema_core.importers.convert import convert
from microcinema_core.importers.lazy import Stored
from microcinema_core.importers.modelscope import fitted, to_diffusers, unet_config
from microcinema_core.importers.stream import write_stream
from microcinema_core.importers.text_to_video import open_text_to_video
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.unet import VideoUNet

# float32 rounds at 6e-8 of a sum's size, and two orders of summation meet in about a hundred layers.
TOLERANCE = 1e-5
WIDTHS, HEAD, TEXT = (32, 64), 16, 32
CARD = "---\nlicense: cc-by-nc-4.0\ntags:\n- text-to-video\n---\n\n# A model\n"


@dataclass(frozen=True)
class Sources:
    """The same model thrice."""

    model: UNet3DConditionModel
    folder: Path
    single: Path  # diffusers' names
    original: Path  # ModelScope's own
    text: Path


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def randomise_(module: torch.nn.Module) -> None:
    """No tensor is one number throughout."""
    for parameter in module.parameters():
        if parameter.min() == parameter.max():
            parameter += 0.2 * torch.randn(parameter.shape)


def original_name(key: str, attended: tuple[bool, ...] = (True, False), layers: int = 1) -> str:
    """ModelScope's name of diffusers' tensor, read off its module lists; `importers/modelscope.py` goes back."""
    resnet = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1"}
    resnet |= {"norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
    ends = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    ends |= {"conv_in": "input_blocks.0.0", "transformer_in": "input_blocks.0.1"}
    ends |= {"conv_norm_out": "out.0", "conv_out": "out.2"}
    for name, other in ends.items():
        if key.startswith(name + "."):
            return other + key.removeprefix(name)
    found = re.fullmatch(r"(down_blocks|up_blocks|mid_block)\.(?:(\d+)\.)?([a-z_]+)\.(\d+)\.(.+)", key)
    side, level, kind, number, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
    first = {"down_blocks": 1, "up_blocks": 0, "mid_block": 0}[side] + level * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers}.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        return f"output_blocks.{first + layers}.{3 if attended[-1 - level] else 1}.{rest}"
    place = {"resnets": 0, "temp_convs": 0, "attentions": 1, "temp_attentions": 2}[kind]
    if kind == "resnets":
        layer, _, end = rest.partition(".")
        rest = f"{resnet[layer]}.{end}"
    if kind == "temp_convs":
        rest = f"temopral_conv.{rest}"
    if side == "mid_block":
        return f"middle_block.{3 if place == 0 and number == 1 else place}.{rest}"
    return f"{'input' if side == 'down_blocks' else 'output'}_blocks.{first + number}.{place}.{rest}"


def original_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Its projections over time are 1-D convolutions."""
    over_time = re.compile(r"(transformer_in|temp_attentions\.\d+)\.proj_(in|out)\.weight")
    return {
        original_name(key): value.unsqueeze(-1).contiguous() if over_time.search(key) else value
        for key, value in state.items()
    }


def write_text(folder: Path, width: int = TEXT) -> Path:
    config = CLIPTextConfig(
        vocab_size=64, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=77, bos_token_id=62, eos_token_id=63, hidden_act="gelu",
    )  # fmt: skip
    model = CLIPTextModel(config)
    randomise_(model)
    model.save_pretrained(folder / "text_encoder")
    vocab = {f"t{i}": i for i in range(62)} | {"<|startoftext|>": 62, "<|endoftext|>": 63}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocab))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    return folder / "text_encoder"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("modelscope")
    folder = root / "folder"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = UNet3DConditionModel(
            block_out_channels=WIDTHS,
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
            attention_head_dim=HEAD,
            cross_attention_dim=TEXT,
        ).eval()
        randomise_(model)
        model.save_pretrained(folder / "unet")
        vae = AutoencoderKL(block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
                            up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
        vae.save_pretrained(folder / "vae")
        text = write_text(folder)
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    (folder / "model_index.json").write_text('{"_class_name": "TextToVideoSDPipeline", "unet": ["diffusers", "x"]}')
    (folder / "README.md").write_text(CARD)
    single, original = root / "single.safetensors", root / "original.safetensors"
    save_file(model.state_dict(), single, metadata={"license": "of the file"})
    save_file(original_state(model.state_dict()), original)
    return Sources(model, folder, single, original, text)


def converted(source: Path, out: Path, text: Path | None = None) -> dict[str, dict[str, Tensor]]:
    convert(open_text_to_video(source), out, torch.float32, text)
    return read_checkpoint(out).sections


@pytest.fixture(scope="module")
def video(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, converted."""
    out = tmp_path_factory.mktemp("converted") / "video.safetensors"
    converted(sources.folder, out)
    return out


def deviation(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs().max() / other.abs().max()).item()


@torch.no_grad()
def test_the_file_runs_as_the_source_and_the_keyframe_changes_nothing_yet(sources, video):
    loaded = load_networks(video, kind=Kind.VIDEO)
    x, t, context = normal(2, 4, 3, 7, 10), torch.tensor([981.0, 37.0]), normal(2, 7, TEXT, seed=1)
    appearance = loaded.appearnet(Guide(normal(1, 4, 1, 7, 10, seed=2)))
    found = loaded.unet(x, t, context, appearance, torch.tensor([-0.1, 0.0, 0.1]))
    assert deviation(found, sources.model(x, t, context).sample) <= TOLERANCE
    assert torch.equal(found, loaded.unet(x, t, context))
    assert (loaded.header.config.diffusion, loaded.header.config.clip) == (MODELSCOPE.diffusion, MODELSCOPE.clip)


@pytest.mark.parametrize("layout", ["folder", "single", "original", "unet folder"])
def test_every_layout_gives_the_same_tensors(sources, video, tmp_path, layout):
    if layout == "folder":
        found = read_checkpoint(video).sections
    else:
        source = sources.folder / "unet" if layout == "unet folder" else getattr(sources, layout)
        text = None if layout == "unet folder" else sources.text
        found = converted(source, tmp_path / "video.safetensors", text)
    given = sources.model.state_dict()
    for key, value in given.items():
        ours = found[UNET].pop(key)
        assert torch.equal(ours, value.reshape(ours.shape)), key
    assert {key.partition(".")[0] for key in found[UNET]} == {"frame_time_embedding", "gates"}
    zero = {key for key, value in found[UNET].items() if not value.any()}
    assert zero == {key for key in found[UNET] if not key.startswith("frame_time_embedding.linear_1")}

    encoder = {key: value for key, value in found[APPEARNET].items() if key in given}
    assert len(encoder) > 50
    assert all(torch.equal(value, given[key]) for key, value in encoder.items())
    new = {key: bool(value.any()) for key, value in found[APPEARNET].items() if key not in given}
    assert {key for key, moves in new.items() if moves} == {
        "null_context", *(key for key in new if key.startswith("spade.") and ".conv_in." in key)
    }  # fmt: skip
    text_model = CLIPTextModel.from_pretrained(sources.text).eval()
    ids = torch.tensor([[62, 63, *[63] * 75]])
    with torch.no_grad():
        torch.testing.assert_close(found[APPEARNET]["null_context"], text_model(ids).last_hidden_state)


def test_the_test_finds_a_name_for_each_tensor_and_they_differ(sources):
    names = [original_name(key) for key in sources.model.state_dict()]
    assert len(set(names)) == len(names)
    assert {name.split(".")[0] for name in names} == {
        "time_embed", "input_blocks", "middle_block", "output_blocks", "out"
    }  # fmt: skip
    assert sum("temopral_conv" in name for name in names) == 16 * (2 + 2 + 4)  # of each of the ResBlocks


def test_float16_rounds_and_nothing_else(sources, tmp_path):
    out = tmp_path / "video.safetensors"
    convert(open_text_to_video(sources.folder), out)
    found = load_file(out)
    assert {value.dtype for value in found.values()} == {torch.float16}
    for key, value in sources.model.state_dict().items():
        half = found[f"{UNET}.{key}"]
        assert torch.equal(half, value.half().reshape(half.shape)), key


def test_what_a_folder_holds_besides_comes_along(sources, video):
    checkpoint = read_checkpoint(video)
    found, header = checkpoint.sections, checkpoint.header
    vae = load_file(sources.folder / "vae" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(found[VAE]["decoder.conv_in.weight"], vae["decoder.conv_in.weight"])
    assert len(found[VAE]) == len(vae)
    assert (header.config.text.width, header.config.text.layers) == (TEXT, 2)
    assert header.tokenizer["vocab"]["<|endoftext|>"] == 63


def test_settings_of_a_folder_are_read(sources, tmp_path):
    folder = shutil.copytree(sources.folder, tmp_path / "folder")
    rewrite(folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    rewrite(folder / "unet" / "config.json", norm_num_groups=16)
    found = open_text_to_video(folder, ClipConfig(24, 12.0, 576, 320)).config
    assert found.diffusion.prediction is Prediction.V
    assert (found.unet.norm_groups, found.unet.temporal_head_dim) == (16, HEAD)
    assert (found.clip.frames, found.clip.fps, found.clip.width, found.clip.height) == (24, 12.0, 576, 320)


def test_sizes_are_read_off_the_published_models_tensors():
    with torch.device("meta"):
        state = UNet3DConditionModel().state_dict()
    stored = {key: Stored(tuple(value.shape), lambda: torch.empty(0)) for key, value in state.items()}
    assert unet_config(stored) == MODELSCOPE.unet


def test_it_says_what_it_found_and_covers(sources, tmp_path, capsys):
    out = tmp_path / "video.safetensors"
    assert cli.run(["convert", str(sources.folder), "--out", str(out), "--fps", "12"]) == cli.DONE
    said = capsys.readouterr().out.splitlines()
    network = sum(value.numel() for value in sources.model.state_dict().values())
    assert said[1:3] == [
        "  licence: cc-by-nc-4.0 (says README.md)",
        f"  trained by the source: {network:,} parameters (the text-to-video network)",
    ]
    assert "change nothing yet" in said[4]
    assert len(said) == 6
    assert cli.run(["inspect", str(out)]) == cli.DONE
    told = capsys.readouterr().out
    assert "licence: cc-by-nc-4.0" in told
    assert "  motion: trained\n  appearance: AppearNet is not trained" in told

    single = ["convert", str(sources.single), "--out", str(out), "--text-encoder", str(sources.text), "--json"]
    assert cli.run(single) == cli.DONE
    result = json.loads(capsys.readouterr().out)
    assert (result["licence"], result["trained"], result["lacks"]) == ("of the file", network, ["vae"])
    config = read_checkpoint(out).header.config.unet
    on_meta = Backend(device="meta")
    built = VideoUNet(config, on_meta), AppearNet(config, on_meta)
    counted = sum(parameter.numel() for network in built for parameter in network.parameters())
    assert result["trained"] + result["copied"] + result["new"] == counted


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (None, "unknown"),
        ("# A model\n\nNo licence: none.\n", "unknown"),
        ("---\nlicense: other\nlicense_name: mine\n---\n", "other"),
        ("---\nlicense:   'CC-BY-NC-4.0'  \n---\n", "CC-BY-NC-4.0"),
        ("---\nlicense: a\x1b[31mb\n---\n", "a\ufffd[31mb"),
    ],
)
def test_the_licence_is_the_model_cards(sources, tmp_path, card, licence):
    folder = tmp_path / "folder"
    shutil.copytree(sources.folder / "unet", folder / "unet")
    if card is not None:
        (folder / "README.md").write_text(card)
    assert open_text_to_video(folder).licence.name == licence


def rewrite(path: Path, **changed: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def image_unet() -> UNet2DConditionModel:
    kinds = ("CrossAttnDownBlock2D", "DownBlock2D")
    return UNet2DConditionModel(
        block_out_channels=WIDTHS, layers_per_block=1, down_block_types=kinds,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=1024,
    )  # fmt: skip


def related() -> I2VGenXLUNet:
    return I2VGenXLUNet(
        block_out_channels=WIDTHS, layers_per_block=1, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), attention_head_dim=HEAD, cross_attention_dim=TEXT,
    )  # fmt: skip


def wrong_file(kind: str, sources: Sources, folder: Path) -> Path:
    """A file or folder that is no text-to-video model of this family, or a broken one."""
    path, state = folder / "wrong.safetensors", sources.model.state_dict()
    match kind:
        case "lora":
            save_file({"unet.conv_in.lora_A.weight": torch.zeros(4, 4)}, path)
        case "image":
            save_file(image_unet().state_dict(), path)
        case "image folder":
            path = folder / "sd"
            image_unet().save_pretrained(path / "unet")
            (path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
        case "vae":
            path = sources.folder / "vae" / "diffusion_pytorch_model.safetensors"
        case "related":
            save_file(related().state_dict(), path)
        case "videocrafter":
            names = original_state(state)
            save_file({k: v for k, v in names.items() if not k.startswith("input_blocks.0.1.")}, path)
        case "strange name":
            save_file(original_state(state) | {"init_attn.0.weight": torch.zeros(2)}, path)
        case "missing":
            save_file({k: v for k, v in state.items() if k != "up_blocks.1.temp_convs.0.conv4.3.bias"}, path)
        case "shape":
            save_file(state | {"conv_out.bias": torch.zeros(5)}, path)
        case "half":
            path.write_bytes(sources.single.read_bytes()[:100_000])
        case "pickle":
            path = folder / "wrong.pth"
            torch.save(state, path)
        case "nan":
            save_file(state | {"conv_out.bias": torch.full((4,), torch.nan)}, path)
        case "large":
            save_file(state | {"conv_out.bias": torch.full((4,), 1e6)}, path)
        case "inpainting":
            save_file(state | {"conv_in.weight": torch.zeros(32, 9, 3, 3)}, path)
        case "absent":
            pass
        case "pickled folder":
            path = folder / "pickled"
            path.mkdir()
            shutil.copy(sources.folder / "unet" / "config.json", path)
            torch.save(state, path / "diffusion_pytorch_model.bin")
        case "settings":
            path = shutil.copytree(sources.folder, folder / "settings")
            rewrite(path / "unet" / "config.json", norm_eps=1e-6)
        case "schedule":
            path = shutil.copytree(sources.folder, folder / "schedule")
            rewrite(path / "scheduler" / "scheduler_config.json", beta_schedule="linear")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("lora", "is something else: LoRA weights, in safetensors; give a ModelScope text-to-video model"),
        ("image", "Stable Diffusion 2.x U-Net .* without layers over time; `microcinema inflate` takes such models"),
        ("image folder", r"folder \(StableDiffusionPipeline\), without layers over time; `microcinema inflate`"),
        ("vae", "is something else: Stable Diffusion autoencoder"),
        ("related", "a related model such as VideoCrafter, DynamiCrafter or I2VGen-XL"),
        ("videocrafter", "give a ModelScope text-to-video model or a fine-tune"),
        (
            "strange name",
            r"0 tensors .* are missing, 1 are none of its \(first: init_attn.0.weight\); .* related model",
        ),
        ("missing", r"1 tensors .* are missing, 0 are none .*first: up_blocks.1.temp_convs.0.conv4.3.bias"),
        ("shape", r"conv_out.bias has shape \[5\], \[4\] was expected"),
        ("half", "truncated"),
        ("pickle", "PyTorch pickle.*get the model as .safetensors"),
        ("pickled folder", "a pickle, which can run code when opened and is never loaded"),
        ("nan", "not written: unet.conv_out.bias holds NaN"),
        ("large", r"unet.conv_out.bias holds .*beyond torch.float16.*--dtype"),
        ("inpainting", "has 9 input channels, 4 are needed"),
        ("absent", "does not exist"),
        ("settings", "norm_eps is 1e-06, 1e-05 was expected"),
        ("schedule", "beta_schedule is 'linear'"),
    ],
)
def test_everything_else_is_named_and_nothing_is_written(sources, tmp_path, capsys, kind, message):
    out = tmp_path / "out" / "video.safetensors"
    path = wrong_file(kind, sources, tmp_path)
    code = cli.run(["convert", str(path), "--out", str(out), "--text-encoder", str(sources.text)])
    said = capsys.readouterr().err
    assert code == cli.WRONG_INPUT
    assert re.search(message, said), said
    assert said.startswith(f"microcinema: error: {tmp_path.parent}")
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def test_wrong_companions_and_names_are_refused(sources, video, tmp_path, capsys):
    out = tmp_path / "video.safetensors"
    wide = write_text(tmp_path, 48)
    cases = [
        ([str(sources.single), "--out", str(out)], "holds no text encoder.*--text-encoder"),
        ([str(sources.single), "--out", str(out), "--text-encoder", str(wide)], "is 48 wide, the model reads 32"),
        ([str(sources.single), "--out", str(sources.single)], "is the source itself"),
        ([str(sources.folder), "--out", str(tmp_path / "video.ckpt")], "must end in .safetensors"),
        ([str(sources.folder), "--out", str(out), "--frames", "0"], "frames must be between 1 and 4096"),
    ]
    for words, message in cases:
        assert cli.run(["convert", *words]) == cli.WRONG_INPUT
        assert re.search(message, capsys.readouterr().err), message
    assert not out.exists()
    assert cli.run(["convert", str(video), "--out", str(out)]) == cli.WRONG_INPUT
    assert "is a MicroCinema keyframe-and-text-to-video model already" in capsys.readouterr().err


def test_an_older_file_of_that_name_survives_a_failure(sources, tmp_path):
    out = tmp_path / "video.safetensors"
    out.write_bytes(b"older")
    path = wrong_file("nan", sources, tmp_path)
    assert cli.run(["convert", str(path), "--out", str(out), "--text-encoder", str(sources.text)]) == cli.WRONG_INPUT
    assert out.read_bytes() == b"older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["video.safetensors", "wrong.safetensors"]


def test_other_configurations_are_native():
    assert TOYBOX.unet.temporal_layers is TemporalLayers.NATIVE
    assert UNetConfig().temporal_layers is TemporalLayers.NATIVE


def random_file(path: Path, model: torch.nn.Module) -> None:
    """The tensors of a model on the meta device, in float32 and random, without ever holding them all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items() if value.is_floating_point()}
    state = {key: Stored(shape, lambda shape=shape: torch.randn(shape)) for key, shape in shapes.items()}
    write_stream(path, state, torch.float32, {})


def peak_of_anonymous_memory(command: list[str]) -> int:
    """Bytes; pages of mapped files are not counted, which the system takes back at will."""
    peak, process = 0, subprocess.Popen(command)
    while process.poll() is None:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_full_size_in_little_memory(tmp_path, record_property):
    """A folder in float32: 5.6 GB of network and 1.4 GB of text encoder become 3.7 GB in float16."""
    folder, out = tmp_path / "folder", tmp_path / "video.safetensors"
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
        hidden_act="gelu",
    )  # fmt: skip
    with torch.device("meta"):
        unet, text_model = UNet3DConditionModel(), CLIPTextModel(text)
    random_file(folder / "unet" / "diffusion_pytorch_model.safetensors", unet)
    unet.save_config(folder / "unet")
    random_file(folder / "text_encoder" / "model.safetensors", text_model)
    text.save_pretrained(folder / "text_encoder")
    command = [sys.executable, "-m", "microcinema_core.cli", "convert", str(folder), "--out", str(out)]
    peak = peak_of_anonymous_memory(command)
    record_property("peak of anonymous memory, GB", f"{peak / 1e9:.2f}")
    print(f"{out.stat().st_size / 1e9:.2f} GB written, peak of anonymous memory {peak / 1e9:.2f} GB")
    assert peak < 2e9
    with (
        safe_open(out, "pt") as ours,
        safe_open(folder / "unet" / "diffusion_pytorch_model.safetensors", "pt") as theirs,
    ):
        for key in theirs.keys():
            found = ours.get_tensor(f"{UNET}.{key}")
            assert torch.equal(found, theirs.get_tensor(key).half().reshape(found.shape)), key
    shutil.rmtree(folder)  # pytest would keep these 11 GB for three runs
    out.unlink()


@pytest.fixture
def unet_sd(tmp_path, monkeypatch):
    """ModelScope's own module, from a folder of its own: the package around it would import much more."""
    wanted = ["modelscope==1.40.2", "einops==0.8.1"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path, *wanted], check=True)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "modelscope" / "models" / "multi_modal" / "video_synthesis" / "unet_sd.py"
    spec = importlib.util.spec_from_file_location("unet_sd", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@torch.no_grad()
def test_the_original_network_of_modelscope(unet_sd):
    """Against ModelScope's own class."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = unet_sd.UNetSD(
            in_dim=4, dim=64, y_dim=1024, context_dim=1024, out_dim=4, dim_mult=[1, 2, 4, 4], num_heads=8, head_dim=32,
            num_res_blocks=2, attn_scales=[1, 0.5, 0.25], dropout=0.1, temporal_attention=True,
        ).eval()  # fmt: skip
        randomise_(theirs)
    named = to_diffusers({k: Stored(tuple(v.shape), lambda v=v: v) for k, v in theirs.state_dict().items()})
    ours = VideoUNet(unet_config(named)).eval()
    own = ours.state_dict()
    state = {key: fitted(stored, tuple(own[key].shape)).read() for key, stored in named.items()}
    assert {key.partition(".")[0] for key in set(own) - set(state)} == {"frame_time_embedding", "gates"}
    ours.load_state_dict(own | state)
    x, t, context = normal(2, 4, 5, 16, 8), torch.tensor([981, 37]), normal(2, 7, 1024, seed=1)
    assert deviation(ours(x, t, context), theirs(x, t, context)) <= TOLERANCE
