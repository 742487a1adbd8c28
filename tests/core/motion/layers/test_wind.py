"""Wind: feet stand still, gusts travel, nothing tears."""

import pytest
import torch

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.layers.wind import GUST_SPEED, STEP, Wind
from microcinema_core.motion.moments import Moment
from microcinema_core.motion.scene import Motion

from .surfaced import below, motion_of, rendered, smooth

SIZE = (320, 240)


def wind(motion: Motion) -> Wind:
    surfaces = rendered(smooth(SIZE), motion).surfaces
    assert surfaces is not None
    found = surfaces.warps[0]
    assert isinstance(found, Wind)
    return found


def tree() -> torch.Tensor:
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[40:200, 100:220] = 1
    return mask


def test_it_is_anchored_where_it_stands() -> None:
    blown = wind(motion_of((Layer(LayerKind.WIND), tree())))
    fields = torch.stack([blown.displaced(Moment(0.5, 0.5, seconds=0.4 * i)) for i in range(10)])
    far = fields.square().sum(dim=1).mean(dim=0).sqrt().mean(dim=1)  # of rows, in pixels
    _, y = blown.lattice.points(blown.free)
    rows = {name: (y[:, 0] - at).abs().argmin() for name, at in (("foot", 199), ("low", 190), ("high", 120))}
    assert far[rows["foot"]] < 0.05
    assert far[rows["foot"]] < far[rows["low"]] < far[rows["high"]]
    assert 0.3 < far[rows["high"]] < 0.01 * SIZE[1]


def test_nothing_tears_at_its_border() -> None:
    blown = wind(motion_of((Layer(LayerKind.WIND, amount=2.0), tree())))
    for i in range(6):
        field = blown.displaced(Moment(0.5, 0.5, seconds=0.7 * i))
        steps = field[0].diff(dim=1) / blown.lattice.across
        assert steps.min() > -0.9  # at -1, two pixels become one
        assert steps.max() < 0.9


@pytest.mark.parametrize("direction", [0.0, 180.0])
def test_gusts_travel_along_the_heading(direction: float) -> None:
    blown = wind(motion_of((Layer(LayerKind.WIND, direction=direction), None)))
    steps = 21
    seconds = steps * STEP / GUST_SPEED
    before, after = (blown.blowing(Moment(0.5, 0.5, seconds=at))[0] for at in (0.3, 0.3 + seconds))
    if direction == 180:
        before, after = before.flip(1), after.flip(1)
    assert torch.allclose(before[:, :-steps], after[:, steps:], atol=1e-3)


def test_what_is_farther_moves_less() -> None:
    motion = motion_of((Layer(LayerKind.WIND), below(0, SIZE)))
    far = Motion(motion.plan, (), None, motion.layer_masks, torch.full((1, 4, 4), 9.0))
    near, distant = wind(motion), wind(far)
    moment = Moment(0.5, 0.5, seconds=1.3)
    assert torch.allclose(near.displaced(moment), 3 * distant.displaced(moment), atol=1e-6)


def test_a_gust_does_not_move_what_a_speed_of_nothing_holds() -> None:
    frames = rendered(smooth(SIZE), motion_of((Layer(LayerKind.WIND, speed=0.0), tree())))
    assert torch.equal(frames[3].picture, frames[30].picture)
