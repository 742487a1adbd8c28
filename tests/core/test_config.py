"""Configurations: the presets go through JSON unchanged, and what describes no model is refused by name."""

import json
import math
from contextlib import suppress
from dataclasses import fields, replace

import hostile
import pytest

from microcinema_core.config import (
    PRESETS,
    SD15,
    SD21,
    TOYBOX,
    ClipConfig,
    DiffusionConfig,
    Injection,
    Kind,
    LatentConfig,
    ModelConfig,
    Positions,
    Prediction,
    ScheduleName,
    TemporalLayers,
    TextConfig,
    UNetConfig,
    VAEConfig,
    image_stage,
    preset,
    with_injection,
)
from microcinema_core.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_json(name):
    for config in (PRESETS[name], image_stage(PRESETS[name])):
        again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
        assert again == config
        # Types too: 1 == 1.0 and "concat" == Injection.CONCAT, so equality alone would not tell.
        assert repr(again) == repr(config)


def test_what_is_left_out_has_its_default():
    assert ModelConfig.from_dict({}) == ModelConfig()
    assert UNetConfig.from_dict({"layers_per_block": 1}) == UNetConfig(layers_per_block=1)


def test_every_field_is_read():
    """Each differs from its default after a round trip, so none is silently dropped."""
    other = ModelConfig(
        name="other",
        unet=UNetConfig(
            in_channels=5,
            block_out_channels=(64, 96),
            layers_per_block=3,
            attention_levels=(False, True),
            attention_heads=(2, 3),
            cross_attention_dim=40,
            linear_projection=False,
            norm_groups=8,
            norm_over_frames=True,
            temporal=False,
            temporal_layers=TemporalLayers.MODELSCOPE,
            temporal_head_dim=16,
            temporal_positions=Positions.NONE,
            frame_time=False,
            pooled_text=True,
            timestep_scale=2.0,
            injection=Injection.CONCAT,
            spade_hidden=9,
            guide_mask=True,
            along_guide=True,
            fills=True,
            reads_text=False,
        ),
        diffusion=DiffusionConfig(ScheduleName.COSINE, Prediction.V, 0.1, 0.2, (0.5, 0.1)),
        latent=LatentConfig(4, (1.0,) * 5, (2.0,) * 5),
        clip=ClipConfig(17, 8.0, 64, 96),
        vae=VAEConfig(32, 5, 2),
        text=TextConfig(100, 40, 2, 4, 16, "gelu", 3),
    )
    for name in ("unet", "diffusion", "latent", "clip"):
        part, default = getattr(other, name), getattr(ModelConfig(), name)
        assert all(getattr(part, f.name) != getattr(default, f.name) for f in fields(part)), name
    assert ModelConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "config: expected an object, got NoneType"),
        ([], "config: expected an object, got list"),
        (
            {"unt": {}},
            "config: unknown key 'unt'; known keys: clip, composer, diffusion, latent, name, text, unet",
        ),
        ({"unet": 3}, "config.unet: expected an object, got int"),
        ({"unet": None}, "config.unet: expected an object, got NoneType"),
        ({"unet": {"widths": []}}, "config.unet: unknown key 'widths'"),
        ({"name": 1}, "config.name: expected str, got 1"),
        ({"unet": {"layers_per_block": 2.0}}, "config.unet.layers_per_block: expected int, got 2.0"),
        ({"unet": {"layers_per_block": True}}, "config.unet.layers_per_block: expected int, got True"),
        ({"unet": {"temporal": 1}}, "config.unet.temporal: expected bool, got 1"),
        ({"unet": {"block_out_channels": 320}}, "config.unet.block_out_channels: expected a list, got 320"),
        ({"unet": {"block_out_channels": "320"}}, "config.unet.block_out_channels: expected a list, got '320'"),
        ({"unet": {"block_out_channels": [320, None]}}, r"config.unet.block_out_channels\[1\]: expected int, got None"),
        ({"unet": {"injection": "spade"}}, "'spade' is none of concat, add_decoder, add_both, add_both_spade"),
        ({"unet": {"injection": ["concat"]}}, "config.unet.injection: .* is none of"),
        ({"diffusion": {"schedule": "linear"}}, "config.diffusion.schedule: 'linear' is none of sd, sd_zsnr, cosine"),
        ({"diffusion": {"prior_lambda": math.nan}}, "config.diffusion.prior_lambda: expected a number, got nan"),
        ({"diffusion": {"prior_lambda": "0.03"}}, "config.diffusion.prior_lambda: expected a number, got '0.03'"),
        ({"diffusion": {"prior_lambda": -0.1}}, "prior_lambda must be between 0 and 1"),
        ({"diffusion": {"prior_gamma": 1.5}}, "prior_gamma must be between 0 and 1"),
        ({"latent": {"mean": [0.0]}}, "latent: mean and std need one entry per channel"),
        ({"latent": {"mean": [], "std": []}}, "latent: mean and std need one entry per channel"),
        ({"latent": {"std": [1, 1, 1, 0]}}, "latent: std must be positive"),
        ({"diffusion": {"residual_std": [1, 0]}}, "diffusion: residual_std must be positive"),
        ({"latent": {"downscale": 0}}, "latent: downscale must be between 1 and 64"),
        ({"clip": {"frames": 0}}, "clip: frames must be between 1 and 4096"),
        ({"clip": {"fps": 0}}, "clip: fps must be between 0.01 and 1000"),
        ({"clip": {"width": 100_000}}, "clip: size must be 8 to 16384 pixels"),
        ({"vae": {"channels": 0}}, "vae: sizes must be between 1 and 4096"),
        ({"text": {"width": 10, "heads": 3}}, "text: width must be a multiple of heads"),
        ({"text": {"vocab_size": 0}}, "text: sizes must be"),
        ({"unet": {"block_out_channels": []}}, "unet: block_out_channels is empty"),
        ({"unet": {"attention_heads": [5]}}, "need one entry for each of the 4 levels"),
        ({"unet": {"norm_groups": 7}}, "320 channels must be a multiple of norm_groups"),
        ({"unet": {"attention_heads": [7, 10, 20, 20]}}, "320 channels must be a multiple of .*attention_heads"),
        ({"unet": {"temporal_head_dim": 5}}, "temporal_head_dim must be even"),
        ({"unet": {"temporal_layers": "svd"}}, "config.unet.temporal_layers: 'svd' is none of native, modelscope"),
        ({"unet": {"temporal_layers": "modelscope"}}, "have no positions; temporal_positions must be none"),
        ({"unet": {"spade_hidden": 70_000}}, "unet: sizes must be between 1 and 65536"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(data, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(data)


def test_whole_numbers_may_stand_for_floats():
    clip = ClipConfig.from_dict({"fps": 8})
    assert (clip.fps, type(clip.fps)) == (8.0, float)


def test_presets_are_found_by_name():
    assert {name: config.name for name, config in PRESETS.items()} == {name: name for name in PRESETS}
    assert preset("sd21") is SD21
    with pytest.raises(ConfigError, match="preset 'sdxl' does not exist; there are: sd21, sd21_base, sd15, toybox"):
        preset("sdxl")


def test_the_paper_and_stable_diffusion_set_the_defaults():
    """Sec. 4.1 (9 frames, 2 fps, 320x320), Eq. 3 and Fig. 6 (lambda, gamma), SD's latent scale and widths."""
    assert (SD21.clip.frames, SD21.clip.fps, SD21.clip.width, SD21.clip.height) == (9, 2.0, 320, 320)
    assert (SD21.diffusion.prior_lambda, SD21.diffusion.prior_gamma) == (0.03, 0.02)
    assert SD21.unet.injection is Injection.ADD_BOTH_SPADE
    assert SD21.latent.std[0] == pytest.approx(1 / 0.18215)
    assert (SD21.unet.cross_attention_dim, SD15.unet.cross_attention_dim) == (1024, 768)
    assert SD21.unet.time_embed_dim == 1280
    assert TOYBOX.diffusion.prior_gamma == 0  # nothing to repair where sampling starts without any signal


def test_derived_configurations():
    still = image_stage(TOYBOX)
    assert not still.unet.temporal
    assert (still.diffusion.prior_lambda, still.diffusion.prior_gamma) == (0, 0)
    assert replace(still, unet=TOYBOX.unet, diffusion=TOYBOX.diffusion) == TOYBOX
    assert with_injection(TOYBOX, Injection.CONCAT).unet == replace(TOYBOX.unet, injection=Injection.CONCAT)
    assert [kind for kind in Kind if kind.needs_appearance] == [Kind.VIDEO, Kind.TSR]


def test_whatever_stands_in_the_place_of_a_value_is_taken_or_refused():
    """Integers beyond floats, NaN, null, lists for numbers: and what is taken overflows no float32."""
    config = replace(TOYBOX, diffusion=replace(TOYBOX.diffusion, residual_std=(0.5,)))
    taken = 0
    for what, text in hostile.odd_json(json.loads(json.dumps(config.to_dict()))):
        with suppress(ConfigError):
            made = ModelConfig.from_dict(json.loads(text))
            numbers = [made.unet.timestep_scale, *made.latent.mean, *made.latent.std, *made.diffusion.residual_std]
            assert all(abs(number) <= 1e6 for number in numbers), what
            taken += 1
    assert taken > 10  # strings, and numbers that are as good as the preset's


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"diffusion": {"prior_lambda": 10**400}}, "prior_lambda: expected a number, got 10000"),
        ({"diffusion": {"prior_lambda": True}}, "prior_lambda: expected a number, got True"),
        ({"unet": {"layers_per_block": 2.0}}, "layers_per_block: expected int, got 2.0"),
        ({"unet": {"layers_per_block": 10**400}}, "layers_per_block: expected a number, got 10000"),
        ({"latent": {"mean": [1e308] * 4}}, "expected a number, got 1e.308"),
        ({"latent": {"mean": [2e6] * 4}}, "mean must be between -1e6 and 1e6"),
        ({"unet": {"timestep_scale": 2e6}}, "timestep_scale must be between 1e-6 and 1e6"),
        ({"unet": {"timestep_scale": 0}}, "timestep_scale must be between 1e-6 and 1e6"),
        ({"clip": {"width": 316}}, "width and height must be multiples of latent.downscale, 8"),
    ],
)
def test_numbers_out_of_all_bounds_are_named(part, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(part)
