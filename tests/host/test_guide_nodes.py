"""Rendered frames as the guide of a clip: AppearNet and the noise prior read each frame's own latents."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import CLOSE, FRAMES, GAMMA, Kit, apart, load, pictures, standalone, write_small
from test_model import windowed
from test_model_layout import write_scaled
from test_motion_nodes import RESTS, SHOWN, STILL

KEY = 1  # of three frames


@pytest.fixture(scope="module", params=["toybox", "full size"])
def kit(request: pytest.FixtureRequest, pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: Any) -> Kit:
    """A model of Toybox's layout, and one of Stable Diffusion 2.1's: few channels, random weights."""
    folder: Path = tmp_path_factory.mktemp("guided")
    path = write_small(pack, folder) if request.param == "toybox" else write_scaled(pack, folder, "v")
    return load(pack, pack_nodes, path)


def rendered(kit: Kit, picture: torch.Tensor, frames: int = FRAMES, **dials: float) -> tuple:
    """IMAGE and MASK of a camera's move, the keyframe in the middle."""
    motion = kit.run("Camera", **(STILL | {"keyframe_at": {"keyframe_at": "centre"}, "horizontal": 0.8} | dials))[0]
    return kit.run("Render", motion=motion, picture=picture, **(SHOWN | {"frames": frames}))[:2]


def led(kit: Kit, frames: torch.Tensor, unknown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the guide should be: the VAE's latents [1, C, T, h, w], and the share of known pixels in each place."""
    with torch.inference_mode():
        latents = torch.cat([kit.vae.encode(frame[None]) for frame in frames])
    known = (1 - unknown).unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).mean((2, 4))
    return latents.movedim(0, 1)[None], known[None, None]


def test_ksampler_with_a_guide_equals_the_standalone_pipeline(kit: Kit) -> None:
    """Both branches of guidance, lambda and gamma by frame, and by what is known."""
    picture = pictures(1)
    frames, unknown = rendered(kit, picture)
    guide = {"guide": frames, "guide_mask": unknown}
    prompts = kit.encode(picture, **guide)
    latent = kit.run(
        "NoisePriorLatent", model=kit.model, vae=kit.vae, keyframe=picture, frames=FRAMES, gamma=GAMMA, **guide
    )[0]
    assert torch.equal(frames[KEY], picture[0])
    assert 0.1 < unknown[0].mean() < 0.9
    ours = kit.ksampler(prompts, latent)
    theirs = standalone(kit, picture, prompts, latent, 3, 2.0, led=led(kit, frames, unknown))()
    assert apart(ours, theirs) < CLOSE
    plain = kit.ksampler(kit.encode(picture), kit.prior(picture))
    assert apart(ours, plain) > 100 * CLOSE
    assert apart(kit.sampler(picture, prompts), ours) < CLOSE


def test_each_frames_prior_is_its_own(kit: Kit) -> None:
    """gamma z of each frame, times what is known of it; the keyframe's frame is all known."""
    picture = pictures(1)
    frames, unknown = rendered(kit, picture)
    given = {"model": kit.model, "vae": kit.vae, "keyframe": picture, "frames": FRAMES, "gamma": GAMMA}
    form = kit.model.model.latent_format
    made = form.process_in(kit.run("NoisePriorLatent", **given, guide=frames, guide_mask=unknown)[0]["samples"])
    whole = form.process_in(kit.run("NoisePriorLatent", **given, guide=frames)[0]["samples"])
    plain = form.process_in(kit.prior(picture)["samples"])
    latents, known = led(kit, frames, unknown)
    share = made.abs().max() / form.process_in(latents[0].movedim(1, 0) * known[0].movedim(1, 0)).abs().max()
    assert apart(whole[KEY], plain[KEY]) < CLOSE
    assert apart(made, whole * known[0].movedim(1, 0)) < CLOSE
    assert torch.isfinite(share)
    assert (whole[0] - plain[0]).abs().max() > 1e-3 * plain.abs().max()


def test_a_still_guide_is_the_keyframe(small: Kit) -> None:
    picture = pictures(1)
    still = rendered(small, picture, horizontal=0.0, zoom=1.0, roll=0.0, fov=60.0)[0]
    frames = picture.expand(FRAMES, -1, -1, -1)
    assert still.shape == frames.shape
    prompts = small.encode(picture, guide=frames)
    given = prompts[0][0][1]["microcinema"]
    assert given.guide.latents.shape[2] == FRAMES
    one = small.encode(picture)
    latent = small.prior(picture)
    assert apart(small.ksampler(prompts, latent), small.ksampler(one, latent)) < CLOSE


def test_two_clips_have_their_own_guides(small: Kit) -> None:
    both = pictures(2)
    guides = [rendered(small, picture[None])[0] for picture in both]
    together = small.ksampler(small.encode(both, guide=torch.cat(guides)), small.prior(both))
    for number, picture in enumerate(both):
        alone = small.ksampler(small.encode(picture[None], guide=guides[number]), small.prior(picture[None]))
        assert apart(together.unflatten(0, (2, -1))[number], alone) < CLOSE


