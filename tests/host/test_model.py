"""The native MODEL in the real ComfyUI, in this process: stock samplers, several clips, windows, LoRA, saving."""

import gc
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, WEIGHTS, Kit, load, pictures, standalone, write_small


@pytest.fixture(scope="module")
def keyframes() -> torch.Tensor:
    return pictures(2)


@pytest.fixture(scope="module")
def one(small: Kit, keyframes: torch.Tensor) -> tuple:
    """Prompts and LATENT of one clip."""
    return small.encode(keyframes[:1]), small.prior(keyframes[:1])


@pytest.fixture(scope="module")
def clip(small: Kit, one: tuple) -> torch.Tensor:
    return small.ksampler(*one)


def test_the_host_makes_room_for_the_features_too(small: Kit, one: tuple) -> None:
    """Once, though both prompts carry them; the activations grow with the network's width."""
    import comfy.sampler_helpers as helpers

    (positive, negative), latent = one
    conds = {"positive": helpers.convert_cond(positive), "negative": helpers.convert_cond(negative)}
    shape = latent["samples"].shape
    given, none = helpers.estimate_memory(small.model, shape, conds), helpers.estimate_memory(small.model, shape, {})
    appearance = positive[0][1]["microcinema"].appearance
    features = sum(tensor.nbytes for tensor in (*appearance.add.values(), *appearance.spade.values()))
    assert features > 0
    assert [a - b for a, b in zip(given, none, strict=True)] == pytest.approx([features, features])
    narrow, usual = small.model.model.memory_usage_factor, small.ours("model").HostConfig.memory_usage_factor
    assert narrow == pytest.approx(usual * small.appearnet.unet.block_out_channels[0] / 320)


def test_both_prompts_share_one_copy_of_the_features_which_ends_with_the_run(
    small: Kit, keyframes: torch.Tensor
) -> None:
    prompts, latent = small.encode(keyframes[:1]), small.prior(keyframes[:1])
    encoded, sampling = prompts[0][0][1]["microcinema"], small.model.get_model_object("model_sampling")

    def placed(dtype: torch.dtype) -> Any:
        return small.ours("conditions").Placed.of(encoded, torch.device("cpu"), dtype, sampling)

    half = placed(torch.float16)
    assert placed(torch.float16) is half
    assert placed(torch.float32) is not half
    del half
    small.ksampler(prompts, latent, steps=1)
    gc.collect()
    assert not encoded.placed


@pytest.mark.parametrize("cfg", [1.0, 2.0])
@pytest.mark.parametrize("count", [1, 2])
def test_ksampler_equals_the_standalone_pipeline(small: Kit, keyframes: torch.Tensor, count: int, cfg: float) -> None:
    latent, prompts = small.prior(keyframes[:count]), small.encode(keyframes[:count])
    ours = small.ksampler(prompts, latent, cfg=cfg)
    theirs = standalone(small, keyframes[:count], prompts, latent, 3, cfg)()
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_two_keyframes_in_one_batch_equal_their_single_runs(
    small: Kit, keyframes: torch.Tensor, clip: torch.Tensor
) -> None:
    both = small.ksampler(small.encode(keyframes), small.prior(keyframes)).unflatten(0, (2, FRAMES))
    second = small.ksampler(small.encode(keyframes[1:]), small.prior(keyframes[1:]))
    scale = both.abs().max()
    assert (both[0] - clip).abs().max() < 1e-5 * scale
    assert (both[1] - second).abs().max() < 1e-5 * scale
    assert (clip - second).abs().max() > 1e-2 * scale  # tiled keyframes would not have passed


def test_each_clip_may_have_its_own_prompt(small: Kit, keyframes: torch.Tensor) -> None:
    texts = ("A red star moves left slowly", "A blue circle grows fast")
    together = [[torch.cat([small.text(text)[0][0] for text in texts]), {}]]
    both = small.ksampler(small.encode(keyframes, positive=together), small.prior(keyframes))
    for number, text in enumerate(texts):
        own = keyframes[number : number + 1]
        single = small.ksampler(small.encode(own, text), small.prior(own))
        # Products of another shape sum in another order, at every step anew.
        assert (both.unflatten(0, (2, FRAMES))[number] - single).abs().max() < 3e-5 * both.abs().max()
    other = small.ksampler(small.encode(own, texts[0]), small.prior(own))
    assert (other - single).abs().max() > 1e-2 * single.abs().max()  # swapped prompts would not have passed


