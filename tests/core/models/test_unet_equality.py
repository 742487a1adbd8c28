"""An inflated VideoUNet is its image U-Net, frame by frame; and what it adds has the size that was designed."""

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel

from microcinema_core.backend import Backend
from microcinema_core.checkpoint.inflate import inflate_
from microcinema_core.config import END_TOKEN, PRESETS, START_TOKEN, Injection, UNetConfig, image_stage
from microcinema_core.errors import CheckpointError
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.temporal import TemporalConv, TemporalTransformer
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.autoencoders import build_autoencoder
from microcinema_core.standalone.text import build_text_model, build_tokenizer

# float32 rounds at 6e-8 of a sum's size, and two orders of summation meet in about a hundred layers.
TOLERANCE = 1e-5
SMALL = UNetConfig(
    block_out_channels=(32, 64, 64),
    layers_per_block=1,
    attention_levels=(True, True, False),
    attention_heads=(2, 4, 4),
    cross_attention_dim=24,
    norm_groups=8,
    temporal_head_dim=16,
    spade_hidden=8,
)
EVERY_MODE = pytest.mark.parametrize("injection", list(Injection))


def image_model(config: UNetConfig) -> UNet2DConditionModel:
    """diffusers' own U-Net with weights such that no tensor is one number throughout."""
    kinds = ["CrossAttnDownBlock2D" if attended else "DownBlock2D" for attended in config.attention_levels]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = UNet2DConditionModel(
            in_channels=config.in_channels,
            out_channels=config.in_channels,
            block_out_channels=config.block_out_channels,
            layers_per_block=config.layers_per_block,
            down_block_types=tuple(kinds),
            up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(kinds)),
            attention_head_dim=config.attention_heads,  # diffusers' name for the number of heads
            cross_attention_dim=config.cross_attention_dim,
            use_linear_projection=config.linear_projection,
            norm_num_groups=config.norm_groups,
        )
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.min() == parameter.max():  # norms and biases: a wrong one would not be seen
                    parameter += 0.2 * torch.randn(parameter.shape)
    assert all(parameter.min() < parameter.max() for parameter in model.parameters())
    return model.eval()


def inflated(config: UNetConfig, image: UNet2DConditionModel, null: torch.Tensor) -> tuple[VideoUNet, AppearNet]:
    unet, appearnet = VideoUNet(config), AppearNet(config, text_length=null.shape[1])
    inflate_(unet, appearnet, image.state_dict(), null)
    return unet.eval(), appearnet.eval()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Inputs:
    """Clips at different noise levels with different prompts; both frame times and keyframes differ too."""

    def __init__(self, config: UNetConfig, clips: int, frames: int, height: int, width: int, tokens: int = 7) -> None:
        self.x = normal(clips, config.in_channels, frames, height, width)
        self.t = torch.tensor([981.0, 37.0])[:clips]
        self.context = normal(clips, tokens, config.cross_attention_dim, seed=1)
        self.z_c = normal(clips, config.in_channels, 1, height, width, seed=2)
        self.frame_time = normal(clips, frames, seed=3)
        self.null = normal(1, tokens, config.cross_attention_dim, seed=4)

    @torch.no_grad()
    def per_frame(self, image: UNet2DConditionModel) -> torch.Tensor:
        """diffusers' model on each frame alone."""
        outputs = [
            image(self.x[b : b + 1, :, i], self.t[b], self.context[b : b + 1]).sample
            for b in range(self.x.shape[0])
            for i in range(self.x.shape[2])
        ]
        return torch.cat(outputs).unflatten(0, (self.x.shape[0], -1)).transpose(1, 2)

    @torch.no_grad()
    def video(self, unet: VideoUNet, appearnet: AppearNet) -> torch.Tensor:
        return unet(self.x, self.t, self.context, appearnet(Guide(self.z_c)), self.frame_time)


def deviation(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).abs().max() / other.abs().max()).item()


