"""The hold of an exact keyframe, and appearance by its strength."""

import torch

from microcinema_core.models.guide import Guide
from microcinema_core.models.injection import Appearance
from microcinema_core.shot.hold import appearance_at, hold, holding


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_keyframe_stands_at_its_frame_and_nothing_else_moves() -> None:
    latents, keyframe = normal(2, 4, 5, 3, 3), normal(1, 4, 1, 3, 3, seed=1)
    held = hold(latents, Guide(keyframe), 2)
    assert torch.equal(held[:, :, 2:3], keyframe.expand(2, -1, -1, -1, -1))
    assert torch.equal(held[:, :, [0, 1, 3, 4]], latents[:, :, [0, 1, 3, 4]])


def test_a_guide_for_every_frame_holds_that_frames_own() -> None:
    latents, guide = normal(2, 4, 5, 3, 3), Guide(normal(2, 4, 5, 3, 3, seed=1))
    assert torch.equal(hold(latents, guide, 4)[:, :, 4], guide.latents[:, :, 4])


def test_the_denoisers_estimate_is_held_at_every_step() -> None:
    guide, made = Guide(normal(1, 4, 1, 3, 3)), normal(1, 4, 5, 3, 3, seed=1)
    held = holding(lambda y, sigma: made, guide, 0)(made, torch.tensor(1.0))
    assert torch.equal(held, hold(made, guide, 0))


def test_at_strength_0_nothing_is_read() -> None:
    read: list[int] = []

    def appearnet() -> Appearance:
        read.append(1)
        return Appearance(concat=torch.ones(1))

    assert appearance_at(0.0, appearnet) is None
    assert not read
    assert appearance_at(0.5, appearnet).concat == 0.5
