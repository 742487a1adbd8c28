"""The multiplane camera's nodes in the real ComfyUI, in this process: signs, sizes, masks, plates, tracks, messages."""

import importlib
from types import ModuleType
from typing import Any

import pytest
import torch

SIZE = (48, 64)  # height, width
STILL = {
    "horizontal": 0.0, "vertical": 0.0, "dolly": 0.0, "pan": 0.0, "tilt": 0.0, "zoom": 1.0, "roll": 0.0, "shake": 0.0,
    "fov": 50.0, "ease": "linear", "duration": 0.0, "keyframe_at": {"keyframe_at": "first"}, "shake_seed": 0,
    "depth_kind": "disparity", "depth_range": 4.0, "depth_planes": 4,
}  # fmt: skip
RESTS = {
    "horizontal": 0.0, "vertical": 0.0, "zoom": 1.0, "roll": 0.0, "distance": 0.0, "order": 0, "ease": "the plan's",
    "pivot": {"pivot": "middle of the mask"},
}  # fmt: skip
SHOWN = {"frames": 5, "fps": 8.0, "width": 0, "height": 0, "loop": False, "tracks": 12}


class Nodes:
    """Short ways to call the nodes."""

    def __init__(self, pack: ModuleType, nodes: dict[str, type]) -> None:
        self.pack, self.nodes = pack, nodes

    def core(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.pack.__name__}.microcinema_core.{module}")

    def ours(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.pack.__name__}.nodes.{module}")

    def run(self, node: str, **inputs: Any) -> tuple:
        with torch.inference_mode():
            return self.nodes["MicroCinema" + node].execute(**inputs).result

    def camera(self, **changed: Any) -> Any:
        return self.run("Camera", **(STILL | changed))[0]

    def region(self, mask: torch.Tensor, **changed: Any) -> Any:
        return self.run("Region", mask=mask, **(RESTS | changed))[0]

    def render(self, motion: Any, picture: torch.Tensor, **changed: Any) -> tuple:
        return self.run("Render", motion=motion, picture=picture, **(SHOWN | changed))


@pytest.fixture(scope="module")
def nodes(pack: ModuleType, pack_nodes: dict[str, type]) -> Nodes:
    return Nodes(pack, pack_nodes)


def noise(height: int = SIZE[0], width: int = SIZE[1]) -> torch.Tensor:
    """IMAGE [1, H, W, 3]."""
    return torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(2))


def dot(x: int, y: int) -> torch.Tensor:
    """A white square of 3x3 on black, its middle at that pixel's centre."""
    picture = torch.zeros(1, *SIZE, 3)
    picture[:, y - 1 : y + 2, x - 1 : x + 2] = 1
    return picture


def middle(frame: torch.Tensor) -> tuple[float, float]:
    """Where the brightness [H, W, 3] lies, x and y; what is filled from so small a light is darker than this."""
    light = (frame.mean(-1) - 0.02).clamp(min=0)
    light = light / light.sum()
    ys, xs = (torch.arange(side) + 0.5 for side in light.shape)
    return float((light.sum(0) * xs).sum()), float((light.sum(1) * ys).sum())


def square(x: int, y: int, side: int = 12) -> torch.Tensor:
    """MASK [1, H, W] of a square."""
    mask = torch.zeros(1, *SIZE)
    mask[:, y : y + side, x : x + side] = 1
    return mask


@pytest.mark.parametrize(
    ("at", "index"),
    [
        ({"keyframe_at": "first"}, 0),
        ({"keyframe_at": "centre"}, 2),
        ({"keyframe_at": "last"}, 4),
        ({"keyframe_at": "share", "share": 0.25}, 1),
    ],
)
def test_the_keyframe_is_the_picture_bit_for_bit(nodes: Nodes, at: dict, index: int) -> None:
    motion = nodes.camera(horizontal=0.2, dolly=0.1, roll=5.0, shake=0.5, keyframe_at=at)
    frames, unknown, _ = nodes.render(motion, noise())
    assert frames.shape == (5, *SIZE, 3)
    assert unknown.shape == (5, *SIZE)
    assert frames.dtype == unknown.dtype == torch.float32
    assert torch.equal(frames[index], noise()[0])
    assert not unknown[index].any()
    assert all((frame - noise()[0]).abs().max() > 0.1 for i, frame in enumerate(frames) if i != index)


