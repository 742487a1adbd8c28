"""Where in a picture sky, water, plants, people and animals are, and roughly how far away things are."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..motion.layer import Place
from .blobs import without_specks
from .guided import guided
from .network import PLACES, STEP, Network, Seen
from .stored import embedded

AREA = 256 * 352  # pixels of the picture that the network sees
LONGEST = 4.0  # sides of it to each other, at most
SURE, ASKED = 0.5, 0.2  # from here a place is found; and one that somebody says is there
LEAST = 0.003  # share of the picture that a place takes, at least, and each part of it
SOFT = 0.4  # of a share of 0..1, within which a mask goes from nothing to whole
RADIUS, EPSILON = 4, 1e-4  # of the guided filter, in pixels of the small picture and of variance
FIRM = 0.6  # of a mask around 0.5: what it leaves undecided; all else is 0 or 1
SKY = 1000.0  # how far away the sky is
FARTHEST = 900.0  # what is not the sky


@dataclass(frozen=True, slots=True)
class Found:
    """What is where in a picture [3, H, W].

    masks: of each of PLACES, [1, H, W], 0..1, soft at edges; all 0 where it was not found. sure: 0..1, how sure it is
    that the place is there, about where its mask is; found from SURE on, or from ASKED on where somebody says that it
    is there (`asked`). distance: [1, H, W], 1 is the nearest, twice
    is about twice as far, the sky is at 1000; None where the picture is no landscape with a ground.
    """

    masks: Mapping[Place, Tensor]
    sure: Mapping[Place, float]
    distance: Tensor | None
    asked: frozenset[Place] = frozenset()

    @property
    def places(self) -> tuple[Place, ...]:
        """Those that were found."""
        return tuple(place for place in PLACES if self.sure[place] >= least(place, self.asked))


def least(place: Place, asked: Collection[Place]) -> float:
    """From where on a place is found. asked: those that are there, as somebody says."""
    return ASKED if place in asked else SURE


@torch.no_grad()
def find(picture: Tensor, network: Network | None = None, *, asked: Collection[Place] = ()) -> Found:
    """What is where in a picture [3, H, W] (or grey, [1, H, W]), pixels 0..1, on its own device.

    asked: places that are there, as somebody says who asks for what belongs to them; less is then enough. network:
    another than the embedded one. Raises InputError for another shape and for numbers that are no pixels.
    """
    picture = _checked(picture)
    network = embedded(picture.device) if network is None else network
    small, seen, kept = look(network, picture)
    sure = how_sure(features(seen, kept), network.calibration)
    found = [i for i, place in enumerate(PLACES) if sure[i] >= least(place, asked)]
    masks = torch.zeros(len(PLACES), 1, *picture.shape[1:], device=picture.device)
    if found:
        coarse = decided(torch.stack([kept[i] for i in found]))
        for i, soft in zip(found, guided(picture, small, coarse, radius=RADIUS, epsilon=EPSILON), strict=True):
            masks[i, 0] = ((soft - 0.5) / FIRM + 0.5).clamp(0, 1)
    landscape = bool(seen.there[0, -1] > 0)
    return Found(
        dict(zip(PLACES, masks, strict=True)),
        {place: float(value) for place, value in zip(PLACES, sure, strict=True)},
        _distance(seen.distance, masks[0], kept[0]) if landscape else None,
        frozenset(asked),
    )


def _checked(picture: Tensor) -> Tensor:
    if picture.ndim != 3 or picture.shape[0] not in (1, 3) or 0 in picture.shape:
        raise InputError(f"a picture to find places in is [3, H, W] or [1, H, W], got {list(picture.shape)}")
    picture = picture.float()
    if not bool(picture.isfinite().all()):
        raise InputError("a picture to find places in holds numbers that are no pixels (NaN or infinite); mend it")
    return picture.clamp(0, 1).expand(3, -1, -1)


def size_seen(height: int, width: int) -> tuple[int, int]:
    """Height and width of the picture that the network sees: about AREA, about the same shape, multiples of STEP."""
    shape = min(max(width / height, 1 / LONGEST), LONGEST)
    tall = math.sqrt(AREA / shape)
    return max(1, round(tall / STEP)) * STEP, max(1, round(tall * shape / STEP)) * STEP


def look(network: Network, picture: Tensor) -> tuple[Tensor, Seen, Tensor]:
    """A picture [3, H, W] as the network sees it, [3, h, w], what it says of it, and soft masks [4, h, w] of PLACES."""
    small = _small(picture)
    seen = network(small[None])
    shares = against_the_rest(F.interpolate(seen.places, size=small.shape[1:], mode="bilinear", align_corners=False)[0])
    return small, seen, torch.stack([_without_specks(share) for share in shares])


def against_the_rest(logits: Tensor) -> Tensor:
    """Of each of PLACES [4, h, w], from logits [5, h, w]: how likely it is against the likeliest other class."""
    first = logits.topk(2, dim=0).values
    other = torch.where(logits == first[0], first[1], first[0])
    return (logits - other)[1:].sigmoid()


def _small(picture: Tensor) -> Tensor:
    """The picture as the network sees it, [3, h, w]."""
    size = size_seen(*picture.shape[1:])
    return F.interpolate(picture[None], size, mode="bilinear", align_corners=False, antialias=True)[0].clamp(0, 1)


def decided(shares: Tensor) -> Tensor:
    """Soft masks, 0..1, with what is likelier than not made whole: half a sky drifts like a ghost. Same shape."""
    t = ((shares - 0.5) / SOFT + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _without_specks(share: Tensor) -> Tensor:
    """A soft mask [h, w] without what is too small to be one."""
    likely = (share > 0.5).cpu().numpy()
    specks = likely & ~without_specks(likely, math.ceil(LEAST * likely.size))
    about = torch.from_numpy(specks).to(share.device, torch.float32)[None, None]
    return share * (1 - F.max_pool2d(about, 5, 1, 2)[0, 0])


def features(seen: Seen, kept: Tensor) -> Tensor:
    """What `how_sure` goes by, [4, 4]: the picture's own logit, the mask's [4, h, w] certainty as one, its size, and 1.

    A mask that is empty gives NaN.
    """
    inside = kept > 0.5
    area = inside.sum((1, 2))
    certain = ((kept * inside).sum((1, 2)) / area).clamp(max=0.999).logit()
    size = (area / inside[0].numel()).log()
    return torch.stack([seen.there[0, : len(PLACES)], certain, size, torch.ones_like(size)], 1)


def how_sure(values: Tensor, calibration: Tensor) -> np.ndarray:
    """0..1 for each of PLACES, from features [4, 4] and their weights [4, 4]; 0 where there is no mask."""
    return (values * calibration).sum(1).sigmoid().nan_to_num(0).cpu().numpy()


def _distance(logarithms: Tensor, sky: Tensor, small_sky: Tensor) -> Tensor:
    """[1, H, W] from [1, 1, h, w], a sky [1, H, W], and the sky [h, w] as the network sees it."""
    ground = F.interpolate(small_sky[None, None], logarithms.shape[2:], mode="bilinear", align_corners=False) < 0.5
    nearest = logarithms[ground].amin() if bool(ground.any()) else logarithms.amin()
    rough = F.interpolate(logarithms - nearest, sky.shape[1:], mode="bilinear", align_corners=False)[0]
    rough = rough.clamp(0, math.log(FARTHEST))
    return torch.exp(rough + (math.log(SKY) - rough) * sky)