def test_appearance_is_gated_and_scaled(small: Kit, keyframes: torch.Tensor, one: tuple, clip: torch.Tensor) -> None:
    def sampled(**changed: float) -> torch.Tensor:
        return small.ksampler(small.encode(keyframes[:1], **changed), one[1])

    without = sampled(strength=0.0)
    assert torch.equal(sampled(start_percent=1.0), without)
    half = sampled(end_percent=0.5)
    for other in (without, clip):
        assert (half - other).abs().max() > 1e-3


SAMPLERS = (
    "euler", "heun", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive", "dpmpp_sde", "dpmpp_2m", "dpmpp_3m_sde",
    "ddpm", "lcm", "uni_pc", "ddim",
)  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_are_finite(small: Kit, one: tuple, sampler: str) -> None:
    assert small.ksampler(*one, sampler=sampler, steps=4).isfinite().all()


@pytest.mark.slow
def test_every_sampler_and_scheduler_is_finite(small: Kit, one: tuple) -> None:
    """All pairs at 4 steps, without exception."""
    import comfy.samplers

    assert len(comfy.samplers.SAMPLER_NAMES) * len(comfy.samplers.SCHEDULER_NAMES) > 300
    bad = [
        (sampler, scheduler)
        for sampler in comfy.samplers.SAMPLER_NAMES
        for scheduler in comfy.samplers.SCHEDULER_NAMES
        if not small.ksampler(*one, sampler=sampler, scheduler=scheduler, steps=4).isfinite().all()
    ]
    assert not bad


