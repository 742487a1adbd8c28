"""The pretend device itself: it computes what the CPU does, and devices that mix raise where they would on a card."""

from __future__ import annotations

from collections.abc import Callable

import pretend_device
import pytest
import torch
import torch.nn.functional as F
from pretend_device import DEVICE, DevicesMixError
from torch import Tensor, nn

Mix = Callable[[Tensor, Tensor], object]  # (there [2, 2], here [2, 2])


def pair() -> tuple[Tensor, Tensor]:
    """The same numbers there and here."""
    here = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    return here.to(DEVICE), here


MIXES: dict[str, Mix] = {
    "add": lambda there, here: here + there,
    "a number of the device": lambda there, here: here * there.sum(),
    "matrices": lambda there, here: there @ here,
    "in place": lambda there, here: there.mul_(here),
    "a number in place": lambda there, here: torch.tensor(1.0).add_(there.sum()),
    "where": lambda there, here: torch.where(there > 1, there, here),
    "foreach lerp": lambda there, here: torch._foreach_lerp_([here], [there], 0.5),
    "foreach add": lambda there, here: torch._foreach_add_([there], [here]),
    "cat": lambda there, here: torch.cat([there, here]),
    "stack of numbers": lambda there, here: torch.stack([there.sum(), here.sum()]),
    "an index of the device": lambda there, here: here[torch.tensor([1], device=DEVICE)],
    "values put": lambda there, here: there.index_put_((torch.tensor([0]),), here[1]),
    "an embedding's numbers": lambda there, here: F.embedding(torch.tensor([0]), there),
    "weights": lambda there, here: F.conv2d(there[None, None], here[None, None]),
    "a layer": lambda there, here: nn.Linear(2, 2)(there),
    "a loss": lambda there, here: F.mse_loss(there, here),
    "numpy": lambda there, here: there.numpy(),
}
MEETINGS: dict[str, Mix] = {
    "a number of the CPU": lambda there, here: there + torch.tensor(1.0),
    "copied": lambda there, here: here.clone().copy_(there),
    "copied there": lambda there, here: there.clone().copy_(here),
    "an index of the CPU": lambda there, here: there[torch.tensor([1, 0])],
    "put at an index of the CPU": lambda there, here: there.index_put_((torch.tensor([0]),), torch.tensor(1.0)),
    "moved like": lambda there, here: here.to(there) + there,
    "made there": lambda there, here: torch.arange(2, device=DEVICE) + torch.tensor([1.0, 2.0], device=DEVICE) * there,
}


@pytest.mark.parametrize("name", MIXES)
def test_devices_that_mix_raise(name: str, pretend: torch.device) -> None:
    with pytest.raises((DevicesMixError, RuntimeError), match=r"expected all tensors on one device|\.numpy\(\)"):
        MIXES[name](*pair())


@pytest.mark.parametrize("name", MEETINGS)
def test_moves_numbers_and_positions_do_not(name: str, pretend: torch.device) -> None:
    MEETINGS[name](*pair())


def test_random_numbers_come_from_the_cpu(pretend: torch.device) -> None:
    there, _ = pair()
    for draw in (lambda: torch.randn(2, device=pretend), lambda: torch.rand_like(there), there.normal_):
        with pytest.raises(DevicesMixError, match="draws random numbers on the device"):
            draw()
    with pytest.raises(NotImplementedError):
        torch.Generator(pretend)


def test_what_waits_is_counted(pretend: torch.device) -> None:
    there, here = pair()
    pretend_device.waits.clear()
    torch.full((), 2.0, device=pretend) * there
    here.to(pretend, non_blocking=True)
    assert not pretend_device.waits
    there.sum().item()
    there.cpu()
    torch.tensor([1.0], device=pretend)
    assert bool(there.any())
    assert len(pretend_device.waits) == 4


def test_a_network_learns_as_on_the_cpu(pretend: torch.device) -> None:
    """Forwards, backwards, AdamW and autocast; parameters stay the same objects when they move."""
    shown = torch.rand(2, 4, 8, 8)

    def learnt(device: torch.device) -> list[Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.SiLU(), nn.Conv2d(8, 4, 3))
        optimiser = torch.optim.AdamW(net.parameters())
        net.to(device)
        assert all(a is b for a, b in zip(net.parameters(), optimiser.param_groups[0]["params"], strict=True))
        for _ in range(2):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"):
                net(shown.to(device)).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
        assert {p.device for p in net.parameters()} == {device}
        return [p.detach().cpu() for p in net.parameters()]

    assert all(map(torch.equal, learnt(pretend), learnt(torch.device("cpu"))))


def test_views_share_what_they_show(pretend: torch.device) -> None:
    there, _ = pair()
    there[0].add_(10)
    there.view(-1)[3] = 7
    assert there.tolist() == [[11.0, 12.0], [3.0, 7.0]]
    assert there.T.contiguous().stride() == (2, 1)
