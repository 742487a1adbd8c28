"""docs/paper.md against the code: the places it names, and what it counts at Stable Diffusion 2.1's size."""

import re
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from microcinema_core.backend import Backend
from microcinema_core.config import SD21, TOYBOX, Injection, ModelConfig, with_injection
from microcinema_core.models.appearnet import AppearNet, SpadeHead
from microcinema_core.models.guide import Guide
from microcinema_core.models.spatial import SpatialTransformer
from microcinema_core.models.temporal import TemporalConv, TemporalTransformer
from microcinema_core.models.unet import VideoUNet

ROOT = Path(__file__).parents[2]
CORE = ROOT / "microcinema_core"
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
META = Backend(device="meta")
KEYFRAME = Guide(torch.empty(1, SD21.unet.in_channels, 1, 40, 40, device="meta"))  # 320 pixels


def place(path: str) -> Path:
    """Below the library, unless it starts with another folder."""
    return (CORE if (CORE / path.partition("/")[0]).exists() else ROOT) / path


def of(kind: type[nn.Module], network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def parameters(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


def both(config: ModelConfig) -> tuple[VideoUNet, AppearNet]:
    return VideoUNet(config.unet, META), AppearNet(config.unet, META)


@pytest.fixture(scope="module")
def networks() -> tuple[VideoUNet, AppearNet]:
    return both(SD21)


def test_every_place_exists() -> None:
    named = [name for name in re.findall(r"`([^`\s]+)`", PAGE) if re.search(r"/|\.(py|toml)$", name)]
    assert len(named) > 30
    assert [name for name in named if not place(name).exists()] == []


def test_every_name_stands_in_its_file() -> None:
    pairs = re.findall(r"`([\w/.-]+\.(?:py|toml))`: `(\w+)`(?:, `(\w+)`)?", PAGE)
    assert len(pairs) > 15
    for file, *names in pairs:
        text = place(file).read_text(encoding="utf-8")
        for name in filter(None, names):
            assert re.search(rf"^\s*(class|def) {name}\b|^{name} = ", text, flags=re.MULTILINE), f"{file}: {name}"


def test_features_and_sites(networks: tuple[VideoUNet, AppearNet]) -> None:
    """By what each projection is given: the decoder's get the very tensors that the encoder's do."""
    net = networks[1]
    read: dict[str, torch.Tensor] = {}
    hooks = [
        conv.register_forward_pre_hook(lambda _, given, name=name: read.update({name: given[0]}))
        for name, conv in net.add.items()
    ]
    net(KEYFRAME)
    for hook in hooks:
        hook.remove()
    features = {id(tensor) for tensor in read.values()}
    assert f"**{WORDS[len(features)].capitalize()} features, added at {WORDS[len(read)]} sites.**" in PAGE
    levels = range(len(SD21.unet.block_out_channels))
    assert all(read[f"up_{i}"] is read[f"down_{i}"] for i in levels)
    assert "A level of the decoder reads the same feature as the encoder's level of that size." in TEXT
    fewer = len(read) - len(AppearNet(with_injection(SD21, Injection.ADD_DECODER).unet, META).add)
    assert f"`add_decoder` leaves out the encoder's {WORDS[fewer]} sites." in TEXT
    skips = 1 + sum(len(level.resnets) + len(level.downsamplers) for level in networks[0].down_blocks)
    assert f"adds at each of the {skips} skips and in the middle" in TEXT


def test_what_eq_2_takes(networks: tuple[VideoUNet, AppearNet]) -> None:
    net = networks[1]
    assert f"second norm of each ResBlock only**, {len(net.spade)} norms" in TEXT
    appearance = net(KEYFRAME)
    megabytes = sum(pair.numel() for pair in appearance.spade.values()) * 2 / 1e6
    assert f"take {parameters(net.spade) / 1e6:.0f} million parameters and {megabytes:.0f} MB in half" in TEXT
    heads = [head for head in of(SpadeHead, net) if isinstance(head, SpadeHead)]
    assert all(f"two convolutions with {head.conv_in.out_channels} channels between" in TEXT for head in heads)
    direct = sum(parameters(META.conv(h.conv_in.in_channels, h.conv_out.out_channels, 3)) for h in heads)
    assert f"one convolution each would take {direct / 1e6:.0f} million" in TEXT


def test_temporal_layers(networks: tuple[VideoUNet, AppearNet]) -> None:
    unet, appearnet = networks
    assert not of(TemporalConv, appearnet)
    assert not of(TemporalTransformer, appearnet)
    convolutions = [conv for conv in of(nn.Conv2d, unet) if conv.kernel_size == (3, 3)]
    assert len(of(TemporalConv, unet)) == len(convolutions)
    assert f"follow the {len(convolutions)} spatial convolutions of 3x3" in TEXT
    assert len(of(TemporalTransformer, unet)) == len(of(SpatialTransformer, unet))
    assert f"each of the {len(of(SpatialTransformer, unet))} spatial transformers" in TEXT


def test_rates_and_sizes(networks: tuple[VideoUNet, AppearNet]) -> None:
    full, toybox = (
        tomllib.loads((ROOT / "configs" / f"{name}-video.toml").read_text(encoding="utf-8"))["optimiser"]
        for name in ("sd21", "toybox")
    )
    assert "temporal layers at 2e-5 and spatial ones at a tenth" in TEXT
    assert (full["lr"], full["spatial_lr_scale"]) == (2e-5, 0.1)
    assert "Toybox's rate is 1e-3, for spatial layers too" in TEXT
    assert (toybox["lr"], toybox.get("spatial_lr_scale", 1.0)) == (1e-3, 1.0)
    assert parameters(*networks) / parameters(*both(TOYBOX)) == pytest.approx(400, rel=0.05)
    assert "a four-hundredth of the parameters" in TEXT
