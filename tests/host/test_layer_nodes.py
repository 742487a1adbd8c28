"""MicroCinema Layer and Scene in the real ComfyUI, in this process: what they give, where it lands, and messages."""

from typing import Any

import pytest
import torch
from test_motion_nodes import SHOWN, SIZE, Nodes, nodes, noise, square  # noqa: F401  the fixture

USUAL = {
    "kind": "snow", "amount": 1.0, "speed": 1.0, "direction": {"direction": "its own"}, "colour": {"colour": "its own"},
    "seed": 0, "fade_in": 0.0, "fade_out": 0.0, "size": 1.0, "place": "its own", "at": {"at": "middle of the mask"},
}  # fmt: skip
MASKED = ("falls", "swing", "spin", "bob", "pulse")  # kinds that need one
ONE_OF_EACH = ("snow", "fog", "night", "waves", "wind", "clouds", "swing", "breathe")


def layer(nodes: Nodes, kind: str = "snow", **changed: Any) -> Any:  # noqa: F811
    return nodes.run("Layer", **(USUAL | {"kind": kind} | changed))[0]


def kinds(nodes: Nodes) -> list[str]:  # noqa: F811
    return list(map(str, nodes.core("motion.layer").LayerKind))


def by_the_library(nodes: Nodes, motion: Any, picture: torch.Tensor) -> torch.Tensor:  # noqa: F811
    """The frames [T, H, W, 3] that Render's usual settings ask for, of the library alone."""
    scene, moments, render = (nodes.core(f"motion.{name}") for name in ("scene", "moments", "render"))
    pixels = picture[0].movedim(-1, 0)
    cut = scene.cut(pixels, nodes.core("places.placing").placed(pixels, motion).motion).filled()
    renderer = render.Renderer(cut, moments.Moments(motion.plan, SHOWN["frames"], SHOWN["fps"]))
    return torch.stack([frame.picture.movedim(0, -1) for frame in renderer])


def test_all_that_a_layer_is_told_arrives_in_the_plan(nodes: Nodes) -> None:  # noqa: F811
    asked = {
        "amount": 0.5, "speed": 2.0, "direction": {"direction": "angle", "angle": 200.0}, "size": 3.0, "seed": 7,
        "colour": {"colour": "chosen", "chosen": "#ff8800"}, "fade_in": 0.2, "fade_out": 0.3, "place": "sky",
        "at": {"at": "point", "x": 0.25, "y": 0.5},
    }  # fmt: skip
    (made,) = layer(nodes, "fog", **asked).plan.layers
    data = nodes.core("motion.layer")
    assert made == data.Layer(
        data.LayerKind.FOG, 0.5, 2.0, 200.0, 3.0, 0.2, 0.3, 7, data.Place.SKY, (1, 0x88 / 255, 0), (0.25, 0.5)
    )
    assert layer(nodes).plan.layers == (data.Layer(data.LayerKind.SNOW),)
    (named,) = layer(nodes, direction={"direction": "up-left"}).plan.layers
    assert named.direction == 135


def test_layers_are_chained_to_cameras_regions_and_layers(nodes: Nodes) -> None:  # noqa: F811
    camera = nodes.camera(horizontal=0.25)
    region = nodes.region(square(8, 8), motion=layer(nodes, "fog", motion=camera, mask=square(2, 2)))
    both = layer(nodes, "rain", motion=region)
    assert [made.kind for made in both.plan.layers] == ["fog", "rain"]
    assert len(both.plan.regions) == len(both.masks) == 1
    assert both.plan.camera == camera.plan.camera
    assert both.layer_masks[1] is None
    assert torch.equal(both.layer_masks[0], square(2, 2)[0])
    assert not camera.plan.layers  # what was there is not changed


@pytest.mark.parametrize("loop", [False, True])
def test_frames_are_those_of_the_library_for_the_same_plan(nodes: Nodes, loop: bool) -> None:  # noqa: F811
    motion = nodes.camera(horizontal=0.2, keyframe_at={"keyframe_at": "centre"})
    for kind in ONE_OF_EACH:
        motion = layer(nodes, kind, motion=motion, mask=square(8, 10, 30), seed=3)
    frames, _, _ = nodes.render(motion, noise(), loop=loop)
    if not loop:
        assert torch.equal(frames, by_the_library(nodes, motion, noise()))
    assert (frames[2] - noise()[0]).abs().max() > 0.01


def test_every_kind_draws_and_nothing_is_drawn_of_none(nodes: Nodes) -> None:  # noqa: F811
    still = nodes.camera(prompt="the camera is still")
    for kind in kinds(nodes):
        given = {"mask": square(8, 10, 30), "motion": still, "amount": 2.0, "speed": 2.0}
        frames, _, _ = nodes.render(layer(nodes, kind, **given), noise() * 0.6, fps=2.0)
        assert frames.isfinite().all()
        assert (frames - 0.6 * noise()).abs().amax() > 0.01, kind
        nothing, _, _ = nodes.render(layer(nodes, kind, **given | {"amount": 0.0}), noise() * 0.6, frames=2)
        assert torch.equal(nothing[0], 0.6 * noise()[0]), kind
