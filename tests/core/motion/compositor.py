"""A compositor of two sheets, as plain as can be, and a mesh that stretches, to compare with."""

import torch
from torch import Tensor

from microcinema_core.motion.depth import Sheets, bands


def moved(sheet: Tensor, right: float, down: float = 0.0) -> Tensor:
    """[C, H, W] shifted by pixels, bilinear; beyond its edges its border goes on."""
    height, width = sheet.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return warped(sheet, x - right, y - down)


def warped(sheet: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """[C, H, W] at pixel centres x and y [H, W]."""
    height, width = sheet.shape[-2:]
    x, y = x.double().clamp(0, width - 1), y.double().clamp(0, height - 1)
    left, top = x.floor().long(), y.floor().long()
    right, below = (left + 1).clamp_max(width - 1), (top + 1).clamp_max(height - 1)
    across, along = (x - left).to(sheet), (y - top).to(sheet)
    upper = torch.lerp(sheet[:, top, left], sheet[:, top, right], across)
    lower = torch.lerp(sheet[:, below, left], sheet[:, below, right], across)
    return torch.lerp(upper, lower, along)


def composed(relief: Sheets, right: float, down: float = 0.0) -> dict[str, Tensor]:
    """The two sheets with each plane shifted by its level times (right, down) pixels.

    picture [3, H, W]; source [2, H, W], where in the picture its pixels come from; covered [1, H, W], by the front
    sheet; owner [H, W], which plane of which sheet is seen, -1 where several are.
    """
    height, width = relief.front.shape[-2:]
    where = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")[::-1]).to(relief.front)
    out = torch.zeros(5, height, width)
    covered, owner = torch.zeros(1, height, width), torch.zeros(height, width)
    planes = zip(bands(relief.levels, behind=True), bands(relief.levels), strict=True)
    number = 0
    for pair in planes:
        for sheet, band in zip((relief.back, relief.front), pair, strict=True):
            sample = moved(torch.cat([sheet, where]), right * band.level, down * band.level)
            alpha = band.alpha(sample[3:4])
            if sheet is relief.front:
                alpha = alpha * sample[4:5]
                covered = torch.maximum(covered, alpha)
            out = torch.lerp(out, torch.cat([sample[:3], sample[5:]]), alpha)
            # a plane's soft edge belongs to neither side of it
            number += 1
            owner = torch.where(alpha[0] == 1, number, torch.where(alpha[0] > 0, -1, owner))
    return {"picture": out[:3], "source": out[3:], "covered": covered, "owner": owner}


def stretched(picture: Tensor, disparity: Tensor, right: float) -> tuple[Tensor, Tensor]:
    """The rubber sheet: each pixel from where the disparity says, found by iteration; -> picture, source [2, H, W]."""
    height, width = disparity.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    source = x.float()
    for _ in range(20):
        source = x - right * warped(disparity, source, y)[0]
    return warped(picture, source, y), torch.stack([source, y.float()])


def rubber(source: Tensor, owner: Tensor | None = None, limit: float = 3.0) -> float:
    """Share of pixels drawn out or pressed together by more than `limit`, planes' edges not counted.

    That is, whose right neighbour comes from less than 1/limit or more than limit pixels away.
    """
    steps = source.diff(dim=2).norm(dim=0)
    bad = (steps < 1 / limit) | (steps > limit)
    if owner is not None:
        bad &= (owner.diff(dim=1) == 0) & (owner[:, 1:] >= 0)
    return bad.float().mean().item()
