"""What no plate shows, filled once: broad colour along the edges of what is known, its fine detail mirrored.

A push-pull pyramid takes means down to one cell and comes up again. On the way up, the unknown is smoothed from cell
to cell, more along the picture's edges than across them. What is finer than cells of eight pixels is reflected at the
border of what is known, so that both sides meet there without a seam.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVEL = 3  # of the pyramid, down to which colour is smoothed; finer is detail
SWEEPS = 32  # smoothing steps at each level
SHARE = 0.25  # of a cell known, from which its mean is taken as it is
CONTRAST = 32.0  # how much less is smoothed across an edge than along it, as an exponent
FLAT = 1e-5  # squared gradient below which a picture has no direction
TEXTURE = 0.6  # of the mirrored detail, far from the border; all of it is sharper, and further from the truth
NEARNESS = 3  # a border counts by the distance to minus this
FADE = 16.0  # pixels over which detail falls to that share
NOTHING = 1e-6  # of a weight
WHOLE = 0.99  # known so far, a pixel's detail is mirrored

Level = tuple[Tensor, Tensor]  # means times weight [1, C, h, w], weight [1, 1, h, w]


def fill(
    picture: Tensor, known: Tensor, texture: float = TEXTURE, *, broad: Tensor | None = None, level: int = LEVEL
) -> Tensor:
    """A picture [C, H, W] of any channels, with what is unknown filled from what is known, -> [C, H, W].

    known [1, H, W], 0..1: how far a pixel is a source and is kept; where it is 1, the pixel comes back bit for bit,
    where it is 0, the picture may hold anything. texture, 0..1: how much fine detail is mirrored into what is unknown,
    0 for what must stay smooth, such as a disparity. Where nothing is known anywhere: zeros.
    broad: [C, H, W], what somebody else has made of the picture, in the place of the pyramid's colour. level: of the
    pyramid, down to which colour is smoothed from cell to cell.
    """
    exact = torch.promote_types(picture.dtype, torch.float32)
    weight = known.to(exact)
    given = torch.where(known > 0, picture, 0).to(exact)
    filled = _broad(given, weight, level) if broad is None else broad.to(exact)
    whole = known[0] >= WHOLE
    if texture > 0 and not whole.all():
        filled = filled + _mirrored((given - filled) * whole, whole, texture)
    return torch.where(known == 1, picture, torch.lerp(filled, given, weight).to(picture.dtype))


def filled_latents(latents: Tensor, known: Tensor) -> Tensor:
    """Latents [N, C, h, w] whose cells that are not known, [N, 1, h, w] of 0 and 1, are filled from those that are."""
    return torch.stack([fill(one, where, texture=0, level=0) for one, where in zip(latents, known, strict=True)])


def _broad(picture: Tensor, known: Tensor, level: int) -> Tensor:
    """Colour without detail, everywhere: [C, H, W] and its weight [1, H, W] -> [C, H, W]."""
    colours = _pyramid(picture[None] * known, known[None])
    slopes = _pyramid(*_slopes(picture[None], known[None]))
    stop = min(level, len(colours) - 1)
    colour, slope = (_means(levels[-1]) for levels in (colours, slopes))
    for i in reversed(range(stop, len(colours) - 1)):
        slope = _relaxed(_doubled(slope, slopes[i]), slopes[i], None, sweeps=2)
        ways = _ways(_around(_around(slope)))
        colour = _relaxed(_doubled(colour, colours[i]), colours[i], ways, SWEEPS)
    for i in reversed(range(stop)):
        colour = _doubled(colour, colours[i])
    return colour[0]


def _pyramid(colour: Tensor, weight: Tensor) -> list[Level]:
    """Means of four, and of four of those, down to one cell."""
    levels = [(colour, weight)]
    while max(levels[-1][1].shape[-2:]) > 1:
        both = torch.cat(levels[-1], 1)
        height, width = both.shape[-2:]
        both = F.avg_pool2d(F.pad(both, (0, width % 2, 0, height % 2), mode="replicate"), 2)
        levels.append((both[:, :-1], both[:, -1:]))
    return levels


def _means(level: Level) -> Tensor:
    colour, weight = level
    return torch.where(weight > NOTHING, colour / weight.clamp_min(NOTHING), 0)


def _doubled(coarse: Tensor, level: Level) -> Tensor:
    """To the next finer level's size."""
    height, width = level[0].shape[-2:]
    return F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]


def _relaxed(colour: Tensor, level: Level, ways: list[Tensor] | None, sweeps: int) -> Tensor:
    """Each cell as its neighbours, as far as it is not known itself. No flow leaves the picture."""
    own, keep = _means(level), (level[1] / SHARE).clamp_max(1)
    colour = torch.lerp(colour, own, keep)
    for _ in range(sweeps):
        colour = torch.lerp(_around(colour, ways), own, keep)
    return colour