def test_a_context_window_has_its_own_frames_of_the_guide(kit: Kit) -> None:
    """The anchor frame in front of a window too."""
    picture, count, seen = pictures(1), 9, []
    frames, unknown = rendered(kit, picture, count)
    prompts = kit.encode(picture, frames=count, guide=frames, guide_mask=unknown)
    given = prompts[0][0][1]["microcinema"]

    def watched(apply: Any, args: dict) -> torch.Tensor:
        conds, rows = args["c"], args["input"].shape[0] // len(args["cond_or_uncond"])
        shown = [given.seconds.index(round(float(second), 6)) for second in conds["seconds"][:rows]]
        assert torch.equal(conds["encoded"].guide.latents.cpu(), given.guide.latents[:, :, shown])
        assert torch.equal(conds["encoded"].guide.known.cpu(), given.guide.known[:, :, shown])
        features = {name: term.shape[1] for name, term in conds["encoded"].appearance.add.items()}
        assert set(features.values()) == {len(shown)}
        seen.append(len(shown))
        return apply(args["input"], args["timestep"], **conds)

    model = windowed(kit.model, 5)
    model.set_model_unet_function_wrapper(watched)
    made = kit.ksampler(prompts, kit.prior(picture, count), model=model, steps=1)
    assert made.isfinite().all()
    assert set(seen) == {5, 6}


def test_the_exact_keyframe_stands_in_a_guided_clip(small: Kit) -> None:
    picture = pictures(1)
    frames, unknown = rendered(small, picture)
    prompts = small.encode(picture, guide=frames, guide_mask=unknown)
    made = small.sampler(picture, prompts, exact_keyframe=True)
    with torch.inference_mode():
        assert (made[KEY] - small.vae.encode(picture)[0]).abs().max() <= CLOSE
    with pytest.raises(Exception, match=r"keyframe is of 40x32 pixels .* the latents are of 48x32"):
        small.sampler(pictures(1, width=48), prompts)


def test_noise_of_a_guide_for_models_with_frames_in_the_batch_and_in_time(small: Kit) -> None:
    import comfy.sample

    prior = small.ours("prior")
    picture = pictures(1)
    frames, _ = rendered(small, picture)
    given = {"model": small.model, "vae": small.vae, "keyframe": picture, "seed": 7, "gamma": GAMMA}
    noise = small.run("NoisePriorNoise", **given, guide=frames)[0]
    latent = {"samples": torch.zeros(FRAMES, 4, 4, 5)}
    added = noise.generate_noise(latent) - comfy.sample.prepare_noise(latent["samples"], 7)
    with torch.inference_mode():
        expected = 0.02 * small.model.model.latent_format.process_in(small.vae.encode(frames))
    assert (added - expected).abs().max() < 1e-6
    z_c = torch.arange(6.0).view(1, 1, 6, 1, 1).expand(1, 4, 6, 4, 5)
    video = {"samples": torch.zeros(1, 4, 6, 4, 5)}
    added = prior.PriorNoise(3, 0.5, z_c).generate_noise(video) - comfy.sample.prepare_noise(video["samples"], 3)
    assert (added - 0.5 * z_c).abs().max() < 1e-6
    with pytest.raises(Exception, match="do not fit"):
        prior.PriorNoise(3, 0.5, z_c).generate_noise({"samples": torch.zeros(1, 4, 7, 4, 5)})


def test_what_does_not_fit_the_clip_is_refused(small: Kit) -> None:
    picture = pictures(1)
    frames, unknown = rendered(small, picture)
    for given, says in (
        ({"guide": frames[:2]}, r"the guide holds 2 frames, the clip 3 frames; give MicroCinema Render as many"),
        ({"guide": frames[:, :24]}, r"guide's frames are of 40x24 pixels, the keyframe of 40x32; set width"),
        ({"guide": frames, "guide_mask": unknown[:2]}, r"guide_mask has shape \[2, 32, 40\], the guide \[3, 32, 40\]"),
        ({"guide": frames, "guide_mask": unknown * torch.nan}, "guide_mask holds NaN"),
        ({"guide": frames * torch.nan}, "guide holds NaN"),
    ):
        with pytest.raises(small.core("errors").InputError, match=says):
            small.encode(picture, **given)


def test_a_keyframe_elsewhere_is_said(small: Kit, caplog: Any) -> None:
    picture = pictures(1)
    frames, _ = rendered(small, picture)
    with caplog.at_level("INFO"):
        small.encode(picture, guide=frames)
        assert "elsewhere" not in caplog.text
        small.encode(picture, guide=frames, keyframe_at={"keyframe_at": "first"})
    assert "AppearNet Encode: the guide shows the keyframe elsewhere; set keyframe_at" in caplog.text


def test_a_regions_guide_runs(small: Kit) -> None:
    """A region under a still camera: what is behind it is unknown, and its frames lead the clip."""
    picture, mask = pictures(1), torch.zeros(1, 32, 40)
    mask[:, 8:24, 8:24] = 1
    motion = small.run("Region", mask=mask, **(RESTS | {"horizontal": 0.5}))[0]
    frames, unknown, _ = small.run("Render", motion=motion, picture=picture, **(SHOWN | {"frames": 9}))
    prompts = small.encode(picture, frames=9, guide=frames, guide_mask=unknown)
    known = prompts[0][0][1]["microcinema"].guide.known
    assert known.shape == (1, 1, 9, 4, 5)
    assert known[:, :, 4].min() == 1
    assert known.min() < 0.2
    assert small.ksampler(prompts, small.prior(picture, 9)).isfinite().all()
