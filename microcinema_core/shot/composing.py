"""The picture's own detail put back at its own size: the model paints only the difference.

A model makes its frames small, through an autoencoder that loses detail. The camera's own frames, drawn at the size
that is wanted, have all of it. What of a frame the model changed is what tells its decoded latents from the decoded
latents of the same frame as the camera drew it; that difference is added to the camera's frame.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

NOTHING = 1 / 512  # of a mask: less than half of what a pixel can show; what is resampled has such rests
Network = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # made, guide, drawn, known at one size -> [N, 3, H, W]


@torch.no_grad()
def compose(
    made: Tensor,
    guide: Tensor,
    drawn: Tensor,
    known: Tensor,
    network: Network | None = None,
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

    Enlarged and shrunk as `resized` does. Frames do not depend on those beside them, so give a few at a time.
    """
    size = (drawn.shape[-2], drawn.shape[-1])
    made, guide = resized(made, size).to(drawn), resized(guide, size).to(drawn)
    known = known.to(drawn)
    composed = (plain if network is None else network)(made, guide, drawn, known).clamp(0, 1)
    return composed if asked is None else torch.lerp(composed, drawn, _kept(known, asked.to(drawn)))


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