def _around(cells: Tensor, ways: list[Tensor] | None = None) -> Tensor:
    """Means of each cell's neighbours [1, C, h, w]: of four, or of eight by what `_ways` gives."""
    height, width = cells.shape[-2:]
    wide = F.pad(cells, (1, 1, 1, 1), mode="replicate")

    def pair(down: int, right: int) -> Tensor:
        return (
            wide[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]
            + wide[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]
        )

    if ways is None:
        return (pair(0, 1) + pair(1, 0)) / 4
    across, along, falling, rising = ways
    return across * pair(0, 1) + along * pair(1, 0) + falling * pair(1, 1) + rising * pair(1, -1)


def _slopes(picture: Tensor, known: Tensor) -> Level:
    """Products of gradients [1, 3, H, W] (xx, xy, yy) where all that they are made of is known, and where that is."""
    grey = F.pad(picture.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    whole = F.pad((known >= WHOLE).to(picture), (1, 1, 1, 1))
    right, left, down, up = (_beside(grey, side) for side in range(4))
    x, y = (right - left) / 2, (down - up) / 2
    weight = torch.stack([_beside(whole, side) for side in range(4)]).amin(0) * whole[..., 1:-1, 1:-1]
    return torch.cat([x * x, x * y, y * y], 1) * weight, weight


def _beside(wide: Tensor, side: int) -> Tensor:
    """The neighbour at the right, left, below or above; of [..., H + 2, W + 2], [..., H, W]."""
    return (wide[..., 1:-1, 2:], wide[..., 1:-1, :-2], wide[..., 2:, 1:-1], wide[..., :-2, 1:-1])[side]


def _ways(slope: Tensor) -> list[Tensor]:
    """How much a cell takes from its neighbours: across, along, and on both diagonals; each counts twice, all are 1."""
    xx, xy, yy = slope.split(1, 1)
    power = -CONTRAST / (xx + yy + FLAT)
    steep = [xx, yy, (xx + yy) / 2 + xy, (xx + yy) / 2 - xy]
    ways = [torch.exp(power * (s - torch.stack(steep).amin(0))) for s in steep]
    ways = [*ways[:2], ways[2] / 2, ways[3] / 2]  # a diagonal neighbour is further away
    total = 2 * torch.stack(ways).sum(0)
    return [way / total for way in ways]


def _mirrored(detail: Tensor, whole: Tensor, texture: float) -> Tensor:
    """Detail [C, H, W] reflected at the borders of what is whole [H, W], fading to `texture`; 0 where it is whole.

    Rows and columns that hold nothing whole take, in a second turn, from what the first has made.
    """
    made, done = _reflected(detail, whole, texture)
    if not done.all():
        made, _ = _reflected(made, done, 1.0)
    return made * ~whole


def _reflected(detail: Tensor, whole: Tensor, texture: float) -> tuple[Tensor, Tensor]:
    """Along rows and columns, the nearest border counting most; and which pixels have detail now."""
    height, width = whole.shape
    flat, is_whole = detail.flatten(1), whole.flatten()
    total, weight = torch.zeros_like(flat), torch.zeros_like(flat[0])
    for lines, length, stride in ((whole, width, 1), (whole.T, height, width)):
        missing, places, before, after = _runs(lines)
        if stride > 1:
            missing = missing % height * width + missing // height
        for way, steps in ((-1, before), (1, after)):
            there = places + way * (2 * steps - 1)
            inside = (there >= 0) & (there < length)
            source = torch.where(inside, missing + (there - places) * stride, missing)
            near = steps.to(detail) ** -NEARNESS * (inside & is_whole[source])
            total[:, missing] += flat[:, source] * near
            weight[missing] += near
    done = weight > 0
    weight = weight.clamp_min(NOTHING**2)
    share = texture + (1 - texture) * torch.exp(-(weight ** (-1 / NEARNESS)) / FADE)
    made = torch.where(is_whole, flat, total / weight * share)
    return made.view_as(detail), (is_whole | done).view_as(whole)


def _runs(whole: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What is not whole in lines [N, L], row by row: flat places, places in the line, steps to the run's two ends."""
    (missing,) = torch.nonzero(~whole.flatten(), as_tuple=True)
    places = missing % whole.shape[1]
    first = (missing.diff(prepend=missing[:1] - 2) != 1) | (places == 0)
    run = first.cumsum(0) - 1
    start, end = missing[first][run], missing[first.roll(-1)][run]
    return missing, places, missing - start + 1, end - missing + 1