@pytest.mark.parametrize(
    ("dial", "way"),
    [
        ({"horizontal": 0.25}, (-16, 0)),  # a quarter of 64 pixels; the camera goes right, and what it sees left
        ({"vertical": 0.25}, (0, 12)),
        ({"pan": 10.0}, (-1, 0)),
        ({"tilt": 10.0}, (0, 1)),
    ],
)
def test_what_the_camera_sees_goes_the_other_way(nodes: Nodes, dial: dict, way: tuple[int, int]) -> None:
    frames, _, _ = nodes.render(nodes.camera(**dial), dot(32, 24))
    start, end = middle(frames[0]), middle(frames[-1])
    for moved, wanted in zip((end[0] - start[0], end[1] - start[1]), way, strict=True):
        if abs(wanted) > 1:
            assert moved == pytest.approx(wanted, abs=0.01)
        elif wanted:
            assert moved * wanted > 4
        else:
            assert abs(moved) < 0.02


def test_unknown_is_one_where_the_picture_ends(nodes: Nodes) -> None:
    _, unknown, _ = nodes.render(nodes.camera(horizontal=0.25), noise())
    assert unknown[-1, :, -16:].min() == 1
    assert unknown[-1, :, :-16].max() == 0


def test_a_region_goes_where_its_dials_say_and_leaves_a_hole(nodes: Nodes) -> None:
    mask, picture = square(20, 18), noise() * 0.2
    picture[mask.bool()] = 1
    motion = nodes.region(mask, horizontal=0.25, vertical=-0.25)
    frames, unknown, _ = nodes.render(motion, picture, frames=9)  # the keyframe in the middle: half of it each way
    assert torch.equal(frames[4], picture[0])
    landed = frames[-1].mean(-1) > 0.9
    ys, xs = landed.nonzero().T
    assert (int(xs.min()), int(ys.min()), int(landed.sum())) == (28, 24, 144)
    assert unknown[-1, 20:22, 21:24].min() == 1  # behind it
    assert unknown[-1, 24:36, 28:40].max() < 1e-5  # it is there itself
    assert unknown[-1, :, :16].max() == 0


def test_regions_are_chained_to_a_camera_and_drawn_in_their_order(nodes: Nodes) -> None:
    camera = nodes.camera(horizontal=0.25)
    first = nodes.region(square(8, 8), motion=camera, horizontal=0.5)
    both = nodes.region(square(40, 30), motion=first, zoom=1.5, roll=10.0, ease="ease_in", order=-1)
    assert [region.order for region in both.plan.regions] == [0, -1]
    assert both.plan.camera == camera.plan.camera
    assert len(both.masks) == 2
    assert first.plan.regions == both.plan.regions[:1]  # what was there is not changed
    frames, _, _ = nodes.render(both, noise())
    assert torch.equal(frames[0], noise()[0])


def test_a_cut_out_is_selected_by_its_inverted_alpha(nodes: Nodes, host_nodes: Any, in_process: Any) -> None:
    """What the mask editor saves: what was painted is transparent, and Load Image's MASK is 1 there."""
    import numpy as np
    from PIL import Image

    alpha = np.full(SIZE, 255, np.uint8)
    alpha[10:20, 30:44] = 0
    pixels = (noise()[0].numpy() * 255).round().astype(np.uint8)
    Image.fromarray(np.dstack([pixels, alpha])).save(in_process.base / "input" / "painted.png")
    Image.fromarray(pixels).save(in_process.base / "input" / "opaque.png")
    load = host_nodes.classes["LoadImage"]()
    picture, mask = load.load_image("painted.png")
    (masked,) = nodes.region(mask, horizontal=0.2).masks
    assert masked[10:20, 30:44].min() == 1
    assert masked.sum() == 140
    frames, _, _ = nodes.render(nodes.region(mask, horizontal=0.2), picture)
    assert frames.shape == (5, *SIZE, 3)
    _, none = load.load_image("opaque.png")
    assert none.shape == (1, 64, 64)
    with pytest.raises(Exception, match=r"mask is empty \(64x64, nothing selected\).*Open in MaskEditor"):
        nodes.region(none)


