"""Stable Diffusion's layouts inflated: the file that comes out is that very model, frame by frame."""

import json
import runpy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file, save_file

from microcinema_core.backend import Backend
from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.checkpoint.load import load_networks
from microcinema_core.checkpoint.names import vae_to_compvis, vae_to_diffusers
from microcinema_core.config import Kind, Prediction, ScheduleName
from microcinema_core.errors import CheckpointError, InputError
from microcinema_core.importers.clip_text import null_prompt, open_text
from microcinema_core.importers.inflate import Inflated, Order, inflate_file
from microcinema_core.importers.keys import unet_to_compvis, unet_to_diffusers
from microcinema_core.importers.source import Choices, open_source
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.unet import VideoUNet
from microcinema_core.models.zero_start import zero_start_
from microcinema_core.standalone.components import load_codec, load_text_encoder

sd = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("sd_files.py"))))

# float32 rounds at 6e-8 of a sum's size, and two orders of summation meet in about a hundred layers.
TOLERANCE = 1e-5
FAMILIES = ("sd21", "sd21_base", "sd15")


@pytest.fixture(scope="module")
def models() -> dict:
    built = {name: sd.build(name) for name in ("sd21", "sd15")}
    return built | {"sd21_base": replace(built["sd21"], name="sd21_base")}


