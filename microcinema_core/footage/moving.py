"""What moves in a clip, and how: where it is, and its displacements without those of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..motion.taught import LARGEST
from .clips import Clip
from .flow import Flow, blurred, flow_of

LEAST = 0.25  # pixels, root mean square: less is the noise of a camera
SHARE = 0.3  # of what moves most: where more moves, it moves
TOGETHER = 0.6  # of what is seen, moving as one: the camera does
OFF, CAMERA = 0.3, 1.0  # pixels: from frame to frame, still as one; root mean square of a camera's path
ACROSS = 28  # points in a region's size
GOES_ON = 0.65  # of a velocity's mean square: where the mean alone has it, what moves does not come back
SLOW = 3  # the power of time up to which a clip's displacements are levelled: slower ones are not told from errors


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """A clip's region. N points of it: places [N, 2] right and down in its sizes from its box's corner, shares [N, 2],
    0..1 of its box, weights [N], and displacements [T, N, 2] about their means, in its sizes.

    box: left, top, right, bottom in pixels of what was read. energy: [h, w], root mean squares in pixels.
    camera: whether its motion was taken out. goes_on: the share of its velocity that is the same at all times.
    """

    name: str
    fps: float
    places: Tensor
    shares: Tensor
    weights: Tensor
    moved: Tensor
    box: tuple[int, int, int, int]
    energy: Tensor
    camera: bool
    goes_on: float

    @property
    def size(self) -> float:
        """The root mean square of the displacement, in sizes of the region."""
        return math.sqrt(float((self.moved.square().sum(-1).mean(0) * self.weights).sum() / self.weights.sum()))


def moving_in(clip: Clip) -> Moving:
    """Raises InputError where nothing moves, or what moves flows away."""
    flow = flow_of(clip.frames)
    speeds, camera = _without_camera(flow, clip.mask)
    path = torch.cat([torch.zeros_like(speeds[:1]), speeds.cumsum(0)])
    goes_on = _goes_on(speeds, _region(_energy(path - path.mean(0)), flow.sure[0], clip) * flow.sure[0])
    if goes_on > GOES_ON:
        raise InputError(
            f"{clip.name}: what moves in it flows on and does not come back ({goes_on:.0%} of its motion), as that of "
            "flames, smoke and water does; a LoRA of a video model learns such (docs/motion-lora.md)"
        )
    moved = _levelled(path)
    energy = _energy(moved)
    region = _region(energy, flow.sure[0], clip)
    found = _moving(clip, moved, region, flow.sure, energy, camera, goes_on)
    if not len(found.weights) or found.size > LARGEST:
        raise InputError(
            f"{clip.name}: what moves in it is too small for how far it goes, or cannot be followed; film nearer, or "
            f"paint all of the place where it moves ({clip.name.rpartition('.')[0]}.png, white = there)"
        )
    return found


def _moving(
    clip: Clip, moved: Tensor, region: Tensor, sure: Tensor, energy: Tensor, camera: bool, goes_on: float
) -> Moving:
    """moved: [T, 2, h, w] in pixels, region: [h, w] of truths."""
    rows, columns = (region.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    size = math.sqrt(float(region.sum()))
    step = max(1.0, size / ACROSS)
    x, y = torch.meshgrid(
        torch.arange(box[0] + step / 2, box[2], step), torch.arange(box[1] + step / 2, box[3], step), indexing="xy"
    )
    at = torch.stack([x, y], dim=-1).view(-1, 2)
    weights = _read(region * sure, at)[:, 0]
    at, weights = at[weights > 0.05], weights[weights > 0.05]
    corner, sides = torch.tensor(box[:2]), torch.tensor([box[2] - box[0], box[3] - box[1]])
    places, shares, seen = (at - corner) / size, (at - corner) / sides, _read(moved, at) / size
    return Moving(clip.name, clip.fps, places, shares, weights, seen, box, energy, camera, goes_on)


def _without_camera(flow: Flow, mask: Tensor | None) -> tuple[Tensor, bool]:
    """What moves from frame to frame [T, 2, h, w], without a camera's shifts, turns and zooms; whether it had any."""
    height, width = flow.moved.shape[-2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width) * width / height, indexing="ij")
    one, none = torch.ones_like(x), torch.zeros_like(x)
    basis = torch.stack([torch.stack([one, none, x, -y], -1), torch.stack([none, one, y, x], -1)]).view(-1, 4)
    outside = torch.ones_like(x) if mask is None else 1 - mask[0]
    sure = (flow.sure[0] * outside).flatten()
    seen = flow.moved.flatten(1)  # [T, 2 h w]
    camera, off = torch.zeros_like(seen), seen.view(len(seen), 2, -1).square().sum(1).sqrt()
    for _ in range(6):
        trust = (sure / (1 + (off / OFF).square())).repeat(1, 2)
        sides = torch.einsum("ni,tn,nj->tij", basis, trust, basis) + 1e-6 * torch.eye(4)
        found = torch.linalg.solve(sides, ((trust * seen) @ basis)[..., None])[..., 0]
        camera = found @ basis.T
        off = (seen - camera).view(len(seen), 2, -1).square().sum(1).sqrt()
    together = float(((off < OFF) * sure).sum(1).mean() / sure.sum().clamp(min=1e-6))
    path = camera.view_as(flow.moved).cumsum(0)
    far = float((path - path.mean(0)).square().sum(1).mean().sqrt())
    if far < CAMERA or together < TOGETHER:
        return flow.moved, False
    return flow.moved - camera.view_as(flow.moved), True


