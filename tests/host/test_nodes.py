"""The pack's nodes in the real ComfyUI, in this process: loading, encoding, noise prior, sampler, TSR."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, GAMMA, MOVES_LEFT, WEIGHTS, Kit, load, pictures

IDS = {"Load", "AppearNetEncode", "NoisePriorLatent", "NoisePriorNoise", "Sampler", "TSRInterpolate"} | {
    "Camera", "Region", "Layer", "Scene", "Plates", "Render", "Compose",
}  # fmt: skip
AUTO = {"gamma": "auto"}


@pytest.fixture(scope="module")
def toybox(pack: ModuleType, pack_nodes: dict[str, type]) -> Kit:
    return load(pack, pack_nodes, WEIGHTS / "toybox-image.safetensors")


def world(kit: Kit, count: int) -> torch.Tensor:
    """Keyframes of the procedural world, [count, 128, 128, 3]."""
    triples = kit.core("worlds.toybox.triples").read_triples("select")[:count]
    return torch.stack([torch.from_numpy(triple.keyframe(128).copy()) for triple in triples]) / 255


def test_every_node_says_what_it_and_its_sockets_are(pack_nodes: dict[str, type]) -> None:
    assert {name.removeprefix("MicroCinema") for name in pack_nodes} == IDS
    for node in pack_nodes.values():
        schema = node.GET_SCHEMA()
        assert schema.category == "MicroCinema"
        assert all((schema.description, schema.search_aliases)), schema.node_id
        for given in schema.inputs:
            assert given.tooltip, f"{schema.node_id}.{given.id}"
        node.GET_NODE_INFO_V1()


def test_a_run_through_all_nodes_imports_nothing_of_the_standalone_program(
    small: Kit, tsr: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where diffusers could be imported, which ComfyUI does not bring, and whatever other tests have imported."""
    (tmp_path / "diffusers.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    others = {f"{small.pack.__name__}.microcinema_core.{room}" for room in ("standalone", "media", "training")}
    for name in [name for name in sys.modules if name.startswith(tuple(others))]:
        monkeypatch.delitem(sys.modules, name)
    keyframe = pictures(1)
    small.run("Load", file="toybox-video.safetensors")
    prompts = small.encode(keyframe)
    small.run("NoisePriorNoise", model=small.model, vae=small.vae, keyframe=keyframe, seed=7, gamma=AUTO)
    small.ksampler(prompts, small.prior(keyframe), steps=1)
    interpolate(tsr, small.sampler(keyframe, prompts, steps=1), passes=1)
    assert not {"diffusers", "typer", "accelerate"} & set(sys.modules)
    assert not others & set(sys.modules)


def test_embedded_files_and_the_users_own_are_listed(small: Kit) -> None:
    import folder_paths

    own = Path(folder_paths.models_dir) / "microcinema"
    shutil.copy(small.path, own / "mine Ü.safetensors")
    (own / "notes.txt").write_text("not a model")
    folder_paths.filename_list_cache.clear()
    names = small.ours("folder").file_names()
    assert {"toybox-video.safetensors", "toybox-tsr.safetensors", "mine Ü.safetensors"} <= set(names)
    assert "notes.txt" not in names


def test_what_a_file_lacks_says_so_when_it_is_used(toybox: Kit) -> None:
    with pytest.raises(AttributeError, match="kind image without APPEARNET; take APPEARNET"):
        toybox.appearnet.encode(pictures(1))
    assert not hasattr(toybox.appearnet, "patcher")  # the host looks at outputs without using them


def test_a_file_without_its_companions_still_gives_its_model(small: Kit, tmp_path: Path) -> None:
    shutil.copy(small.path, tmp_path / "alone.safetensors")
    alone = load(small.pack, small.nodes, tmp_path / "alone.safetensors")
    with pytest.raises(AttributeError, match=r"needs toybox-autoencoder.safetensors beside it"):
        alone.vae.encode(pictures(1))
    with pytest.raises(AttributeError, match=r"needs toybox-text.safetensors beside it"):
        alone.clip.tokenize("")
    assert alone.model.model.latent_format.latent_rgb_factors is None


def test_other_checkpoints_are_refused(small: Kit, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"model.diffusion_model.x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(Exception, match="not MicroCinema's"):
        load(small.pack, small.nodes, tmp_path / "other.safetensors")


def test_tensors_that_do_not_fit_are_refused(small: Kit, tmp_path: Path) -> None:
    form = small.core("checkpoint.format")
    checkpoint = form.read_checkpoint(small.path)
    del checkpoint.sections["unet"]["conv_in.weight"]
    form.save_checkpoint_file(tmp_path / "less.safetensors", checkpoint)
    with pytest.raises(Exception, match="1 tensors missing"):
        load(small.pack, small.nodes, tmp_path / "less.safetensors")


def test_the_hosts_clip_equals_transformers(small: Kit) -> None:
    form, text = small.core("checkpoint.format"), small.core("standalone.text")
    checkpoint = form.read_checkpoint(WEIGHTS / "toybox-text.safetensors")
    config = checkpoint.header.config.text
    tokenizer = text.build_tokenizer(checkpoint.header.tokenizer, config)
    model = text.build_text_model(config, tokenizer).eval()
    form.load_strictly(model, text.from_host_keys(checkpoint.sections["text_encoder"], model), "text")
    encoder = text.TextEncoder(model, tokenizer, config)
    for prompt in ("", MOVES_LEFT, "Ein Stern über «Grün», 3 ★"):
        assert (small.text(prompt)[0][0] - encoder.encode([prompt])).abs().max() < 2e-6 * 10, prompt


def test_the_hosts_vae_and_the_preview_colours(toybox: Kit) -> None:
    import latent_preview

    frames = world(toybox, 4)
    form = toybox.model.model.latent_format
    with torch.inference_mode():
        latents = toybox.vae.encode(frames)
        error = (toybox.vae.decode(latents) - frames).square().mean()
        factors = form.latent_rgb_factors, form.latent_rgb_factors_bias
        previewer = latent_preview.Latent2RGBPreviewer(*factors)
        scaled = form.process_in(latents)
        shown = torch.stack([toybox_preview(previewer, scaled[i : i + 1]) for i in range(4)])
    assert error < 1e-3  # 30 dB
    small_pictures = torch.nn.functional.avg_pool2d(frames.movedim(-1, 1), 8).movedim(1, -1)
    # 0.05 is the best that a linear map does on these pictures, 0.13 their mean colour.
    assert (shown - small_pictures).abs().mean() < 0.08


def toybox_preview(previewer: Any, latent: torch.Tensor) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.asarray(previewer.decode_latent_to_preview(latent)).copy()) / 255


def test_two_pictures_come_from_the_image_stage(toybox: Kit) -> None:
    texts, empty = (
        ("A red star over the night sky", "A blue circle over a meadow"),
        {"samples": torch.zeros(2, 4, 4, 5)},
    )
    made, other = (toybox.ksampler((toybox.text(text), toybox.text("")), empty, steps=2) for text in texts)
    assert made.shape == (2, 4, 4, 5)
    assert made.isfinite().all()
    extreme = made.abs().max()
    assert (made[0] - made[1]).abs().max() > 1e-2 * extreme  # by their noise
    assert (made - other).abs().max() > 1e-2 * extreme  # by the prompt


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        ({"keyframe_at": "centre"}, [-1.0, 0.0, 1.0]),
        ({"keyframe_at": "first"}, [0.0, 1.0, 2.0]),
        ({"keyframe_at": "last"}, [-2.0, -1.0, 0.0]),
        ({"keyframe_at": "index", "index": 1}, [-1.0, 0.0, 1.0]),
    ],
)
def test_encode_places_the_keyframe(small: Kit, at: dict, seconds: list[float]) -> None:
    positive, negative = small.encode(pictures(1), keyframe_at=at, fps=2.0, motion=2.0)
    given = positive[0][1]["microcinema"]
    assert given.seconds == seconds
    assert given is negative[0][1]["microcinema"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keyframe": torch.zeros(0, 32, 32, 3)}, "at least 8x8"),
        ({"keyframe": torch.zeros(1, 0, 32, 3)}, "at least 8x8"),
        ({"keyframe": torch.full((1, 32, 32, 3), float("nan"))}, "NaN"),
        ({"keyframe_at": {"keyframe_at": "index", "index": 3}}, "from 0 to 2"),
        ({"start_percent": 0.8, "end_percent": 0.2}, "beyond end_percent"),
    ],
)
def test_encode_refuses(small: Kit, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        small.encode(pictures(1), **change)


def test_encode_refuses_the_appearnet_of_tsr(small: Kit, tsr: Kit) -> None:
    with pytest.raises(Exception, match="connect it to TSR Interpolate"):
        small.encode(pictures(1), appearnet=tsr.appearnet)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde"])
def test_ksampler_with_the_priors_latent_equals_the_sampler_node(small: Kit, sampler: str) -> None:
    keyframes = pictures(2)
    prompts = small.encode(keyframes)
    stock = small.ksampler(prompts, small.prior(keyframes), sampler)
    assert torch.equal(small.sampler(keyframes, prompts, sampler_name=sampler), stock)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_sde", "uni_pc", "dpm_fast"])
def test_exact_keyframe(small: Kit, sampler: str) -> None:
    keyframes = pictures(2)
    made = small.sampler(keyframes, small.encode(keyframes), sampler_name=sampler, exact_keyframe=True)
    with torch.inference_mode():
        expected = small.vae.encode(keyframes)
    assert (made.unflatten(0, (2, FRAMES))[:, 1] - expected).abs().max() <= 1e-5
    assert made.isfinite().all()
    plain = small.sampler(keyframes, small.encode(keyframes), sampler_name=sampler, exact_keyframe=False)
    assert (plain.unflatten(0, (2, FRAMES))[:, 1] - expected).abs().max() > 1e-2


def test_the_sampler_refuses_what_it_cannot_use(small: Kit, toybox: Kit) -> None:
    prompts = small.encode(pictures(1))
    with pytest.raises(Exception, match="connect both outputs of AppearNet Encode"):
        small.sampler(pictures(1), (small.text(""), small.text("")))
    with pytest.raises(Exception, match="2 keyframes are given and AppearNet Encode was given 1"):
        small.sampler(pictures(2), prompts)
    with pytest.raises(Exception, match="no MicroCinema video model"):
        small.sampler(pictures(1), prompts, model=toybox.model)


def test_the_preview_shows_all_frames(small: Kit) -> None:
    frames = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 2, 2)
    sheet = small.ours("sample").sheet(frames)
    assert sheet[0, 0, ::2, ::2].tolist() == [[0, 1], [2, 3], [4, 0]]