def test_plates_leave_and_come_back(nodes: Nodes) -> None:
    motion = nodes.region(square(20, 18), motion=nodes.camera(horizontal=0.25), horizontal=0.5)
    plates, fill = nodes.run("Plates", motion=motion, picture=noise())
    assert plates.shape[:3] == fill.shape
    assert plates.shape[1] % 8 == plates.shape[2] % 8 == 0
    assert set(fill.unique().tolist()) == {0, 1}
    red = torch.tensor([1.0, 0.0, 0.0])
    filled = torch.lerp(plates, red.expand_as(plates), fill[..., None])
    frames, unknown, _ = nodes.render(motion, noise(), plates=filled)
    assert torch.equal(frames[0], noise()[0])
    assert not unknown.any()  # all of it is known now
    assert (frames[-1, :, -14:] - red).abs().max() < 1e-6
    with pytest.raises(
        Exception, match=r"MicroCinema Render: the filled plates are 1 of .*this motion and picture need 1 of"
    ):
        nodes.render(motion, noise(), plates=filled[:, :-8])


@pytest.mark.parametrize(
    ("picture", "asked", "given"),
    [
        ((48, 64), (0, 0), (48, 64)),
        ((47, 63), (0, 0), (46, 62)),
        ((48, 64), (32, 0), (24, 32)),
        ((48, 64), (0, 96), (96, 128)),
        ((48, 64), (30, 40), (40, 30)),
    ],
)
def test_sizes(nodes: Nodes, picture: tuple, asked: tuple, given: tuple) -> None:
    frames, unknown, tracks = nodes.render(
        nodes.camera(zoom=1.1), noise(*picture), width=asked[0], height=asked[1], frames=2
    )
    assert tuple(frames.shape) == (2, *given, 3)
    assert tuple(unknown.shape) == (2, *given)
    assert (tracks["track_path"][0] < torch.tensor(given[::-1])).all()
    if asked == (0, 0):
        assert torch.equal(frames[0], noise(*picture)[0, : given[0], : given[1]])


def test_a_loop_leads_back(nodes: Nodes) -> None:
    frames, _, _ = nodes.render(nodes.camera(horizontal=0.25), dot(32, 24), frames=8, loop=True)
    places = [middle(frame)[0] for frame in frames]
    assert places == pytest.approx([32.5 - 16 * share for share in (0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25)], abs=0.02)


def test_tracks_follow_the_pixels_that_they_claim(nodes: Nodes) -> None:
    """A dot where a track begins is found in every frame where the track goes."""
    motion = nodes.camera(horizontal=0.1, vertical=-0.2, zoom=1.3, roll=8.0)
    _, _, tracks = nodes.render(motion, noise(), tracks=12)
    path, visible = tracks["track_path"], tracks["track_visibility"]
    assert path.shape == (5, 12, 2)
    assert path.dtype == torch.float32
    assert visible.shape == (5, 12)
    assert visible.dtype == torch.bool
    inside = [n for n in range(12) if (path[:, n] > 6).all() and (path[:, n] < torch.tensor([58, 42])).all()]
    assert len(inside) > 2
    for number in inside:
        x, y = (int(v) for v in path[0, number])
        offset = path[0, number] - torch.tensor([x + 0.5, y + 0.5])
        frames, unknown, _ = nodes.render(motion, dot(x, y))
        known = frames * (1 - unknown[..., None])  # without what is filled beyond the edges
        for frame, place in zip(known, path[:, number], strict=True):
            assert torch.dist(torch.tensor(middle(frame)), place) < 0.25 + 1.3 * float(offset.norm())
    assert not visible[-1].all()  # some have left
    far = (path < 0) | (path >= torch.tensor([64, 48]))
    assert not visible[far.any(-1)].any()