@pytest.fixture(scope="module")
def files(models: dict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each model as a folder and as a single file."""
    folder = tmp_path_factory.mktemp("sd")
    made = {}
    for name, model in models.items():
        made[f"{name} folder"] = sd.write_folder(model, folder / name, shard="4MB" if name == "sd21" else "10GB")
        made[f"{name} single"] = sd.write_single(model, folder / f"{name}.safetensors")
    assert len(list((folder / "sd21" / "unet").glob("*-of-*.safetensors"))) > 2
    made["tokenizer"] = folder / "sd15" / "tokenizer"
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "video.safetensors"


def inflate(source: Path, out: Path, dtype: torch.dtype = torch.float32, **more: object) -> Inflated:
    return inflate_file(Order(source, out, dtype, **more))


def choices_of(name: str, layout: str) -> Choices:
    """A single file of 2.1-base does not say that it predicts noise."""
    return Choices(prediction=Prediction.EPS) if (name, layout) == ("sd21_base", "single") else Choices()


@torch.no_grad()
def per_frame(model, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    frames = [model.unet(x[:, :, i], t, context).sample for i in range(x.shape[2])]
    return torch.stack(frames, dim=2)


def inputs(width: int, tokens: int = 77) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 2, 12, 8, generator=generator)
    context = torch.randn(2, tokens, width, generator=generator)
    return x, torch.tensor([981.0, 37.0]), context, torch.randn(2, 4, 1, 12, 8, generator=generator)


def deviation(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).abs().max() / other.abs().max()).item()


@torch.no_grad()
def found_and_wanted(model, path: Path) -> tuple[float, float]:
    """Deviation of the file's networks from diffusers' U-Net, and of its null prompt from transformers' encoder."""
    x, t, context, z_c = inputs(model.config.cross_attention_dim)
    wanted = per_frame(model, x, t, context)
    null = model.text(input_ids=model.null_ids()).last_hidden_state
    networks = load_networks(path, kind=Kind.VIDEO)
    video = networks.unet(x, t, context, networks.appearnet(Guide(z_c)), torch.tensor([-0.5, 0.5]))
    return deviation(video, wanted), deviation(networks.appearnet.null_context, null)


@pytest.mark.parametrize("layout", ["folder", "single"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_inflated_file_is_the_image_model_on_every_frame(models, files, out, name, layout):
    made = inflate(files[f"{name} {layout}"], out, choices=choices_of(name, layout))
    unet, null = found_and_wanted(models[name], out)
    assert unet <= TOLERANCE
    assert null <= TOLERANCE
    config = read_checkpoint(out).header.config
    assert (config.name, config.diffusion.prediction) == (name, "v" if name == "sd21" else "eps")
    assert config.unet == models[name].config
    assert (config.diffusion.schedule, config.diffusion.prior_gamma) == (ScheduleName.SD, 0.02)
    # both networks' tensors that the source trained: the U-Net's, and its encoder once more
    shared = AppearNet(config.unet, Backend(device="meta")).state_dict().keys() & models[name].unet.state_dict().keys()
    state = models[name].unet.state_dict()
    assert made.taken == sum(v.numel() for v in state.values()) + sum(state[key].numel() for key in shared)


def test_new_layers_start_as_the_networks_say(models, files, out):
    inflate(files["sd21 folder"], out)
    found = read_checkpoint(out)
    config = found.header.config.unet
    unet, appearnet = VideoUNet(config), AppearNet(config)
    before = {name: net.state_dict() for name, net in (("unet", unet), ("appearnet", appearnet))}
    changed = {name: {k: v.clone() for k, v in state.items()} for name, state in before.items()}
    zero_start_(unet)
    zero_start_(appearnet)
    for name, net in (("unet", unet), ("appearnet", appearnet)):
        new = {k for k in net.state_dict() if k not in models["sd21"].unet.state_dict() and k != "null_context"}
        zero = {k for k in new if not net.state_dict()[k].any() and changed[name][k].any()}
        assert zero
        for key in new:
            given, own = found.sections[name][key], changed[name][key]
            assert given.any() == (key not in zero and bool(own.any())), key
            if key not in zero and own.unique().numel() > 1:  # at random: as wide as the layer's own
                assert given.std() == pytest.approx(own.std(), rel=0.5), key
    again = out.with_name("again.safetensors")
    inflate(files["sd21 folder"], again)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(("name", "layout"), [("sd21", "folder"), ("sd21", "single"), ("sd15", "folder")])
def test_the_text_encoder_of_the_file_is_transformers_own(models, files, out, name, layout):
    """Its activation, the last layer, what it pads with: Stable Diffusion 2.x differs from 1.x in all three."""
    inflate(files[f"{name} {layout}"], out, tokenizer=files["tokenizer"] if layout == "single" else None)
    text = load_text_encoder(out)
    ids = text.token_ids(["", "a red star"])
    assert torch.equal(ids[:1], models[name].null_ids())
    assert ids[1, 1] != ids[0, 1]
    with torch.no_grad():
        wanted = models[name].text(input_ids=ids).last_hidden_state
    assert deviation(text.encode(["", "a red star"]), wanted) <= TOLERANCE


def test_a_single_file_without_its_vocabulary_says_so_and_keeps_the_null_prompt(models, files, out):
    made = inflate(files["sd15 single"], out)
    assert any("--tokenizer" in note and "CLIP" in note for note in made.notes)
    assert "text_encoder" not in read_checkpoint(out).sections


@pytest.mark.parametrize("layout", ["folder", "single"])
def test_the_autoencoder_lies_under_the_hosts_names(models, files, out, layout):
    """diffusers' own reader of single files turns them back into its model's tensors, bit for bit."""
    inflate(files[f"sd21 {layout}"], out)
    stored = read_checkpoint(out).sections["vae"]
    vae = models["sd21"].vae
    again = convert_ldm_vae_checkpoint({f"first_stage_model.{key}": v for key, v in stored.items()}, vae.config)
    wanted = vae.state_dict()
    assert again.keys() == wanted.keys()
    assert all(torch.equal(again[key], wanted[key]) for key in wanted)


def test_the_autoencoder_of_the_file_is_diffusers_own(models, files, out):
    inflate(files["sd21 single"], out)
    codec, vae = load_codec(out), models["sd21"].vae
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, 32, 40, generator=generator)
    with torch.no_grad():
        latents = vae.encode(2 * pixels - 1).latent_dist.mean * 0.18215
        again = (vae.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    assert deviation(codec.encode(pixels), latents) <= TOLERANCE
    assert deviation(codec.decode(latents), again) <= TOLERANCE
    assert 0.05 < again.mean() < 0.95  # not all of it at the ends of the range


@pytest.mark.parametrize("name", ["sd21", "sd15"])
def test_every_name_of_the_unet_goes_there_and_back(models, name):
    """And diffusers' own reader of single files reads the names as ours does: at full size, key by key."""
    config = sd.PRESETS[name].unet
    with torch.device("meta"):
        keys = list(sd.image_model(config).state_dict())
    theirs = {key: unet_to_compvis(key, config.layers_per_block, config.attention_levels) for key in keys}
    assert len(keys) == 686
    assert len(set(theirs.values())) == len(keys)
    assert {key: unet_to_diffusers(value, config.layers_per_block) for key, value in theirs.items()} == {
        key: key for key in keys
    }
    checkpoint = {"model.diffusion_model." + value: key for key, value in theirs.items()}
    assert convert_ldm_unet_checkpoint(checkpoint, {"layers_per_block": 2}) == {key: key for key in keys}


def test_every_name_of_the_autoencoder_goes_there_and_back():
    with torch.device("meta"):
        keys = list(sd.autoencoder((128, 256, 512, 512)).state_dict())
    theirs = {key: vae_to_compvis(key, 4) for key in keys}
    assert len(set(theirs.values())) == len(keys) == 248
    assert all(vae_to_diffusers(value, 4) == key for key, value in theirs.items())
    older = "encoder.mid_block.attentions.0.{}.weight"  # as the published files have it
    for old, new in {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}.items():
        assert vae_to_compvis(older.format(old), 4) == vae_to_compvis(older.format(new), 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_of_half_precision_are_kept_as_they_are(models, out, tmp_path, dtype):
    source = sd.write_single(models["sd15"], tmp_path / "half.safetensors", dtype)
    inflate(source, out, dtype)
    given, found = load_file(source), read_checkpoint(out)
    assert {value.dtype for state in found.sections.values() for value in state.values()} == {dtype}
    for key, value in given.items():
        if key.startswith("model.diffusion_model."):
            name = unet_to_diffusers(key.removeprefix("model.diffusion_model."), 1)
            assert torch.equal(found.sections["unet"][name], value), key


def test_numbers_beyond_half_precision_are_refused(models, out, tmp_path):
    state = load_file(sd.write_single(models["sd15"], tmp_path / "big.safetensors"))
    state["model.diffusion_model.out.2.bias"][0] = 1e5
    save_file(state, tmp_path / "big.safetensors")
    with pytest.raises(CheckpointError, match=r"unet.conv_out.bias holds .* beyond torch.float16.*another --dtype"):
        inflate(tmp_path / "big.safetensors", out, torch.float16)
    assert not out.exists()
    assert not any(out.parent.iterdir())


def test_the_running_average_is_taken_only_where_it_is_asked_for(models, out, tmp_path):
    source = sd.write_single(models["sd15"], tmp_path / "ema.safetensors", average=True)
    made = inflate(source, out)
    own = models["sd15"].unet.state_dict()["conv_in.weight"]
    assert torch.equal(read_checkpoint(out).sections["unet"]["conv_in.weight"], own)
    assert any("--ema" in note for note in made.notes)
    inflate(source, out, choices=Choices(ema=True))
    found = read_checkpoint(out).sections
    assert all(torch.equal(found["unet"][k], -v) for k, v in models["sd15"].unet.state_dict().items())
    assert torch.equal(found["appearnet"]["conv_in.weight"], -own)


def test_a_source_without_a_running_average_says_so(files, out):
    for layout in ("folder", "single"):
        with pytest.raises(CheckpointError, match="leave --ema out"):
            inflate(files[f"sd15 {layout}"], out, choices=Choices(ema=True))


def test_what_is_predicted_is_as_the_source_says_or_as_was_assumed(files, tmp_path):
    found = open_source(files["sd21 single"], Choices())
    assert found.config.diffusion.prediction is Prediction.V
    assert any("v was assumed" in note and "--prediction" in note for note in found.notes)
    assert not open_source(files["sd21 folder"], Choices()).notes
    found = open_source(files["sd21 single"], Choices(preset="sd21_base"))
    assert (found.config.name, found.config.diffusion.prediction) == ("sd21_base", Prediction.EPS)

    state = load_file(files["sd21_base single"])
    told = tmp_path / "told.safetensors"
    save_file(state, told, metadata={"modelspec.prediction_type": "epsilon", "modelspec.license": "a licence"})
    found = open_source(told, Choices())
    assert (found.config.name, found.config.diffusion.prediction) == ("sd21_base", Prediction.EPS)
    assert found.licence == "a licence"
    assert not found.notes
    with pytest.raises(CheckpointError, match="says that it predicts eps, sd21 predicts v"):
        open_source(told, Choices(preset="sd21"))


def test_zero_terminal_snr_is_as_the_scheduler_says(models, files, tmp_path):
    source = sd.write_folder(models["sd21"], tmp_path / "zsnr", zsnr=True)
    diffusion = open_source(source, Choices()).config.diffusion
    assert (diffusion.schedule, diffusion.prior_gamma) == (ScheduleName.SD_ZSNR, 0.0)
    found = open_source(files["sd21 single"], Choices(schedule=ScheduleName.SD_ZSNR))
    assert found.config.diffusion.schedule is ScheduleName.SD_ZSNR
    with pytest.raises(CheckpointError, match="zero terminal SNR needs v-prediction"):
        open_source(files["sd15 folder"], Choices(schedule=ScheduleName.SD_ZSNR))


def test_the_text_encoder_may_come_from_elsewhere(models, files, out, tmp_path):
    state = {k: v for k, v in load_file(files["sd21 single"]).items() if k.startswith("model.")}
    alone = tmp_path / "unet.safetensors"
    save_file(state, alone)
    with pytest.raises(CheckpointError, match=r"no text encoder, which AppearNet's null prompt needs.*--text-encoder"):
        inflate(alone, out)
    bare = tmp_path / "clip.safetensors"
    save_file(models["sd21"].text.state_dict(), bare)
    folder = files["sd21 folder"]
    with torch.no_grad():
        wanted = models["sd21"].text(input_ids=models["sd21"].null_ids()).last_hidden_state
    for path in (folder, folder / "text_encoder", files["sd21 single"], bare):
        text = open_text(path)
        assert deviation(null_prompt(text), wanted) <= TOLERANCE
        assert (text.tokenizer is None) == (path.suffix == ".safetensors")
    made = inflate(alone, out, text_encoder=folder)
    assert max(found_and_wanted(models["sd21"], out)) <= TOLERANCE
    assert any("VAE" in note for note in made.notes)
    with pytest.raises(CheckpointError, match="768 wide, the model reads 1024"):
        inflate(alone, out, text_encoder=files["sd15 folder"])


def half(state: dict[str, torch.Tensor], name: str, rank: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Down and up of a LoRA for one layer."""
    generator = torch.Generator().manual_seed(seed)
    weight = state[name + ".weight"]
    down = torch.randn(rank, *weight.shape[1:], generator=generator)
    return down, torch.randn(weight.shape[0], rank, *(1,) * (weight.ndim - 2), generator=generator)


LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
CONV = "up_blocks.1.resnets.0.conv1"
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


def lora(model, path: Path, naming: str, alpha: float) -> dict[str, torch.Tensor]:
    """Write a LoRA of rank 4 in one of its namings; returns what it adds to each layer at strength 1."""
    state = model.unet.state_dict()
    state |= {"text_model." + k.removeprefix("text_model."): v for k, v in model.text.state_dict().items()}
    tensors, change, metadata = {}, {}, {}
    for i, layer in enumerate((LINEAR, CONV, TEXT)):
        down, up = half(state, layer, 4, seed=i)
        scale = alpha / 4
        part = "te" if layer is TEXT else "unet"
        if naming.startswith("kohya"):
            name = layer
            if naming == "kohya compvis" and part == "unet":
                name = unet_to_compvis(layer + ".weight", 1, model.config.attention_levels).removesuffix(".weight")
            name = f"lora_{part}_{name.replace('.', '_')}"
            tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            tensors[f"{name}.alpha"] = torch.tensor(alpha)
        elif naming == "peft":
            name = f"{'unet' if part == 'unet' else 'text_encoder'}.{layer}"
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
            settings = {"unet.r": 4, "unet.lora_alpha": alpha, "text_encoder.lora_alpha": alpha}
            metadata["lora_adapter_metadata"] = json.dumps(settings)
        elif layer is LINEAR:  # diffusers' oldest: attention processors, without a scale
            name = "unet." + layer.replace("to_out.0", "processor.to_out_lora")
            tensors |= {f"{name}.down.weight": down, f"{name}.up.weight": up}
            scale = 1.0
        else:
            continue
        change[layer] = scale * (up.flatten(1) @ down.flatten(1)).view(state[layer + ".weight"].shape)
    save_file(tensors, path, metadata=metadata)
    return change


@pytest.mark.parametrize(
    ("name", "naming"),
    [("sd21", "kohya"), ("sd21", "kohya compvis"), ("sd21", "oldest"), ("sd15", "kohya"), ("sd15", "peft")],
)
def test_a_lora_is_merged_in(models, files, out, tmp_path, name, naming):
    change = lora(models[name], tmp_path / "lora.safetensors", naming, alpha=2.0)
    addition = Addition.parse(f"{tmp_path / 'lora.safetensors'}:0.5")
    inflate(files[f"{name} folder"], out, loras=(addition, addition))
    found = read_checkpoint(out).sections
    own = models[name].unet.state_dict()
    for key, value in own.items():
        wanted = value + change[key.removesuffix(".weight")] if key.removesuffix(".weight") in change else value
        torch.testing.assert_close(found["unet"][key], wanted, rtol=1e-5, atol=1e-5)  # three float32 sums
        if key in found["appearnet"]:
            assert torch.equal(found["appearnet"][key], found["unet"][key])
    assert not torch.equal(found["unet"][LINEAR + ".weight"], own[LINEAR + ".weight"])
    text = models[name].text.state_dict()
    wanted = text.get(TEXT + ".weight", text.get(TEXT.removeprefix("text_model.") + ".weight"))
    wanted = wanted + change.get(TEXT, torch.zeros(()))
    torch.testing.assert_close(found["text_encoder"][TEXT + ".weight"], wanted, rtol=1e-5, atol=1e-5)


def test_a_finetunes_spatial_weights_are_merged_in(models, files, out):
    other = sd.build("sd21", seed=2)
    path = sd.write_single(other, out.parent.parent / "finetune.safetensors")
    inflate(files["sd21 folder"], out, finetune=Addition.parse(f"{path}:0.25"))
    found, own, theirs = (
        read_checkpoint(out).sections["unet"],
        models["sd21"].unet.state_dict(),
        other.unet.state_dict(),
    )
    for key, value in own.items():
        torch.testing.assert_close(found[key], 0.75 * value + 0.25 * theirs[key], rtol=1e-5, atol=1e-6)
    with pytest.raises(CheckpointError, match="of another kind than that of"):
        inflate(files["sd21 folder"], out, finetune=Addition(files["sd15 folder"]))


def test_strengths_are_read_off_the_end(tmp_path):
    named = tmp_path / "a:0.5"
    named.touch()
    assert Addition.parse(str(named)) == Addition(named)
    assert Addition.parse("C:\\lora.safetensors") == Addition(Path("C:\\lora.safetensors"))
    assert Addition.parse("x.safetensors:-1.5") == Addition(Path("x.safetensors"), -1.5)
    for text in ("x.safetensors:much", "x.safetensors:nan", "x.safetensors:99"):
        with pytest.raises(InputError, match="between -10 and 10"):
            Addition.parse(text)


@pytest.fixture
def full_size(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[object, Path, str]]:
    name, layout = request.param
    model = sd.build(name, full=True)
    source = tmp_path / name
    if layout == "folder":
        sd.write_folder(model, source, shard="1GB")
    else:
        source = sd.write_single(model, source.with_suffix(".safetensors"))
    yield model, source, layout
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "full_size", [(name, layout) for name in FAMILIES for layout in ("folder", "single")], indirect=True, ids="-".join
)
def test_full_size_equality_of_each_layout(full_size, tmp_path, record_property):
    """865 M parameters. Memory: 5 GB of the reference's three networks, 7 GB of ours; 12 GB of files."""
    model, source, layout = full_size
    out = tmp_path / "video.safetensors"
    inflate(source, out, choices=choices_of(model.name, layout))
    x, t, context, z_c = inputs(model.config.cross_attention_dim)
    wanted = per_frame(model, x, t, context)
    del model
    networks = load_networks(out, kind=Kind.VIDEO)
    with torch.no_grad():
        video = networks.unet(x, t, context, networks.appearnet(Guide(z_c)), torch.tensor([-0.5, 0.5]))
    found = deviation(video, wanted)
    record_property("max|diff| / max|out|", f"{found:.1e}")
    print(f"max|diff| / max|out| = {found:.2e}, max|out| = {wanted.abs().max():.2f}")
    assert found <= TOLERANCE