def test_noise_and_latent_routes_agree(small: Kit) -> None:
    """To rounding: sqrt(1 + sigma^2) (n + gamma z) in one and sqrt(1 + sigma^2) n + ... in the other."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

    keyframes = pictures(2)
    prompts, latent = small.encode(keyframes), small.prior(keyframes)
    noise = small.run(
        "NoisePriorNoise", model=small.model, vae=small.vae, keyframe=keyframes, seed=7, gamma=GAMMA
    )[0]  # fmt: skip
    guider = comfy.samplers.CFGGuider(small.model)
    guider.set_conds(*prompts)
    guider.set_cfg(2.0)
    sigmas = comfy.samplers.calculate_sigmas(small.model.get_model_object("model_sampling"), "sgm_uniform", 3)
    empty = {"samples": torch.zeros_like(latent["samples"]), "batch_index": latent["batch_index"]}
    with torch.inference_mode():
        euler = comfy.samplers.sampler_object("euler")
        made = SamplerCustomAdvanced.execute(noise, guider, euler, sigmas, empty).result[0]["samples"]
    stock = small.ksampler(prompts, latent)
    assert (made - stock).abs().max() < 1e-4 * stock.abs().max()


def test_noise_spares_what_a_mask_holds_and_takes_videos_latents(small: Kit) -> None:
    import comfy.sample

    prior = small.ours("prior")
    z_c = torch.ones(1, 4, 4, 5)
    mask = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 5)
    latent = {"samples": torch.zeros(3, 4, 4, 5), "noise_mask": mask}
    added = prior.PriorNoise(3, 0.5, z_c).generate_noise(latent) - comfy.sample.prepare_noise(latent["samples"], 3)
    assert torch.allclose(added.amax((1, 2, 3)), torch.tensor([0.5, 0.0, 0.5]), atol=1e-6)
    video = {"samples": torch.zeros(1, 4, 6, 4, 5)}
    added = prior.PriorNoise(3, 0.5, z_c[:, :, None]).generate_noise(video)
    added -= comfy.sample.prepare_noise(video["samples"], 3)
    assert torch.allclose(added, torch.full_like(added, 0.5), atol=1e-6)
    with pytest.raises(Exception, match="do not fit"):
        prior.PriorNoise(3, 0.5, z_c).generate_noise({"samples": torch.zeros(3, 4, 5, 5)})


class Sampled:
    """A host's MODEL reduced to what the noise prior asks of it."""

    def __init__(self, *parts: type, **settings: Any) -> None:
        config = type("Config", (), {"sampling_settings": settings})
        self.sampling = type("Sampling", parts, {})(config)
        self.model = None

    def get_model_object(self, name: str) -> Any:
        return self.sampling