def _levelled(moved: Tensor) -> Tensor:
    """[T, 2, h, w] without what of each place is a slow curve of time."""
    t = torch.linspace(-1, 1, len(moved), dtype=torch.float64)
    basis, _ = torch.linalg.qr(torch.stack([t**power for power in range(SLOW + 1)], dim=-1))
    basis = basis.to(moved)
    flat = moved.flatten(1)
    return (flat - basis @ (basis.T @ flat)).view_as(moved)


def _region(energy: Tensor, sure: Tensor, clip: Clip) -> Tensor:
    """[h, w] of truths. Raises InputError where nothing moves."""
    smooth = blurred((energy * sure)[None, None], 2.0)[0, 0]
    there = torch.ones_like(smooth, dtype=torch.bool) if clip.mask is None else clip.mask[0] > 0.5
    most = float(smooth[there & (sure > 0.2)].quantile(0.98)) if bool((there & (sure > 0.2)).any()) else 0.0
    if most < LEAST:
        raise InputError(
            f"{clip.name}: nothing moves in it that can be followed; film nearer, or paint where it moves "
            f"({clip.name.rpartition('.')[0]}.png, white = there)"
        )
    if clip.mask is not None:
        return there
    moves = (smooth > SHARE * most).float()[None, None]
    return _largest(blurred(moves, 3.0)[0, 0] > 0.5)


def _largest(region: Tensor) -> Tensor:
    """The largest joined part of truths [h, w], by growing from its thickest place; all of them where there is none."""
    if not bool(region.any()):
        return torch.ones_like(region)
    wide = region.float()[None, None]
    start = blurred(wide, 6.0) * wide
    grown = (start == start.max()).float()
    for _ in range(sum(region.shape)):
        more = F.max_pool2d(grown, 3, 1, 1) * wide
        if torch.equal(more, grown):
            break
        grown = more
    return grown[0, 0] > 0


def _energy(moved: Tensor) -> Tensor:
    """[h, w], the root mean square over time of [T, 2, h, w]."""
    return moved.square().sum(1).mean(0).sqrt()


def _goes_on(speeds: Tensor, weights: Tensor) -> float:
    """The share of a mean square velocity [T, 2, h, w] that its mean at each place has; weights: [h, w]."""
    steady, whole = speeds.mean(0).square().sum(0), speeds.square().sum(1).mean(0)
    return float((steady * weights).sum() / (whole * weights).sum().clamp(min=1e-9))


def _read(field: Tensor, at: Tensor) -> Tensor:
    """Fields [T, C, h, w] or [C, h, w] at places [N, 2] in pixels: [T, N, C] or [N, C]."""
    height, width = field.shape[-2:]
    grid = 2 * at / torch.tensor([width, height]) - 1
    many = field if field.ndim == 4 else field[None]
    seen = F.grid_sample(many, grid.expand(len(many), 1, -1, 2), padding_mode="border", align_corners=False)
    seen = seen[:, :, 0].transpose(1, 2)
    return seen if field.ndim == 4 else seen[0]
