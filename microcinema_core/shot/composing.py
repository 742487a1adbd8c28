"""The picture's own detail put back at its own size: the model paints only the difference.

A model makes its frames small, through an autoencoder that loses detail. The camera's own frames, drawn at the size
that is wanted, have all of it. What of a frame the model changed is what tells its decoded latents from the decoded
latents of the same frame as the camera drew it; that difference is added to the camera's frame.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.composer import Composer

NOTHING = 1 / 512  # of a mask: less than half of what a pixel can show; what is resampled has such rests
TILE = 1024  # pixels of a part of a frame that goes through the network at once, without what lies around it


@torch.no_grad()
def compose(
    made: Tensor,
    guide: Tensor,
    drawn: Tensor,
    known: Tensor,
    network: Composer | None = None,
    asked: Tensor | None = None,
) -> Tensor:
    """Frames [N, 3, H, W] of what a model made, with the detail of the camera's own; pixels 0..1.

    made: D(z), [N, 3, h, w], the model's latents decoded. guide: D(g), [N, 3, h, w], the camera's frames at the model's
    size, encoded and decoded by the same autoencoder, holes filled as in `drawn`. drawn: the camera's own frames,
    [N, 3, H, W]; H and W may be any multiple of h and w or none. known: [N, 1, H, W] in 0..1, how much of each place
    the keyframe shows. network: the composer; None: the plain form, made + known * (drawn - guide), all at H x W.

    asked: [N, 1, H, W] in 0..1, where anything was asked of the model besides filling what is not known: a mask of
    Scene or of the artist; None: everywhere. Where nothing was, the difference is switched off, not hoped to be small:
    at asked = 0 and known = 1 (within 1/512) a frame is the camera's, bit for bit; between, the two are mixed. A frame
    with nothing asked and all known (`switched_off`) needs neither `made` nor `guide`: leave it out and take `drawn`.

    Enlarged and shrunk as `resized` does. One frame after the other and, in the network, one tile after the other, each
    as the whole frame has it: beside the frames given and returned, 0.6 GB are used at 2048x2048; of a larger frame its
    enlargements take more.
    """
    out = torch.empty_like(drawn)
    for index in range(len(drawn)):
        part = slice(index, index + 1)
        kept = None if asked is None else _kept(known[part].to(drawn), asked[part].to(drawn))
        if kept is not None and bool((kept == 1).all()):
            out[part] = drawn[part]
            continue
        composed = _composed(made[part], guide[part], drawn[part], known[part].to(drawn), network).clamp_(0, 1)
        out[part] = composed if kept is None else torch.lerp(composed, drawn[part], kept)
    return out


def _composed(made: Tensor, guide: Tensor, drawn: Tensor, known: Tensor, network: Composer | None) -> Tensor:
    """One frame [1, 3, H, W], as `compose` takes it, before it is clamped."""
    height, width = drawn.shape[-2:]
    made, guide = (resized(small.to(drawn), (height, width)) for small in (made, guide))
    if network is None:
        return plain(made, guide, drawn, known)
    out = torch.empty_like(drawn)
    tile = TILE - TILE % network.multiple
    for top, bottom, above, below in _spans(height, tile, network.reach):
        for left, right, before, beyond in _spans(width, tile, network.reach):
            around = (..., slice(above, below), slice(before, beyond))
            seen = network(made[around], guide[around], drawn[around], known[around])
            out[..., top:bottom, left:right] = seen[..., top - above : bottom - above, left - before : right - before]
    return out


def _spans(length: int, tile: int, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """Where tiles begin and end along a side, and where what is seen of them begins and ends."""
    for start in range(0, length, tile):
        end = min(start + tile, length)
        yield start, end, max(0, start - reach), min(end + reach, length)


def plain(made: Tensor, guide: Tensor, drawn: Tensor, known: Tensor) -> Tensor:
    """What the model changed, added where the frame is known: [N, 3, H, W] of three such and known [N, 1, H, W]."""
    return made + known * (drawn - guide)


def switched_off(known: Tensor, asked: Tensor) -> Tensor:
    """Which frames are the camera's own, whatever the model made of them: [N] of known and asked, [N, 1, H, W]."""
    return (_kept(known, asked.to(known)) == 1).flatten(1).all(dim=1)


def _kept(known: Tensor, asked: Tensor) -> Tensor:
    """How much of each place is the camera's own, whatever the model made of it: [N, 1, H, W]."""
    kept = (1 - asked) * known
    return torch.where(kept > 1 - NOTHING, 1, kept)


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames [N, C, h, w] in 0..1 at height and width `size`: bicubic, antialiased where they shrink."""
    height, width = pixels.shape[-2:]
    if (height, width) == size:
        return pixels
    shrinks = size[0] < height or size[1] < width
    return F.interpolate(pixels, size, mode="bicubic", align_corners=False, antialias=shrinks).clamp(0, 1)
