"""MicroCinema Layer and Scene in the real ComfyUI, in this process: what they give, where it lands, and messages."""

from typing import Any

import pytest
import torch
from test_motion_nodes import SHOWN, SIZE, WRITTEN, Nodes, nodes, noise, square  # noqa: F401  the fixture

USUAL = {
    "kind": "snow", "amount": 1.0, "speed": 1.0, "direction": {"direction": "its own"}, "colour": {"colour": "its own"},
    "seed": 0, "fade_in": 0.0, "fade_out": 0.0, "size": 1.0, "place": "its own", "at": {"at": "middle of the mask"},
}  # fmt: skip
MASKED = ("falls", "swing", "spin", "bob", "pulse")  # kinds that need one
ONE_OF_EACH = ("snow", "fog", "night", "waves", "wind", "clouds", "swing", "breathe")


def layer(nodes: Nodes, kind: str = "snow", **changed: Any) -> Any:  # noqa: F811
    return nodes.run("Layer", **(USUAL | {"kind": kind} | changed))[0]


def kinds(nodes: Nodes) -> list[str]:  # noqa: F811
    """Those that need no file."""
    return [str(kind) for kind in nodes.core("motion.layer").LayerKind if kind != "taught"]


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


def test_a_taught_motion_is_that_of_its_file(nodes: Nodes, tmp_path: Any, monkeypatch: Any) -> None:  # noqa: F811
    folder_paths, data = nodes.ours("folder").folder_paths, nodes.core("motion.taught")
    taught = data.Taught(0.05, ((1.0, 1.0, 0.0, 0.2, 1.0, 0.0),))
    taught.write(tmp_path / "flag.json")
    names = folder_paths.folder_names_and_paths
    monkeypatch.setitem(names, "microcinema_motion", ([str(tmp_path)], {".json"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    motion = layer(nodes, "taught", taught="flag.json", mask=square(8, 10, 30))
    told = [nodes.nodes["MicroCinemaLayer"].fingerprint_inputs(taught=name) for name in ("flag.json", "none", None)]
    assert told == [nodes.ours("folder").fingerprint(tmp_path / "flag.json"), "", ""]
    assert motion.plan.layers[0].taught == taught
    frames, _, _ = nodes.render(motion, noise())
    assert torch.equal(frames, by_the_library(nodes, motion, noise()))
    assert (frames[2] - noise()[0]).abs().max() > 0.01
    for given, said in (
        ({"kind": "taught"}, "MicroCinema Layer: a taught layer needs its motion"),
        ({"kind": "snow", "taught": "flag.json"}, "MicroCinema Layer: snow takes no taught motion"),
        ({"kind": "taught", "taught": "gone.json"}, "taught must be one of none, flag.json, got 'gone.json'"),
    ):
        with pytest.raises(nodes.core("errors").MicroCinemaError) as refused:
            layer(nodes, **given)
        assert said in str(refused.value)


def test_colours_of_their_own(nodes: Nodes) -> None:  # noqa: F811
    """Fog of one colour over all is between the picture and that colour."""
    picture, red = torch.full((1, *SIZE, 3), 0.5), {"colour": "chosen", "chosen": "#ff0000"}
    frames, _, _ = nodes.render(layer(nodes, "fog", colour=red, amount=10.0), picture)
    assert frames[0, ..., 0].mean() > 0.6
    assert frames[0, ..., 1:].mean() < 0.4


def test_outside_a_mask_nothing_is_drawn(nodes: Nodes) -> None:  # noqa: F811
    still, mask = nodes.camera(prompt="the camera is still"), square(20, 18)
    for kind in ("rain", "night", "haze", "waves"):
        frames, unknown, _ = nodes.render(layer(nodes, kind, motion=still, mask=mask), noise())
        assert torch.equal(frames[:, mask[0] == 0], noise()[:, mask[0] == 0].expand(5, -1, -1)), kind
        assert not unknown.any()


def test_words_are_drawn_and_the_camera_rests(nodes: Nodes, caplog: Any) -> None:  # noqa: F811
    data = nodes.core("motion.layer")
    with caplog.at_level("INFO"):
        motion = nodes.camera(prompt="a fox in the forest, snow falls softly")
    assert motion.plan.layers == (data.Layer(data.LayerKind.SNOW, 0.7, 0.7),)
    assert not motion.plan.camera.moves
    assert "read `snow falls softly`: snow amount 0.7, speed 0.7" in caplog.text
    assert "pushes in" not in caplog.text
    both = nodes.camera(prompt="the camera slowly pulls back, fog rolls in", horizontal=0.1)
    assert [made.kind for made in both.plan.layers] == ["fog"]
    assert (both.plan.camera.horizontal, both.plan.camera.dolly) == (0.1, -0.1)


def test_what_is_denied_is_not_drawn_and_the_camera_pushes_in(nodes: Nodes, caplog: Any) -> None:  # noqa: F811
    with caplog.at_level("INFO"):
        motion = nodes.camera(prompt="a street at night, no rain")
    assert not motion.plan.layers
    assert motion.plan.camera == nodes.core("motion.directing").PUSH_IN
    assert "read `no rain`: no rain; nothing is set: the camera pushes in slowly" in caplog.text


def test_a_written_plan_brings_its_layers(nodes: Nodes) -> None:  # noqa: F811
    written = (
        '{"format": "microcinema.motion", "version": 1, "layers": [{"kind": "rain", "amount": 0.5}, {"kind": "fog"}]}'
    )
    motion = layer(nodes, "dust", motion=nodes.camera(plan=written), mask=square(2, 2))
    assert [(made.kind, made.amount) for made in motion.plan.layers] == [("rain", 0.5), ("fog", 1), ("dust", 1)]
    frames, _, _ = nodes.render(motion, noise())
    assert (frames[0] - noise()[0]).abs().max() > 0.01


class Seen:
    """What Scene and Render would find: sky above, water below, no plants and no people."""

    def __init__(self, nodes: Nodes) -> None:  # noqa: F811
        self.find, self.place = nodes.core("places.find"), nodes.core("motion.layer").Place

    def __call__(self, picture: torch.Tensor, **_: Any) -> Any:
        rows = torch.linspace(0, 1, picture.shape[1]).view(1, -1, 1).expand(1, *picture.shape[1:])
        masks = {place: torch.zeros_like(rows) for place in self.find.PLACES}
        masks |= {self.place.SKY: (rows < 0.4).float(), self.place.WATER: (rows > 0.6).float()}
        sure = {place: float(mask.any()) for place, mask in masks.items()}
        return self.find.Found(masks, sure, 1 + 3 * (1 - rows))


@pytest.fixture
def seen(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for module in (nodes.core("places.placing"), nodes.ours("scene")):
        monkeypatch.setattr(module, "find", Seen(nodes))


FOUND = "found: sky 40 % (sure: 1.00), water 40 % (sure: 1.00)"


@pytest.mark.usefixtures("seen")
def test_render_and_plates_draw_where_a_place_is_found(nodes: Nodes, caplog: Any) -> None:  # noqa: F811
    lake = layer(nodes, "waves", motion=layer(nodes, "clouds"))
    with caplog.at_level("INFO"):
        frames, _, _ = nodes.render(lake, noise())
        nodes.run("Plates", motion=lake, picture=noise())
    assert f"MicroCinema Render: {FOUND}" in caplog.text
    assert f"MicroCinema Plates: {FOUND}" in caplog.text
    moved = (frames[-1] - noise()[0]).abs().amax(-1)
    assert moved[:18].max() > 0.1  # the sky
    assert moved[31:].max() > 0.1
    assert moved[21:27].max() == 0  # neither


@pytest.mark.usefixtures("seen")
def test_a_place_that_is_not_in_the_picture_is_said(nodes: Nodes) -> None:  # noqa: F811
    wind = layer(nodes, "wind")
    for call in (lambda: nodes.render(wind, noise()), lambda: nodes.run("Plates", motion=wind, picture=noise())):
        with pytest.raises(nodes.core("errors").InputError) as refused:
            call()
        assert "layer 1 (wind) belongs to plants, and none was found in this picture; paint" in str(refused.value)
        assert str(refused.value).startswith("MicroCinema ")
    frames, _, _ = nodes.render(layer(nodes, "wind", place="everywhere"), noise())
    assert (frames[-1] - noise()[0]).abs().max() > 0.05
    nodes.render(layer(nodes, "wind", mask=square(2, 2)), noise())
    nodes.render(layer(nodes, "wind", place="sky"), noise())


@pytest.mark.usefixtures("seen")
def test_scene_gives_masks_and_a_depth_that_the_camera_takes(nodes: Nodes, caplog: Any) -> None:  # noqa: F811
    with caplog.at_level("INFO"):
        *masks, depth = nodes.run("Scene", picture=noise())
    assert f"MicroCinema Scene: {FOUND}" in caplog.text
    assert [mask.shape for mask in masks] == [(1, *SIZE)] * 4
    assert [round(float(mask.mean()), 1) for mask in masks] == [0.4, 0.4, 0, 0]
    assert depth.shape == (1, *SIZE, 3)
    assert (depth[0, 1:, :, 0] >= depth[0, :-1, :, 0]).all()  # bright is near, and near is below
    assert depth[0, -1].min() == 1
    assert torch.allclose(depth[0, 0, 0, 0] / depth[0, 24, 0, 0], torch.tensor((1 + 3 * 23 / 47) / 4), atol=1e-5)
    motion = layer(nodes, "waves", mask=masks[1], motion=nodes.camera(horizontal=0.1, depth=depth))
    frames, _, _ = nodes.render(motion, noise())
    assert frames.isfinite().all()
    with pytest.raises(nodes.core("errors").InputError, match="MicroCinema Layer: mask is empty"):
        layer(nodes, mask=masks[3])


def test_scene_looks_at_any_picture(nodes: Nodes) -> None:  # noqa: F811
    """With the network that comes with the pack."""
    for height, width in ((1, 1), (1, 300), (48, 64), (301, 8)):
        *masks, depth = nodes.run("Scene", picture=noise(height, width))
        assert [mask.shape for mask in masks] == [(1, height, width)] * 4
        assert depth.shape == (1, height, width, 3)
        assert all(part.isfinite().all() and part.min() >= 0 and part.max() <= 1 for part in (*masks, depth))


def many(nodes: Nodes) -> Any:  # noqa: F811
    motion = None
    for _ in range(33):
        motion = layer(nodes, motion=motion)
    return motion


BAD = [
    (lambda n: layer(n, "hail"), "MicroCinema Layer: kind must be one of those that the node lists, got 'hail'"),
    (lambda n: layer(n, amount=-1.0), "MicroCinema Layer: amount must be between 0 and 10, got -1.0"),
    (lambda n: layer(n, amount=torch.nan), "MicroCinema Layer: amount must be between 0 and 10, got nan"),
    (lambda n: layer(n, colour={"colour": "chosen", "chosen": "red"}), "a colour is written #rrggbb, as #ff8800, got"),
    (lambda n: layer(n, colour={"colour": "chosen", "chosen": 3}), "MicroCinema Layer: colour.chosen must be text"),
    (lambda n: layer(n, mask=torch.zeros(1, 48, 64)), "MicroCinema Layer: mask is empty (64x48"),
    (lambda n: layer(n, mask=torch.ones(2, 48, 64)), "MicroCinema Layer: mask holds 2 masks; give one"),
    (lambda n: layer(n, mask=square(2, 2) * torch.nan), "MicroCinema Layer: mask holds NaN"),
    (
        lambda n: n.render(layer(n, mask=square(2, 2)), noise(40, 64)),
        "layer 1's mask (snow) is 64x48, the picture 64x40",
    ),
    (many, "MicroCinema Layer: a plan has 32 layers at most, got 33"),
    (lambda n: n.run("Scene", picture=noise().repeat(2, 1, 1, 1)), "MicroCinema Scene: picture holds 2 pictures"),
    (lambda n: n.run("Scene", picture=noise() * torch.nan), "MicroCinema Scene: picture holds NaN or infinity"),
    *((lambda n, kind=kind: layer(n, kind), f"MicroCinema Layer: {kind} needs a mask: right-click") for kind in MASKED),
]


@pytest.mark.parametrize(("make", "says"), BAD, ids=[says for _, says in BAD])
def test_what_cannot_be_gets_one_line(nodes: Nodes, make: Any, says: str) -> None:  # noqa: F811
    with pytest.raises(nodes.core("errors").InputError) as refused:
        make(nodes)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