def test_a_depth_picture_of_another_size_gives_parallax(nodes: Nodes) -> None:
    """The left half is near, the right one far: it moves less."""
    depth = torch.zeros(1, 12, 16, 3)
    depth[:, :, :8] = 1
    picture = torch.maximum(dot(24, 24), dot(48, 24))
    frames, _, _ = nodes.render(nodes.camera(horizontal=0.1, depth=depth), picture)
    near = middle(frames[-1][:, :30])[0] - middle(frames[0][:, :30])[0]
    far = middle(frames[-1][:, 38:])[0] - middle(frames[0][:, 38:])[0]
    assert near == pytest.approx(-6.4, abs=0.1)
    assert far == pytest.approx(-6.4 / 4, abs=0.1)


def curve(points: list[tuple[float, float]]) -> Any:
    from comfy_api.input import MonotoneCubicCurve

    return MonotoneCubicCurve(points)


def test_a_curve_of_the_host_takes_the_place_of_ease(nodes: Nodes) -> None:
    given = curve([(0, 0), (0.25, 0.9), (1, 1)])
    motion = nodes.camera(horizontal=0.25, ease="constant", curve=given)
    assert len(motion.plan.curve) == 65
    frames, _, _ = nodes.render(motion, dot(32, 24))
    for index, frame in enumerate(frames):
        assert middle(frame)[0] == pytest.approx(32.5 - 16 * given.interp(index / 4), abs=0.05)


def spoken(nodes: Nodes, prompt: str, **dials: Any) -> tuple[Any, str]:
    read, plan = nodes.core("motion.words").read_words, nodes.core("motion.plan")
    asked = plan.Plan(plan.Camera(**dials))
    return nodes.ours("camera").spoken(asked, read(prompt))


def test_nothing_asked_is_a_slow_push_in(nodes: Nodes, caplog: Any) -> None:
    start = nodes.core("motion.directing")
    with caplog.at_level("INFO"):
        motion = nodes.camera(prompt="a red fox in fresh snow")
    assert motion.plan.camera == start.PUSH_IN
    assert "MicroCinema Camera: nothing is set: the camera pushes in slowly" in caplog.text
    assert nodes.camera(depth=torch.rand(1, 8, 8, 3)).plan.camera == start.FORWARD
    assert not nodes.camera(prompt="the camera is still").plan.camera.moves


@pytest.mark.parametrize(
    ("given", "share"),
    [({}, 0), ({"zoom": 1.1}, 0), ({"dolly": -0.1}, 1), ({"horizontal": 0.1}, 0.5), ({"prompt": "pull back"}, 1)],
)
def test_by_itself_the_keyframe_is_seen_where_least_is_invented(nodes: Nodes, given: dict, share: float) -> None:
    assert nodes.camera(keyframe_at={"keyframe_at": "auto"}, **given).plan.keyframe_at == share


def test_words_set_the_dials_that_are_left_alone(nodes: Nodes) -> None:
    plan, said = spoken(nodes, "a fox in snow, the camera slowly pulls back")
    assert plan.camera.dolly < 0
    assert "pulls back" in said
    both, said = spoken(nodes, "the camera pans left and slowly pulls back", dolly=0.2)
    assert both.camera.dolly == 0.2
    assert both.camera.pan < 0
    assert f"pan {both.camera.pan:g}" in said
    assert "dolly" not in said.partition(":")[2]


WRITTEN = '{"format": "microcinema.motion", "version": 1, "ease": "linear", "keyframe_at": 0, "camera": {"zoom": 2}%s}'


