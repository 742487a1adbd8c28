"""What MicroCinema Render gives, in the host's nodes for video models: sizes, and which way round their masks are.

A stand-in for the VAE gives each latent the mean colour of its pixels, so values can be told through the host's code.
"""

from typing import Any

import pytest
import torch
from other_nodes import HostNodes
from test_layer_nodes import layer
from test_motion_nodes import Nodes, nodes, square  # noqa: F401  the fixture

SIZE = (64, 96)  # height, width
CONDITIONING = [[torch.zeros(1, 4, 8), {}]]


class Vae:
    """Latents [1, channels, (T - 1) // step + 1, H / side, W / side]: of each, the mean colour of a first frame."""

    def __init__(self, channels: int, step: int, side: int) -> None:
        self.channels, self.side = channels, side
        self.downscale_index_formula = (step, side, side)
        self.seen: list[torch.Tensor] = []

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen.append(pixels)
        frames = pixels[:: self.downscale_index_formula[0]].movedim(-1, 1)
        means = torch.nn.functional.avg_pool2d(frames, self.side)
        return means.repeat(1, -(-self.channels // 3), 1, 1)[:, : self.channels].movedim(0, 1)[None]


def picture() -> torch.Tensor:
    return torch.rand(1, *SIZE, 3, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def guide(nodes: Nodes) -> tuple:  # noqa: F811
    """17 frames: 4 n + 1 and 8 n + 1. The camera goes a third of the frame, 32 pixels, to the right."""
    motion = nodes.camera(horizontal=1 / 3)
    return nodes.render(motion, picture(), frames=17, tracks=6)


def call(host_nodes: HostNodes, name: str, **given: Any) -> tuple:
    with torch.inference_mode():
        return host_nodes.classes[name].execute(**given).result


def test_wan_vace_makes_what_is_unknown(host_nodes: HostNodes, guide: tuple) -> None:
    frames, unknown, _ = guide
    vae, both = Vae(16, 4, 8), {"positive": CONDITIONING, "negative": CONDITIONING}
    given = {"vae": vae, "width": SIZE[1], "height": SIZE[0], "length": 17, "batch_size": 1, "strength": 1.0}
    positive, _, latent, trim = call(
        host_nodes, "WanVaceToVideo", **both, **given, control_video=frames, control_masks=unknown
    )
    inactive, reactive = vae.seen
    assert inactive.shape == frames.shape
    mask = unknown[..., None]
    assert (inactive - ((frames - 0.5) * (1 - mask) + 0.5)).abs().max() < 1e-6  # what is kept
    assert (reactive - ((frames - 0.5) * mask + 0.5)).abs().max() < 1e-6  # what is made
    assert latent["samples"].shape == (1, 16, 5, 8, 12)
    assert trim == 0
    (held,) = positive[0][1]["vace_mask"]
    assert held.shape == (1, 64, 5, 8, 12)
    chosen = unknown[[1, 5, 8, 11, 15], None]  # the frames that the host takes for the five latents
    assert torch.equal(held[0].movedim(0, 1), torch.nn.functional.pixel_unshuffle(chosen, 8))
    assert chosen[-1, 0, :, -30:].min() == 1  # 30 pixels on the right are to be made by then
    assert chosen[-1, 0, :, :-31].max() == 0


def test_what_the_workflow_gives_wan_vace_is_grey_where_it_is_to_be_made(host_nodes: HostNodes, guide: tuple) -> None:
    frames, unknown, _ = guide
    grey = torch.full((1, *SIZE, 3), 128 / 255)
    (shown,) = call(
        host_nodes, "ImageCompositeMasked", destination=frames, source=grey, x=0, y=0, resize_source=False,
        mask=unknown,
    )  # fmt: skip
    assert shown.shape == frames.shape
    assert (shown[-1, :, -32:] - 128 / 255).abs().max() < 1e-6
    assert torch.equal(shown[-1, :, :-33], frames[-1, :, :-33])


def test_an_ltx_guide_is_followed_where_the_attention_mask_is_one(host_nodes: HostNodes, guide: tuple) -> None:
    """So what is unknown must be inverted; the latents' own noise mask is 0 where the guide stands."""
    from comfy.ldm.lightricks.model import LTXVModel

    frames, unknown, _ = guide
    vae, both = Vae(128, 8, 32), {"positive": CONDITIONING, "negative": CONDITIONING}
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    (known,) = call(host_nodes, "InvertMask", mask=unknown)
    positive, _, made = call(
        host_nodes, "LTXVAddGuide", **both, vae=vae, latent=latent, image=frames, frame_idx=0, strength=1.0,
        attention_mask=known,
    )  # fmt: skip
    assert vae.seen[0].shape == frames.shape  # 17 = 8 n + 1: none is cut off
    assert made["samples"].shape == (1, 128, 6, 2, 3)
    assert (made["samples"][:, :, 3:] - vae.encode(frames)).abs().max() < 1e-6
    assert made["noise_mask"][:, :, :3].min() == 1
    assert made["noise_mask"][:, :, 3:].max() == 0
    (entry,) = positive[0][1]["guide_attention_entries"]
    weights = LTXVModel._downsample_mask_to_latent(entry["pixel_mask"], 3, 2, 3).view(3, 2, 3)
    assert weights[0].min() == 1  # the picture itself is followed
    assert weights[-1, :, 0].min() == 1
    assert weights[-1, :, -1].max() < 0.3  # mean over the last eight frames, in which the camera still goes


def test_ltx_leaves_out_frames_beyond_8n_1(host_nodes: HostNodes, guide: tuple) -> None:
    vae, both = Vae(128, 8, 32), {"positive": CONDITIONING, "negative": CONDITIONING}
    latent = {"samples": torch.zeros(1, 128, 3, 2, 3)}
    call(host_nodes, "LTXVAddGuide", **both, vae=vae, latent=latent, image=guide[0][:16], frame_idx=0, strength=1.0)
    assert len(vae.seen[0]) == 9


def test_wan_move_carries_the_first_frame_along_the_tracks(host_nodes: HostNodes, guide: tuple) -> None:
    frames, _, tracks = guide
    vae, both = Vae(16, 4, 8), {"positive": CONDITIONING, "negative": CONDITIONING}
    given = {"vae": vae, "width": SIZE[1], "height": SIZE[0], "length": 17, "batch_size": 1, "strength": 1.0}
    positive, negative, latent = call(
        host_nodes, "WanMoveTrackToVideo", **both, **given, tracks=tracks, start_image=frames[:1]
    )
    moved, plain = positive[0][1]["concat_latent_image"], negative[0][1]["concat_latent_image"]
    assert latent["samples"].shape == moved.shape == (1, 16, 5, 8, 12)
    path, visible = tracks["track_path"], tracks["track_visibility"]
    assert path.shape == (17, 6, 2)
    checked = 0
    for number in range(6):
        x0, y0 = (int(v) // 8 for v in path[0, number])
        for t in range(1, 5):
            if visible[4 * t, number]:
                x, y = (int(v) // 8 for v in path[4 * t, number])
                assert torch.equal(moved[0, :, t, y, x], plain[0, :, 0, y0, x0])
                checked += 1
    assert checked > 12
    assert not visible[-1].all()


def test_wan_moves_other_nodes_take_the_tracks(host_nodes: HostNodes, guide: tuple) -> None:
    frames, _, tracks = guide
    (both,) = call(host_nodes, "WanMoveConcatTrack", tracks_1=tracks, tracks_2=tracks)
    assert both["track_path"].shape == (17, 12, 2)
    assert both["track_visibility"].shape == (17, 12)
    (shown,) = call(
        host_nodes, "WanMoveVisualizeTracks", images=frames, tracks=tracks, line_resolution=24, circle_size=3,
        opacity=0.75, line_width=4,
    )  # fmt: skip
    assert shown.shape == frames.shape
    assert (shown - frames).abs().max() > 0.2
    x, y = (int(v) for v in tracks["track_path"][0, 0])
    assert (shown[0, y, x] - frames[0, y, x]).abs().max() > 0.02  # a disc where the track begins


def test_a_size_of_its_own_for_a_model(nodes: Nodes, host_nodes: HostNodes) -> None:  # noqa: F811
    """Rendered at the model's size, the host's nodes scale nothing."""
    motion = nodes.region(square(20, 18), motion=nodes.camera(horizontal=0.1), horizontal=0.2)
    picture = torch.rand(1, 48, 64, 3, generator=torch.Generator().manual_seed(5))
    frames, unknown, _ = nodes.render(motion, picture, frames=5, width=32, height=48)
    vae, both = Vae(16, 4, 8), {"positive": CONDITIONING, "negative": CONDITIONING}
    given = {"vae": vae, "width": 32, "height": 48, "length": 5, "batch_size": 1, "strength": 1.0}
    call(host_nodes, "WanVaceToVideo", **both, **given, control_video=frames, control_masks=unknown)
    assert torch.equal(vae.seen[0][0], frames[0])


@pytest.fixture(scope="module")
def weather(nodes: Nodes) -> torch.Tensor:  # noqa: F811
    """17 frames under snow and fog."""
    motion = layer(nodes, "snow", motion=layer(nodes, "fog", motion=nodes.camera(zoom=1.1)), amount=3.0)
    frames, _, _ = nodes.render(motion, picture(), frames=17)
    return frames


def test_drawn_weather_leads_wan_vace_whole(host_nodes: HostNodes, weather: torch.Tensor) -> None:
    """Without a mask all of it is made anew, with the frames as its control and the picture as its reference."""
    vae, both = Vae(16, 4, 8), {"positive": CONDITIONING, "negative": CONDITIONING}
    given = {"vae": vae, "width": SIZE[1], "height": SIZE[0], "length": 17, "batch_size": 1, "strength": 0.8}
    positive, _, latent, trim = call(
        host_nodes, "WanVaceToVideo", **both, **given, control_video=weather, reference_image=picture()
    )
    reference, inactive, reactive = vae.seen
    assert torch.equal(reference, picture())
    assert (inactive - 0.5).abs().max() < 1e-6  # nothing is kept as it is
    assert (reactive - weather).abs().max() < 1e-6
    assert latent["samples"].shape == (1, 16, 6, 8, 12)
    assert trim == 1
    assert positive[0][1]["vace_strength"] == [0.8]


def test_drawn_weather_is_a_draft_in_latents(host_nodes: HostNodes, weather: torch.Tensor) -> None:
    """What KSampler takes at a denoise below 1: 17 frames are five latents of Wan's and three of LTX's."""
    for vae, shape in ((Vae(16, 4, 8), (1, 16, 5, 8, 12)), (Vae(128, 8, 32), (1, 128, 3, 2, 3))):
        (draft,) = host_nodes.classes["VAEEncode"]().encode(vae, weather)
        assert draft["samples"].shape == shape
        assert torch.equal(vae.seen[0], weather)
