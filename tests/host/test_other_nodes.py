"""The host's own nodes that change a MODEL, tried on ours at Toybox's size: what the tables of docs/comfyui.md say."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import WEIGHTS, apart, load
from other_nodes import (
    ACTS,
    CASES,
    FRAMES,
    NIGHT,
    NOTHING,
    PROMPT,
    REFUSED,
    SIDE,
    STEPS,
    Case,
    HostNodes,
    Toy,
    default_of,
    drawn_keyframe,
    make_toy,
    roughness,
)  # fmt: skip
from safetensors.torch import save_file

# Of the largest latent. What a node's default changes least is 2e-3 (Positive-Biased Guidance); rounding is 1e-6.
ACTING, SAME = 1e-3, 1e-5
NOISY = 1.1  # times as rough as the clip without the node


@pytest.fixture(scope="module")
def toy(pack: ModuleType, pack_nodes: dict[str, type], host_nodes: HostNodes) -> Toy:
    return make_toy(load(pack, pack_nodes, WEIGHTS / "toybox-video.safetensors"), host_nodes)


@pytest.fixture(scope="module")
def clips(toy: Toy) -> dict[int, torch.Tensor]:
    """The clip without other nodes, by its number of steps."""
    return {steps: toy.sampled(steps=steps) for steps in {case.steps for case in CASES}}


@pytest.mark.parametrize("case", ACTS, ids=str)
def test_nodes_that_act(toy: Toy, clips: dict[int, torch.Tensor], case: Case) -> None:
    made, plain = toy.changed(case), clips[case.steps]
    share, off = roughness(toy.pixels(made)) / roughness(toy.pixels(plain)), apart(made, plain)
    print(f"{case}: off by {off:.4f}, {share:.2f} times as rough")
    assert ACTING < off < 0.5
    assert 1 / NOISY < share < NOISY


@pytest.mark.parametrize("case", NOTHING, ids=str)
def test_nodes_that_do_nothing(toy: Toy, clips: dict[int, torch.Tensor], case: Case) -> None:
    assert apart(toy.changed(case), clips[case.steps]) < SAME


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_nodes_that_are_refused(toy: Toy, case: Case) -> None:
    with pytest.raises(Exception, match=case.says):
        toy.changed(case)


@pytest.mark.parametrize(("guider", "third"), [("Perp-Neg Guider", "empty_conditioning"), ("Dual CFG Guider", "cond2")])
def test_a_third_conditioning_acts_once_it_is_encoded(
    toy: Toy, clips: dict[int, torch.Tensor], guider: str, third: str
) -> None:
    """By a second AppearNet Encode; one that bypasses it is refused."""
    positive, negative = toy.prompts
    first = "positive" if third == "empty_conditioning" else "cond1"
    weights = {"cfg": 2.0} if third == "empty_conditioning" else {"cfg_conds": 2.0, "cfg_cond2_negative": 3.0}

    def made(conditioning: Any) -> torch.Tensor:
        given = {"model": toy.kit.model, first: positive, "negative": negative, third: conditioning, **weights}
        return toy.by_guider(toy.call(guider, **given)[0])

    text = "A blue circle grows fast"
    other = toy.kit.encode(drawn_keyframe(), text, frames=FRAMES)[0]
    assert ACTING < apart(made(other), clips[STEPS]) < 1
    with pytest.raises(Exception, match=rf"did not pass through AppearNet Encode.*{third}.*second AppearNet Encode"):
        made(toy.kit.text(text))


def test_the_older_perp_neg(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    other = toy.kit.encode(drawn_keyframe(), "A blue circle grows fast", frames=FRAMES)[0]
    model = toy.call("PerpNeg", model=toy.kit.model, empty_conditioning=other)[0]
    assert ACTING < apart(toy.sampled(model), clips[STEPS]) < 1


def test_differential_diffusion_acts_on_a_mask(toy: Toy) -> None:
    masked = toy.latent | {"noise_mask": torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE)}
    model = toy.call("Differential Diffusion", model=toy.kit.model)[0]
    assert apart(toy.sampled(model, latent=masked), toy.sampled(latent=masked)) > ACTING


def test_a_mask_weighs_a_prompt_where_it_is(toy: Toy) -> None:
    """One prompt for the whole picture and another for its left half: that half is further from the first's clip."""
    positive, negative = toy.prompts
    left = torch.zeros(1, SIDE, SIDE)
    left[..., : SIDE // 2] = 1
    other = toy.kit.encode(drawn_keyframe(), "A red star over a meadow", frames=FRAMES)[0]
    given = {"conditioning": other, "mask": left, "strength": 1.0, "set_cond_area": "default"}
    masked = toy.call("ConditioningSetMask", **given)[0]
    (both,) = toy.call("ConditioningCombine", conditioning_1=positive, conditioning_2=masked)
    off = (toy.kit.ksampler((both, negative), toy.latent) - toy.kit.ksampler(toy.prompts, toy.latent)).abs()
    halves = [float(half.mean()) for half in off.chunk(2, dim=-1)]
    print(halves)
    assert halves[0] > 1.5 * halves[1]
    assert off.max() > 1e-2


def test_an_operation_on_latents_acts(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    operation = toy.call("LatentOperationTonemapReinhard")[0]
    model = toy.call("LatentApplyOperationCFG", model=toy.kit.model, operation=operation)[0]
    assert ACTING < apart(toy.sampled(model), clips[STEPS]) < 0.5


def lora(toy: Toy) -> dict[str, torch.Tensor]:
    """For every query of a spatial self-attention, in kohya's format."""
    torch.manual_seed(4)
    file = {}
    for name, weight in toy.kit.model.model.diffusion_model.state_dict().items():
        if name.endswith("attn1.to_q.weight"):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            file[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], 4)
            file[f"{key}.lora_down.weight"] = torch.randn(4, weight.shape[1])
            file[f"{key}.alpha"] = torch.tensor(1.0)
    return file


def stored(folder: str, name: str) -> Path:
    """Where a loader of the host finds a file of that name."""
    import folder_paths

    path = Path(folder_paths.get_folder_paths(folder)[0]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_a_lora_that_is_bypassed_acts_as_one_that_is_merged(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    file, model = lora(toy), toy.kit.model
    save_file(file, stored("loras", "bypass.safetensors"))
    given = {"lora_name": "bypass.safetensors", "strength_model": 1.0}
    merged = toy.sampled(toy.call("Load LoRA", model=model, **given)[0])
    bypassed = toy.sampled(toy.call("Load LoRA (Bypass, Model Only) (for debugging)", model=model, **given)[0])
    trained = toy.sampled(toy.call("Load LoRA Model", model=model, lora=file, strength_model=1.0)[0])
    assert apart(merged, clips[STEPS]) > ACTING
    assert apart(bypassed, merged) < 1e-4  # float32, summed in another order
    assert torch.equal(trained, merged)


def test_a_hypernetwork_is_refused(toy: Toy) -> None:
    layer = {"linear.0.weight": torch.eye(64), "linear.0.bias": torch.zeros(64)}
    torch.save({"activation_func": "linear", 64: [layer, layer]}, stored("hypernetworks", "one.pt"))
    model = toy.call("Load Hypernetwork", model=toy.kit.model, hypernetwork_name="one.pt")[0]
    with pytest.raises(Exception, match="acts inside the blocks"):
        toy.sampled(model)


def test_epsilon_scaling_leaves_noise_where_the_first_step_is_far_off(toy: Toy) -> None:
    """It adds half a percent of a noise level of 500, and in between are none that would take it away."""
    model = toy.call("Epsilon Scaling", model=toy.kit.model)[0]
    shares = {}
    for scheduler in ("sgm_uniform", "karras"):
        both = [toy.pixels(toy.sampled(given, 8, scheduler)) for given in (model, None)]
        shares[scheduler] = roughness(both[0]) / roughness(both[1])
    print(shares)
    assert shares["sgm_uniform"] > 1.05
    assert shares["karras"] < 1.02


def test_noise_levels_of_another_model_are_refused(toy: Toy) -> None:
    sigmas = toy.call("SDTurboScheduler", model=toy.kit.model, steps=4)[0]
    with pytest.raises(Exception, match=r"this model's go from 0 to 500; take the sigmas from BasicScheduler"):
        toy.by_guider(sigmas=sigmas)


SCHEDULERS = ("LTXVScheduler", "Flux2Scheduler", "OptimalStepsScheduler", "Ideogram 4 Scheduler")


@pytest.mark.parametrize("title", SCHEDULERS)
def test_schedules_of_flow_models_leave_the_background_grey(
    toy: Toy, clips: dict[int, torch.Tensor], title: str
) -> None:
    """They begin at noise level 1, where the noise covers little of the grey that empty latents are."""
    sigmas = toy.call(title, steps=8)[0]
    assert float(sigmas.max()) <= 1
    corner = [toy.pixels(made)[:, :16, :16].mean((0, 1, 2)) for made in (toy.by_guider(sigmas=sigmas), clips[STEPS])]
    assert (corner[1] - torch.tensor(NIGHT) / 255).abs().max() < 0.05
    assert (corner[0] - torch.tensor(NIGHT) / 255).abs().max() > 0.15


def test_trim_takes_rows_of_the_picture_for_frames(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    """Two of 16 rows of latents go, and no frame; Get Latent From Batch takes frames."""
    clip = {"samples": clips[STEPS]}
    trimmed = toy.call("Trim Video Latent", samples=clip, trim_amount=2)[0]["samples"]
    assert toy.pixels(trimmed).shape == (FRAMES, SIDE - 16, SIDE, 3)
    last = toy.call("Get Latent From Batch", samples=clip, batch_index=2, length=FRAMES - 2)[0]["samples"]
    assert torch.equal(last, clips[STEPS][2:])


def test_replace_takes_rows_of_the_picture_for_frames(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    """One source frame as tall as the clip covers all frames of it, and with another index nothing happens."""
    clip = {"samples": clips[STEPS]}
    source = {"samples": torch.zeros_like(clip["samples"][:1])}
    given = {"destination": clip, "source": source}
    assert not toy.call("Replace Video Latent Frames", index=0, **given)[0]["samples"].any()
    assert torch.equal(toy.call("Replace Video Latent Frames", index=1, **given)[0]["samples"], clip["samples"])


def test_normalize_fails(toy: Toy, clips: dict[int, torch.Tensor]) -> None:
    with pytest.raises(IndexError, match="Dimension out of range"):
        toy.call("NormalizeVideoLatentStart", latent={"samples": clips[STEPS]})


def test_the_sampler_of_another_kind_of_model_says_so(toy: Toy) -> None:
    with pytest.raises(Exception, match="requires 5-D video latents"):
        toy.by_guider(sampler=toy.call("Sampler AR Video")[0])


def test_training_a_lora_is_refused(toy: Toy) -> None:
    node = toy.nodes.classes["TrainLoraNode"]
    given = {name: default_of(*socket) for name, socket in node.INPUT_TYPES()["required"].items()}
    given |= {"model": toy.kit.model, "latents": toy.latent, "positive": toy.prompts[0], "steps": 1}
    with pytest.raises(Exception, match=r"1 latent frames at once are not 1 clips of 5; .*trains a LoRA"):
        node.execute(**{name: [value] for name, value in given.items()})


def tiles(apply: Any, given: dict[str, Any]) -> torch.Tensor:
    """As the community's tiling nodes call a model: two tiles of each row at once."""
    x, conds = given["input"], dict(given["c"])
    conds["c_crossattn"] = torch.cat([conds["c_crossattn"]] * 2)
    made = apply(torch.cat([x[..., :12, :12], x[..., 4:, 4:]]), torch.cat([given["timestep"]] * 2), **conds)
    return made[: len(x)]


def twice(apply: Any, given: dict[str, Any]) -> torch.Tensor:
    """Tiles that are each the whole picture."""
    conds = {name: torch.cat([conds] * 2) if torch.is_tensor(conds) else conds for name, conds in given["c"].items()}
    made = apply(torch.cat([given["input"]] * 2), torch.cat([given["timestep"]] * 2), **conds)
    return made[: len(given["input"])]


@pytest.mark.parametrize(
    ("wrapper", "says"),
    [
        (tiles, r"calls the model with latents of 96x96 pixels, and the keyframe's features are of 128x128; take out"),
        (twice, r"10 latent frames at once are not 1 clips of 5; take out the node that splits or repeats the batch"),
    ],
)
def test_tiles_are_refused(toy: Toy, wrapper: Any, says: str) -> None:
    model = toy.kit.model.clone()
    model.set_model_unet_function_wrapper(wrapper)
    with pytest.raises(Exception, match=says):
        toy.sampled(model)


def test_a_sampler_that_scales_latents_is_refused(toy: Toy) -> None:
    sampler = toy.call("SamplerLCMUpscale", scale_ratio=2.0)[0]
    with pytest.raises(Exception, match=r"calls the model with latents of \d+x\d+ pixels.*scales them while sampling"):
        toy.by_guider(sampler=sampler)


def test_one_frame_is_one_picture(toy: Toy) -> None:
    """What works on one picture at a time does."""
    kit = toy.kit
    prompts, latent = kit.encode(drawn_keyframe(), PROMPT, frames=1), kit.prior(drawn_keyframe(), 1)
    plain = kit.ksampler(prompts, latent)
    for title in ("RenormCFG", "TSR - Temporal Score Rescaling"):
        made = kit.ksampler(prompts, latent, model=toy.call(title, model=kit.model)[0])
        assert ACTING < apart(made, plain) < 0.5, title


@pytest.mark.parametrize("load_with", ["load_diffusion_model", "load_checkpoint_guess_config"])
def test_the_hosts_loaders_do_not_know_our_files(toy: Toy, load_with: str) -> None:
    import comfy.sd

    with pytest.raises(RuntimeError, match="Could not detect model type"):
        getattr(comfy.sd, load_with)(str(toy.kit.path))