@EVERY_MODE
@pytest.mark.parametrize("linear_projection", [True, False], ids=["linear", "conv"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_inflated_unet_is_the_image_unet_on_every_frame(injection, linear_projection, layers):
    config = replace(SMALL, injection=injection, linear_projection=linear_projection, layers_per_block=layers)
    image, given = image_model(config), Inputs(config, clips=2, frames=3, height=7, width=10)
    video = given.video(*inflated(config, image, given.null))
    assert deviation(video, given.per_frame(image)) <= TOLERANCE


def test_the_equality_would_see_a_wrong_time_text_or_frame():
    """The reference answers to each of its inputs by far more than the tolerance, so their equality says something."""
    image, given = image_model(SMALL), Inputs(SMALL, clips=2, frames=3, height=7, width=10)
    right = given.per_frame(image)
    assert deviation(right.roll(1, dims=2), right) > 1000 * TOLERANCE
    for name in ("t", "context"):
        other = Inputs(SMALL, clips=2, frames=3, height=7, width=10)
        setattr(other, name, getattr(other, name).flip(0))
        assert deviation(other.per_frame(image), right) > 1000 * TOLERANCE, name


def test_the_equality_ends_with_the_first_temporal_weight():
    """What keeps it is the zero initialisation: any of the temporal layers breaks it once it is not zero."""
    image, given = image_model(SMALL), Inputs(SMALL, clips=2, frames=3, height=7, width=10)
    unet, appearnet = inflated(SMALL, image, given.null)
    right = given.video(unet, appearnet)
    for layer in (m for m in unet.modules() if isinstance(m, TemporalConv | TemporalTransformer)):
        final = layer.taps if isinstance(layer, TemporalConv) else layer.proj_out
        with torch.no_grad():
            final.weight += 0.1 * normal(*final.weight.shape)
        assert deviation(given.video(unet, appearnet), right) > 10 * TOLERANCE
        with torch.no_grad():
            final.weight.zero_()
    assert torch.equal(given.video(unet, appearnet), right)


def test_the_image_stage_is_the_image_unet():
    """Without temporal layers the state has diffusers' keys exactly, and single pictures come out the same."""
    config = replace(SMALL, temporal=False)
    image, unet = image_model(config), VideoUNet(config).eval()
    unet.load_state_dict(image.state_dict())
    given = Inputs(config, clips=2, frames=1, height=8, width=8)
    with torch.no_grad():
        ours = unet(given.x, given.t, given.context)
    assert deviation(ours, given.per_frame(image)) <= TOLERANCE


def test_appearnet_starts_as_the_image_models_encoder():
    image, given = image_model(SMALL), Inputs(SMALL, clips=1, frames=1, height=8, width=8)
    _, appearnet = inflated(SMALL, image, given.null)
    own, theirs = appearnet.state_dict(), image.state_dict()
    encoder = [key for key in own if not key.startswith(("add.", "spade.", "null_context"))]
    assert {key for key in theirs if key.startswith(("down_blocks.", "mid_block.", "conv_in."))} <= set(encoder)
    assert all(torch.equal(own[key], theirs[key]) for key in encoder)
    assert torch.equal(own["null_context"], given.null)


def test_inflation_refuses_another_architecture():
    image, given = image_model(SMALL), Inputs(SMALL, clips=1, frames=1, height=8, width=8)
    null = given.null
    with pytest.raises(CheckpointError, match=r"down_blocks.*another architecture"):
        inflated(replace(SMALL, layers_per_block=2), image, null)
    with pytest.raises(CheckpointError, match=r"attn2.to_k.weight has shape \[32, 24\], \[32, 32\] was expected"):
        inflated(replace(SMALL, cross_attention_dim=32), image, normal(1, 7, 32))
    state = image.state_dict() | {"class_embedding.weight": torch.ones(1)}
    unet = VideoUNet(SMALL)
    with pytest.raises(CheckpointError, match=r"1 unexpected \(first: class_embedding.weight\)"):
        inflate_(unet, None, state, None)


@pytest.fixture(scope="module")
def full_size(request: pytest.FixtureRequest) -> tuple[UNetConfig, dict[str, torch.Tensor], Inputs, torch.Tensor]:
    """One reference for all modes: its weights, the inputs and its output. Gone before the next preset's is built."""
    config = PRESETS[request.param].unet
    image, given = image_model(config), Inputs(config, clips=2, frames=2, height=16, width=12, tokens=77)
    return config, image.state_dict(), given, given.per_frame(image)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("full_size", ["sd21", "sd15"], indirect=True)
@EVERY_MODE
def test_full_size_equality(full_size, injection, record_property):
    """Stable Diffusion's true size: 865 M parameters, 375 M of temporal layers, up to 430 M of AppearNet.

    Memory: 3.5 GB of reference and at most 6.7 GB of the two networks.
    """
    config, image, given, wanted = full_size
    config = replace(config, injection=injection)
    unet, appearnet = VideoUNet(config), AppearNet(config)
    inflate_(unet, appearnet, image, given.null)
    found = deviation(given.video(unet.eval(), appearnet.eval()), wanted)
    record_property("max|diff| / max|out|", f"{found:.1e}")
    print(f"{injection}: max|diff| / max|out| = {found:.2e}, max|out| = {wanted.abs().max():.2f}")
    assert found <= TOLERANCE


def size(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(("preset", "spatial"), [("sd21", 865_910_724), ("sd15", 859_520_964)])
def test_sizes_at_stable_diffusions_scale(preset, spatial):
    """The spatial counts are those of the published weights; the temporal ones follow from the widths by hand.

    52 temporal convolutions of 3 C^2 each: two in each of 22 ResBlocks (5 of 320, 5 of 640, 12 of 1280 channels), one
    for conv_in and conv_out, three for downsampling (320, 640, 1280) and three for upsampling (1280, 1280, 640).
    16 temporal attentions of 18 C^2 + 16 C: proj_in and proj_out, q, k, v and out, GEGLU's 8 and 4, and two norms.
    """
    config = PRESETS[preset].unet
    on_meta = Backend(device="meta")
    unet, appearnet = VideoUNet(config, on_meta), AppearNet(config, on_meta)
    assert size(VideoUNet(image_stage(PRESETS[preset]).unet, on_meta)) == spatial

    convs = [m for m in unet.modules() if isinstance(m, TemporalConv)]
    layers = {320: 2 * 5 + 1 + 1, 640: 2 * 5 + 1 + 1, 1280: 2 * 12 + 1 + 2, 4: 1}
    assert (len(convs), size(*convs)) == (52, 151_142_448)
    assert size(*convs) == sum(3 * c**2 * count for c, count in layers.items())

    attentions = [m for m in unet.modules() if isinstance(m, TemporalTransformer)]
    assert (len(attentions), size(*attentions)) == (16, 223_226_880)
    assert size(*attentions) == sum((18 * c**2 + 16 * c) * count for c, count in {320: 5, 640: 5, 1280: 6}.items())

    assert size(appearnet.spade) == 69_716_096
    new = size(unet.frame_time_embedding, unet.gates)
    assert size(unet) == spatial + size(*convs) + size(*attentions) + new


def test_the_embedded_model_fits_the_repository():
    """Four files: autoencoder, text encoder, image and video model, 2 bytes for each parameter; 20 MB in all."""
    toybox, on_meta = PRESETS["toybox"], Backend(device="meta")
    tokenizer = build_tokenizer({"vocab": {START_TOKEN: 0, END_TOKEN: 1}, "merges": []}, toybox.text)
    with torch.device("meta"):
        parts = [build_autoencoder(toybox.vae), build_text_model(toybox.text, tokenizer)]
    parts.append(VideoUNet(image_stage(toybox).unet, on_meta))
    parts += [VideoUNet(toybox.unet, on_meta), AppearNet(toybox.unet, on_meta)]
    assert 2 * size(*parts) < 20e6
