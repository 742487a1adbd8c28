"""What `find` gives, whatever the picture; and that it finds what is there."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from microcinema_core.errors import InputError
from microcinema_core.motion.layer import Place
from microcinema_core.places.find import AREA, SURE, find, size_seen
from microcinema_core.places.network import PLACES, STEP, Network

PICTURES = Path(__file__).parents[3] / "assets" / "pictures"


def shipped(name: str) -> Tensor:
    with Image.open(PICTURES / name) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def certain(places: tuple[float, ...], landscape: float) -> Network:
    """A network that says the same of every pixel: logits of none and PLACES; surely there; a landscape or not."""
    network = Network().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.out.bias[: 1 + len(PLACES)] = torch.tensor(places)
        network.there.bias[:] = torch.tensor([*(9.0 if value > 0 else -9.0 for value in places[1:]), landscape])
    return network


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 8192), (33, 31), (300, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_masks_are_of_the_pictures_own_size(size: tuple[int, int], channels: int) -> None:
    found = find(torch.rand(channels, *size), certain((0, 5, 0, 0, 0), 9.0))
    assert tuple(found.masks) == PLACES
    for mask in (*found.masks.values(), found.distance):
        assert mask is not None
        assert mask.shape == (1, *size)
        assert mask.dtype == torch.float32
        assert mask.isfinite().all()


def test_what_is_sure_is_found_and_the_rest_is_black() -> None:
    found = find(torch.rand(3, 64, 96), certain((0, 0, 5, 0, 0), -9.0))
    assert found.places == (Place.WATER,)
    assert found.sure[Place.WATER] >= SURE
    assert found.masks[Place.WATER].min() > 0.9
    for place in (Place.SKY, Place.PLANTS, Place.PEOPLE):
        assert found.sure[place] == 0
        assert not found.masks[place].any()
    assert found.distance is None


def test_a_landscapes_sky_is_far() -> None:
    found = find(torch.rand(3, 64, 96), certain((0, 9, 0, 0, 0), 9.0))
    assert found.distance is not None
    assert found.distance.min() > 900
    ground = find(torch.rand(3, 64, 96), certain((9, 0, 0, 0, 0), 9.0))
    assert ground.distance is not None
    assert ground.distance.tolist() == torch.ones(1, 64, 96).tolist()


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (torch.rand(4, 8, 8), r"\[4, 8, 8\]"),
        (torch.rand(1, 3, 8, 8), r"\[1, 3, 8, 8\]"),
        (torch.rand(8, 8), r"\[8, 8\]"),
        (torch.rand(3, 0, 8), r"\[3, 0, 8\]"),
        (torch.full((3, 8, 8), math.nan), "NaN"),
        (torch.full((3, 8, 8), math.inf), "infinite"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find(picture)


@pytest.mark.parametrize("size", [(720, 1280), (1280, 720), (360, 720), (1, 1), (40, 8192), (8192, 40)])
def test_the_network_sees_about_the_same_number_of_pixels(size: tuple[int, int]) -> None:
    height, width = size_seen(*size)
    assert height % STEP == width % STEP == 0
    assert 0.75 < height * width / AREA < 1.3
    shape = min(max(size[1] / size[0], 1 / 4), 4)
    assert 0.75 < width / height / shape < 1.3


def test_it_is_repeatable_and_leaves_the_picture_alone() -> None:
    picture = shipped("lake.jpg")
    before = picture.clone()
    once, again = find(picture), find(picture)
    assert torch.equal(picture, before)
    assert once.sure == again.sure
    assert all(torch.equal(once.masks[place], again.masks[place]) for place in PLACES)


def test_a_mirror_image_has_nearly_mirrored_places() -> None:
    """The network sees a picture one way round, and was taught both."""
    picture = shipped("lake.jpg")
    there, back = find(picture), find(picture.flip(2))
    assert there.places == back.places
    for place in PLACES:
        assert ((there.masks[place] > 0.5) == (back.masks[place].flip(2) > 0.5)).float().mean() > 0.97


def test_pixels_in_half_precision_are_pixels() -> None:
    picture = shipped("lake.jpg")[:, ::4, ::4]
    found = find(picture.half())
    assert all(mask.dtype == torch.float32 for mask in found.masks.values())


def test_a_lakes_sky_and_water_are_found() -> None:
    """The water at the lower edge, the sky above the mountains, and neither where the other is."""
    found = find(shipped("lake.jpg"))
    assert {Place.SKY, Place.WATER} <= set(found.places)
    assert found.masks[Place.SKY][0, :90].mean() > 0.9
    assert found.masks[Place.SKY][0, -130:].mean() < 0.05
    assert found.masks[Place.WATER][0, -60:].mean() > 0.9
    assert found.masks[Place.WATER][0, :120].mean() < 0.05
    assert found.distance is not None
    assert found.distance[0, -20:].mean() < found.distance[0, 190:210].mean() < found.distance[0, :20].mean()


def test_a_cup_of_coffee_holds_none_of_it() -> None:
    assert find(shipped("coffee.jpg")).places == ()
    assert find(shipped("coffee.jpg")).distance is None


def test_an_astronaut_is_found() -> None:
    found = find(shipped("astronaut.jpg"))
    assert Place.PEOPLE in found.places
    assert found.masks[Place.PEOPLE][0, 100:400, 180:260].mean() > 0.9