def test_gamma_auto(small: Kit) -> None:
    import comfy.model_sampling as ms

    gamma = small.ours("prior").gamma_of
    assert gamma(small.model, AUTO) == 0  # a zero-terminal-SNR schedule
    assert gamma(small.model, GAMMA) == 0.02
    assert gamma(Sampled(ms.ModelSamplingDiscrete, ms.EPS), AUTO) == 0.02
    assert gamma(Sampled(ms.ModelSamplingDiscrete, ms.V_PREDICTION, zsnr=True), AUTO) == 0
    assert gamma(Sampled(ms.ModelSamplingDiscreteFlow, ms.CONST), AUTO) == 0


LATENTS = torch.randn(2 * FRAMES, 4, 4, 5, generator=torch.Generator().manual_seed(3))


def interpolate(kit: Kit, latents: torch.Tensor = LATENTS, **changed: Any) -> tuple[torch.Tensor, float]:
    given = {
        "model": kit.model, "appearnet": kit.appearnet, "latent": {"samples": latents}, "frames_per_clip": FRAMES,
        "fps": 2.0, "passes": 2, "steps": 2, "seed": 5, "batch": 8,
    }  # fmt: skip
    latent, fps = kit.run("TSRInterpolate", **(given | changed))
    return latent["samples"], fps