def windowed(model: Any, length: int | None = None) -> Any:
    """With the host's context windows at their defaults, which put an anchor frame into each window but the first."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode as Windows

    given = {socket.id: socket.default for socket in Windows.define_schema().inputs if hasattr(socket, "default")}
    assert given["causal_window_fix"]
    assert given["dim"] == 0
    given["cond_retain_index_list"] = given["latent_retain_index_list"] = []  # as the host reads the empty text
    if length is not None:
        given |= {"context_length": length, "context_overlap": 2}
    return Windows.execute(model, **given).result[0]


def test_context_windows_at_the_hosts_defaults(small: Kit, keyframes: torch.Tensor) -> None:
    """33 frames in windows of 16 that overlap by 4; the anchor makes 17 of the second and the third."""
    seen = []

    def watched(apply: Any, args: dict) -> torch.Tensor:
        conds = args["c"]
        seen.append((conds["num_video_frames"], args["input"].shape[0] // len(args["cond_or_uncond"])))
        return apply(args["input"], args["timestep"], **conds)

    prompts, latent = small.encode(keyframes[:1], frames=33), small.prior(keyframes[:1], 33)
    model = windowed(small.model)
    model.set_model_unet_function_wrapper(watched)
    made = small.ksampler(prompts, latent, model=model, steps=2)
    assert made.shape[0] == 33
    assert made.isfinite().all()
    assert {frames for frames, _ in seen} == {16, 17}
    assert all(frames == rows for frames, rows in seen)


def test_context_windows_over_two_clips_are_refused(small: Kit, keyframes: torch.Tensor) -> None:
    prompts, latent = small.encode(keyframes, frames=7), small.prior(keyframes, 7)
    with pytest.raises(Exception, match="context windows need a single clip"):
        small.ksampler(prompts, latent, model=windowed(small.model, 6), steps=1)


def lora_file() -> dict[str, torch.Tensor]:
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    torch.manual_seed(2)
    return {
        f"{name}.lora_up.weight": torch.randn(48, 4),
        f"{name}.lora_down.weight": torch.randn(4, 48),
        f"{name}.alpha": torch.tensor(4.0),
    }


def test_a_lora_with_kohya_keys_patches_the_layer_it_names(small: Kit, one: tuple, clip: torch.Tensor) -> None:
    import comfy.sd

    patched, _ = comfy.sd.load_lora_for_models(small.model, None, lora_file(), 1.0, 0.0)
    neutral, _ = comfy.sd.load_lora_for_models(small.model, None, lora_file(), 0.0, 0.0)
    layer = "diffusion_model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    assert list(patched.patches) == [layer]
    assert (small.ksampler(*one, model=patched) - clip).abs().max() > 1e-3
    assert torch.equal(small.ksampler(*one, model=neutral), clip)


def test_what_the_host_saves_loads_again_with_the_same_output(
    small: Kit, one: tuple, clip: torch.Tensor, tmp_path: Path
) -> None:
    import comfy.sd

    patched, _ = comfy.sd.load_lora_for_models(small.model, None, lora_file(), 1.0, 0.0)
    for name, model in (("plain", small.model), ("baked", patched)):
        comfy.sd.save_checkpoint(str(tmp_path / f"{name}.safetensors"), model)
        again = load(small.pack, small.nodes, tmp_path / f"{name}.safetensors")
        expected = small.ksampler(*one, model=model)
        assert (small.ksampler(*one, model=again.model) - expected).abs().max() < 1e-6 * expected.abs().max()
        with pytest.raises(AttributeError, match="without APPEARNET"):
            again.appearnet.encode(None)


def test_a_controlnet_of_the_same_base_changes_the_clip(small: Kit, tmp_path: Path) -> None:
    """cldm's ControlNet with random weights on a U-Net of that layout; at strength 0 it changes nothing."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    sizes = {"block_out_channels": (32, 64), "attention_heads": (2, 4), "layers_per_block": 2}
    kit = load(small.pack, small.nodes, write_small(small.pack, tmp_path, **sizes))
    torch.manual_seed(3)
    net = comfy.cldm.cldm.ControlNet(
        image_size=32, in_channels=4, model_channels=32, hint_channels=3, num_res_blocks=[2, 2], channel_mult=(1, 2),
        transformer_depth=[0, 0, 1, 1], transformer_depth_middle=1, num_heads=2, context_dim=96,
        use_spatial_transformer=True, operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu",
    )  # fmt: skip
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    keyframe = pictures(1)
    (positive, negative), latent = kit.encode(keyframe), kit.prior(keyframe)

    def sampled(strength: float | None) -> torch.Tensor:
        both = (positive, negative)
        if strength is not None:
            control = comfy.controlnet.ControlNet(net.requires_grad_(False).eval(), load_device=torch.device("cpu"))
            control.set_cond_hint(keyframe.movedim(-1, 1), strength, (0.0, 1.0))
            given = {"control": control, "control_apply_to_uncond": True}
            both = tuple([[text, extra | given] for text, extra in prompt] for prompt in both)
        return kit.ksampler(both, latent, steps=2)

    plain = sampled(None)
    assert torch.equal(sampled(0.0), plain)
    assert (sampled(1.0) - plain).abs().max() > 1e-3


def offloaded(model: Any) -> tuple[int, int]:
    """Of the layers that have weights: how many the host moves to the device for each call, and how many there are."""
    own = [m for m in model.model.diffusion_model.modules() if list(m.parameters(recurse=False))]
    return sum(hasattr(layer, "prev_comfy_cast_weights") for layer in own), len(own)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_low_vram(small: Kit, one: tuple, clip: torch.Tensor, share: float) -> None:
    """Weights brought layer by layer give the same clip, also where a part of them is resident."""
    from comfy.patcher_extension import CallbacksMP

    model, counted = load(small.pack, small.nodes, small.path).model, []  # one that is not loaded yet

    def little(patcher: Any, device: Any, memory: float, force: bool, full: bool) -> None:
        if full:  # which is what the host does on a CPU whatever memory there is
            patcher.load(device, lowvram_model_memory=1 + share * patcher.model_size())

    def counting(apply: Any, args: dict) -> torch.Tensor:
        counted.append(offloaded(model))
        return apply(args["input"], args["timestep"], **args["c"])

    model.add_callback(CallbacksMP.ON_LOAD, little)
    model.set_model_unet_function_wrapper(counting)
    assert torch.equal(small.ksampler(*one, model=model), clip)
    moved, layers = counted[0]
    assert set(counted) == {(moved, layers)}
    assert layers > 50
    assert moved == layers if share == 0 else 0 < moved < layers


