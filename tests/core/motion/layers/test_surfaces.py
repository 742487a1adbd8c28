"""What every layer on the picture's surface must keep, and how it goes with the camera, regions and each other."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.plates import View
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut

from .surfaced import SIZE, below, motion_of, rendered, smooth

KINDS = [LayerKind(name) for name in ("waves", "falls", "wind", "clouds", "stars", "swing", "spin", "bob", "breathe")]
NIGHT = 0.15  # of the picture's pixels: stars are seen


def lived(kind: LayerKind, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """A picture and the layer's mask [H, W] on it."""
    width, height = size
    mask = torch.zeros(height, width)
    mask[height // 4 : -height // 6, width // 4 : -width // 4] = 1
    return smooth(size) * (NIGHT if kind == LayerKind.STARS else 1), mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [{"amount": 0.0}, {"fade_in": 1.0}])
def test_nothing_of_it_is_the_picture_bit_for_bit(kind: LayerKind, layer: dict[str, float]) -> None:
    picture, mask = lived(kind)
    frames = rendered(picture, motion_of((Layer(kind, **layer), mask)))
    assert torch.equal(frames[0].picture, picture) or (kind == LayerKind.SPIN and layer.get("fade_in") == 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_something_moves_and_nothing_outside_its_mask(kind: LayerKind) -> None:
    picture, mask = lived(kind)
    frame = rendered(picture, motion_of((Layer(kind), mask)))[7].picture
    assert (frame - picture).abs().max() > 0.003
    if kind not in (LayerKind.SWING, LayerKind.SPIN, LayerKind.BOB):
        assert torch.equal(frame[:, mask == 0], picture[:, mask == 0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_alone_is_that_of_the_clip(kind: LayerKind) -> None:
    picture, mask = lived(kind)
    motion = motion_of((Layer(kind), mask))
    clip = [frame.picture for frame in rendered(picture, motion, 5, 2)]
    assert all(torch.equal(rendered(picture, motion, 5, 2)[i].picture, clip[i]) for i in (3, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_seconds_at_any_rate(kind: LayerKind) -> None:
    picture, mask = lived(kind)
    at24 = rendered(picture, motion_of((Layer(kind), mask)), 25, 24)
    at32 = rendered(picture, motion_of((Layer(kind), mask)), 33, 32)
    for i in (1, 2):
        difference = at24[3 * i].picture - at32[4 * i].picture
        assert difference.abs().max() < 1e-4  # angles in float64, fields in float32


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_has_no_larger_step_at_its_end(kind: LayerKind) -> None:
    picture, mask = lived(kind)
    clip = [frame.picture for frame in rendered(picture, motion_of((Layer(kind), mask)), 24, 8, loop=True)]
    steps = [(b - a).abs().mean().item() for a, b in zip(clip, [*clip[1:], clip[0]], strict=True)]
    assert 0 < steps[-1] <= 1.05 * max(steps[:-1])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != LayerKind.STARS])
def test_twice_the_size_is_the_same_motion(kind: LayerKind) -> None:
    scale = 4 if kind == LayerKind.WAVES else 1  # in a small picture, short waves are left out
    size, double = ((scale * times * SIZE[0], scale * times * SIZE[1]) for times in (1, 2))
    (small, mask), (large, wide) = lived(kind, size), lived(kind, double)
    one = rendered(small, motion_of((Layer(kind), mask)))[9].picture
    two = F.avg_pool2d(rendered(large, motion_of((Layer(kind), wide)))[9].picture, 2)
    inner = -F.max_pool2d(-mask[None], 9, 1, 4)[0] > 0  # the rims of masks are whole pixels
    moved = (one - small).abs()[:, inner].mean()
    assert (one - two).abs()[:, inner].mean() < 0.4 * moved


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(24, 16), (1, 1), (3, 40)])
def test_it_covers_everything_without_a_mask(kind: LayerKind, size: tuple[int, int]) -> None:
    frame = rendered(smooth(size), motion_of((Layer(kind, amount=3.0), None)), 5, 2)[3]
    assert frame.picture.isfinite().all()


@pytest.mark.parametrize(
    ("layer", "rows"),
    [
        (Layer(LayerKind.CLOUDS), (0, 80)),
        (Layer(LayerKind.WAVES, size=2.0), (90, 192)),
        (Layer(LayerKind.WIND), (60, 192)),
    ],
)
def test_a_moving_camera_sees_the_displaced_picture(layer: Layer, rows: tuple[int, int]) -> None:
    """Against a second resample of the displaced picture, which loses a little and knows no more than the picture."""
    size = (320, 192)
    picture, mask, camera = (
        smooth(size),
        below(rows[0], size) - below(rows[1], size),
        Camera(pan=4.0, zoom=1.1, roll=3.0),
    )
    for i in (4, 40):
        both = rendered(picture, motion_of((layer, mask), camera=camera))[i].picture
        living = rendered(picture, motion_of((layer, mask)))[i].picture
        twice = rendered(living, motion_of(camera=camera))[i].picture
        alone = rendered(picture, motion_of(camera=camera))[i].picture
        inner = (slice(None), slice(24, -24), slice(32, -32))
        error, moved = (both - twice)[inner].abs(), (both - alone)[inner].abs()
        assert error.mean() < 0.15 * moved.mean()
        assert error.quantile(0.99) < 0.3 * moved.quantile(0.99)


def test_the_order_is_sky_water_wind_whatever_the_plan_says() -> None:
    picture, mask = smooth(), below(20)
    layers = [(Layer(kind), mask) for kind in (LayerKind.WIND, LayerKind.WAVES, LayerKind.CLOUDS)]
    one, other = (rendered(picture, motion_of(*order))[5].picture for order in (layers, layers[::-1]))
    assert torch.equal(one, other)


def test_a_region_before_moving_water_stays_as_it_is() -> None:
    picture, mask = smooth(), below(30)
    region = torch.zeros(SIZE[1], SIZE[0])
    region[50:70, 60:90] = 1
    picture[:, region > 0] = 1.0
    frames = rendered(picture, motion_of((Layer(LayerKind.WAVES), mask), region=region))
    key = frames[24].picture  # nothing has moved but the water
    assert torch.equal(key[:, region > 0], picture[:, region > 0])
    assert (key - picture).abs().max() > 0.01
    last = frames[48].picture
    moved = round(0.1 * SIZE[0])  # half of the way, as the keyframe is in the middle
    assert last[:, 52:68, 62 + moved : 88 + moved].min() > 0.99
    assert last[:, 52:68, 62 : 62 + moved - 4].max() < 0.99  # water, not what was cut out


def test_depth_keeps_what_moves() -> None:
    picture, mask = smooth(), below(48)
    depth = below(48)[None] * 0.5 + 0.2
    motion = motion_of((Layer(LayerKind.WAVES), mask), camera=Camera(horizontal=0.02))
    scene = cut(picture, Motion(motion.plan, (), depth, motion.layer_masks)).filled()
    frames = Renderer(scene, Moments(motion.plan, 25, 24))
    plain = Renderer(cut(picture, Motion(Plan(camera=motion.plan.camera), (), depth)).filled(), frames.moments)
    assert torch.equal(frames[12].picture[:, :46], picture[:, :46])
    for i in (3, 12):
        difference = (frames[i].picture - plain[i].picture).abs()
        assert difference[:, :44, 4:-4].max() < 1e-5  # beside them, the camera sees what is filled
        assert difference[:, 60:].max() > 0.005


@pytest.mark.parametrize("kind", ["waves", "clouds", "wind", "breathe"])
def test_what_is_cut_out_whole_has_no_surface_left(kind: str) -> None:
    """The mask of the one is within that of what swings, behind which it is not seen."""
    picture, mask = lived(LayerKind(kind))
    alone = rendered(picture, motion_of((Layer(LayerKind.SWING), mask)))[7].picture
    both = rendered(picture, motion_of((Layer(LayerKind.SWING), mask), (Layer(LayerKind(kind)), mask)))[7].picture
    assert torch.equal(both, alone)


@pytest.mark.parametrize("width", [80, 240])
def test_a_region_stays_itself_in_the_keyframe_at_any_size(width: int) -> None:
    """Waves move what is behind it; what its edge touches is found at the frame's own size."""
    picture, region = smooth(), torch.zeros(SIZE[1], SIZE[0])
    region[30:60, 50:100] = 1
    view = View.covering(width, width * SIZE[1] // SIZE[0], SIZE)
    frames = []
    for layers in ([(Layer(LayerKind.WAVES, amount=3.0), torch.ones_like(region))], []):
        motion = motion_of(*layers, region=region)
        renderer = Renderer(cut(picture, motion, view).filled(), Moments(motion.plan, 3, 1), view)
        frames.append(renderer[1].picture)
    changed = (frames[0] - frames[1]).abs().amax(dim=0)
    within = F.interpolate(region[None, None], changed.shape, mode="area")[0, 0] > 0
    assert changed[within].max() == 0
    assert changed[~within].max() > 0.003