def test_tsr_keeps_the_given_frames_and_clips_apart(tsr: Kit) -> None:
    made, fps = interpolate(tsr)
    clips = made.unflatten(0, (2, -1))
    assert clips.shape[1] == 33
    assert fps == 32
    assert torch.equal(clips[:, ::16].flatten(0, 1), LATENTS)
    assert torch.equal(interpolate(tsr, LATENTS[FRAMES:])[0], clips[1])
    assert (interpolate(tsr, batch=3)[0] - made).abs().max() < 1e-5 * made.abs().max()
    assert interpolate(tsr, passes=1)[1] == 8


def test_tsr_equals_the_standalone_program(tsr: Kit) -> None:
    cascade, sampled = tsr.core("shot.cascade"), tsr.core("standalone.sampling")
    networks = tsr.core("checkpoint.load").load_networks(tsr.path)
    sampling = replace(tsr.core("shot.settings").TSR_SAMPLING, steps=2)
    form, prompt = tsr.model.model.latent_format, tsr.text(MOVES_LEFT)

    def segments(ends: torch.Tensor, level: int, indices: range) -> torch.Tensor:
        noise = [sampled.NoiseStream.segment(5, level, index) for index in indices]
        pair, text = (networks.unet, networks.appearnet), sampled.Text(prompt[0][0], prompt[0][0])
        return sampled.sample_segments(pair, networks.header.config, ends, level, 2.0, text, noise, sampling)

    with torch.inference_mode():
        given = form.process_in(LATENTS[:FRAMES]).unbind(0)
        expected = form.process_out(torch.stack(list(cascade.cascade(given, segments, 2, 8))))
    made, _ = interpolate(tsr, LATENTS[:FRAMES], conditioning=prompt)
    assert (made - expected).abs().max() < 1e-5 * expected.abs().max()


def test_tsr_reads_the_text_of_a_prompt_and_not_its_area(tsr: Kit) -> None:
    prompt, latents = tsr.text(MOVES_LEFT), LATENTS[:FRAMES]
    area = [[prompt[0][0], {"area": (2, 2, 0, 0), "strength": 1.0}]]
    made, limited, without = (
        interpolate(tsr, latents, passes=1, conditioning=given)[0] for given in (prompt, area, None)
    )
    assert torch.equal(made, limited)
    assert (made - without).abs().max() > 1e-3 * made.abs().max()


def test_tsr_stops_between_segments_when_cancelled(tsr: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    import comfy.utils

    def cancel(done: int, total: int, preview: Any, node_id: Any = None) -> None:
        comfy.model_management.interrupt_current_processing(True)

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", cancel)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        interpolate(tsr, batch=1)
    monkeypatch.undo()
    assert interpolate(tsr, passes=1)[0].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames_per_clip": 4}, "no whole number of clips of 4"),
        ({"latents": torch.full_like(LATENTS, float("nan"))}, "NaN"),
        ({"latents": torch.zeros(6, 16, 4, 5)}, "4 channels"),
    ],
)
def test_tsr_refuses(tsr: Kit, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        interpolate(tsr, **change)


def test_tsr_refuses_models_of_other_kinds(tsr: Kit, small: Kit) -> None:
    with pytest.raises(Exception, match="of different files"):
        interpolate(tsr, model=small.model)
    with pytest.raises(Exception, match="of kind video; load a temporal super-resolution file"):
        interpolate(tsr, appearnet=small.appearnet)
    prompts = tsr.text(""), tsr.text("")
    with pytest.raises(Exception, match="use it with TSR Interpolate"):
        tsr.ksampler(prompts, {"samples": LATENTS})