def test_a_written_plan_takes_the_place_of_the_dials(nodes: Nodes) -> None:
    more = ', "regions": [{"horizontal": 0.1, "polygon": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]}]'
    motion = nodes.camera(plan=WRITTEN % more, horizontal=0.5)
    assert motion.plan.camera == nodes.core("motion.plan").Camera(zoom=2)
    frames, _, _ = nodes.render(motion, noise())
    assert torch.equal(frames[0], noise()[0])


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("plans/mine.json", "plan is not JSON"),
        (WRITTEN % ', "mask": "/etc/passwd"', "mask"),
        (WRITTEN % ', "regions": [{"mask": "hat.png"}]', "mask"),
        (WRITTEN % ', "duration": NaN', "duration"),
        (WRITTEN % (', "regions": [' + ", ".join(["{}"] * 1000) + "]"), "1000 regions are too many"),
        (WRITTEN % (', "regions": [' + ", ".join(["{}"] * 1_000_000) + "]"), "too long"),
        (WRITTEN.replace("2}", "0}") % "", "zoom"),
        ("{}", "is no motion plan"),
    ],
)
def test_what_is_no_plan_gets_one_line(nodes: Nodes, plan: str, says: str) -> None:
    with pytest.raises(nodes.core("errors").MicroCinemaError, match=says) as refused:
        nodes.camera(plan=plan)
    assert str(refused.value).startswith("MicroCinema Camera: plan")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


BAD = [
    (lambda n: n.camera(zoom=0.0), "MicroCinema Camera: zoom must be between 0.1 and 10, got 0.0"),
    (lambda n: n.camera(fov=180.0), "MicroCinema Camera: fov must be between 10 and 150, got 180.0"),
    (lambda n: n.region(torch.zeros(1, 48, 64)), "mask is empty (48x64".replace("48x64", "64x48")),
    (lambda n: n.region(torch.ones(2, 48, 64)), "holds 2 masks; give one"),
    (lambda n: n.region(square(2, 2) * torch.nan), "NaN"),
    (lambda n: n.render(n.region(square(2, 2)), noise(40, 64)), "region 1's mask is 64x48, the picture 64x40"),
    (lambda n: n.render(n.camera(), noise().repeat(3, 1, 1, 1)), "picture holds 3 pictures, and one is wanted; take"),
    (lambda n: n.render(n.camera(), noise()[:, :0]), "shape [1, 0, 64, 3]"),
    (lambda n: n.render(n.camera(), noise() * torch.inf), "NaN or infinity"),
    (lambda n: n.render(n.camera(), noise(), frames=10**6, width=4000), "frames of 4000x3000 take 178813.9 GiB"),
    (lambda n: n.render(n.region(square(2, 2), distance=0.3, motion=n.camera(dolly=0.5)), noise()), "into a region"),
    (lambda n: n.camera(depth=torch.rand(2, 8, 8, 3)), "depth holds 2 pictures"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), BAD, ids=[says for _, says in BAD])
def test_what_cannot_be_gets_one_line(nodes: Nodes, make: Any, says: str) -> None:
    with pytest.raises(nodes.core("errors").MicroCinemaError) as refused:
        make(nodes)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_region_that_leaves_the_frame_is_said_to(nodes: Nodes, caplog: Any) -> None:
    stays = nodes.region(square(20, 18), motion=nodes.camera(), horizontal=0.1)
    with caplog.at_level("INFO"):
        nodes.render(stays, noise())
        assert "outside" not in caplog.text
        nodes.render(nodes.region(square(40, 30), motion=stays, horizontal=1.0), noise())
    assert "MicroCinema Render: region 2 is outside the frame at frame 2" in caplog.text


def test_rendering_can_be_cancelled(nodes: Nodes) -> None:
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        nodes.render(nodes.camera(horizontal=0.1), noise(), frames=3)
    assert not management.processing_interrupted()