def test_half_precision_and_eviction(small: Kit, one: tuple, clip: torch.Tensor) -> None:
    """Weights cast layer by layer give nearly the same clip; nothing stays loaded afterwards."""
    import comfy.model_management

    again = load(small.pack, small.nodes, small.path)
    again.model.model.diffusion_model.to(torch.bfloat16)
    again.model.model.manual_cast_dtype = torch.float32
    for module in again.model.model.diffusion_model.modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True
    made = small.ksampler(*one, model=again.model)
    assert made.isfinite().all()
    assert (made - clip).abs().max() < 0.2 * clip.abs().max()  # bfloat16 keeps 8 bits of each weight
    comfy.model_management.unload_all_models()
    assert not comfy.model_management.current_loaded_models


def test_the_factory_makes_the_same_model(small: Kit, one: tuple, clip: torch.Tensor) -> None:
    factory, arguments = small.model.cached_patcher_init
    with torch.inference_mode():
        assert torch.equal(small.ksampler(*one, model=factory(*arguments, disable_dynamic=True)), clip)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negative": None}, "negative conditioning did not pass through AppearNet Encode"),
        ({"positive": None}, "positive conditioning did not pass through AppearNet Encode"),
        ({"area": (2, 2, 0, 0)}, "limited to an area"),
        (
            {"latent": torch.zeros(3, 4, 5, 5)},
            r"is of 40x32 pixels \(.*multiple of 8 is left out\), the latents are of 40x40",
        ),
        ({"latent": torch.zeros(5, 4, 4, 5)}, "asked for 1 x 3 frames, the latents hold 5"),
        ({"latent": torch.ones(3, 16, 4, 5)}, "16, 4, 5] are not this model's"),
        ({"latent": torch.full((3, 4, 4, 5), float("nan"))}, "NaN"),
    ],
)
def test_bad_input_gets_one_clear_message(small: Kit, one: tuple, change: dict[str, Any], message: str) -> None:
    (positive, negative), latent = one
    if "area" in change:
        positive = [[text, extra | {"area": change["area"], "strength": 1.0}] for text, extra in positive]
    prompts = tuple(
        small.text("") if name in change else prompt
        for name, prompt in (("positive", positive), ("negative", negative))
    )
    given = {"samples": change["latent"]} if "latent" in change else latent
    with pytest.raises(Exception, match=message.replace("[", r"\[").replace("]", r"\]")):
        small.ksampler(prompts, given)


def test_toybox_moves_as_the_prompt_says(pack: ModuleType, pack_nodes: dict[str, type]) -> None:
    """The stock KSampler with the embedded model, at its defaults, read by the tracker that never sees the prompt."""
    kit = load(pack, pack_nodes, WEIGHTS / "toybox-video.safetensors")
    triple = kit.core("worlds.toybox.triples").read_triples("select")[0]
    keyframe = torch.from_numpy(triple.keyframe(128).copy())[None] / 255
    prompts = kit.encode(keyframe, triple.prompt, frames=9)
    made = kit.ksampler(prompts, kit.prior(keyframe, 9), "dpmpp_2m", steps=12)
    with torch.inference_mode():
        frames = kit.vae.decode(made)
    reading = kit.core("worlds.toybox.tracker").read_clip((frames * 255).round().byte().numpy(), fps=2.0)
    scene = triple.scene
    assert (reading.motion, reading.speed, reading.shape, reading.colour) == (
        scene.motion,
        scene.speed,
        scene.shape,
        scene.colour,
    )
