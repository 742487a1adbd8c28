"""Dials: bounds, their messages, and where each of them lives."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest

from microcinema_core.errors import InputError
from microcinema_core.shot.dials import Dial, Settings, dials_of
from microcinema_core.shot.plan import SHOT, ShotConfig
from microcinema_core.shot.settings import (
    PICTURE,
    SAMPLING,
    SEED,
    SEGMENTS,
    TSR_BATCH,
    TSR_SAMPLING,
    PictureConfig,
    SamplingConfig,
)

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Radio(Settings):
    """Volume and station."""

    volume: Annotated[float, Dial("How loud.", 0.0, 10.0)] = 3.0
    station: Annotated[str | None, Dial("What plays.", unset="the last one")] = None
    stations: Annotated[int | None, Dial("How many.", 0, 99, above=True, unit="stations", called="the list")] = None


def test_bounds_are_allowed_and_so_is_what_is_not_set() -> None:
    assert [Radio(volume).volume for volume in (0.0, 10.0)] == [0, 10]
    assert Radio(stations=99, station="x").stations == 99
    assert Radio() == Radio(stations=None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"volume": -0.1}, "volume must be between 0 and 10, got -0.1"),
        ({"volume": NAN}, "volume must be between 0 and 10, got nan"),
        ({"stations": 0}, "the list must be above 0 and at most 99 stations, got 0"),
        ({"stations": 100}, "the list must be above 0 and at most 99 stations, got 100"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        Radio(**given)
    assert str(refused.value) == message


def test_dials_are_found_by_their_fields() -> None:
    assert list(dials_of(Radio)) == ["volume", "station", "stations"]
    assert dials_of(Radio)["station"].bounds == ()


@pytest.mark.parametrize("settings", [SHOT, SAMPLING, TSR_SAMPLING, PICTURE])
def test_every_setting_has_a_dial_that_says_what_it_does_and_what_none_means(settings: Settings) -> None:
    dials = dials_of(type(settings))
    assert list(dials) == [field.name for field in fields(settings)]
    for name, dial in dials.items():
        assert dial.help.endswith("."), name
        assert bool(dial.unset) == (getattr(type(settings)(), name) is None), name


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (SamplingConfig, {"steps": 0}),
        (SamplingConfig, {"cfg": NAN}),
        (SamplingConfig, {"gamma": -0.1}),
        (PictureConfig, {"steps": 1001}),
        (PictureConfig, {"width": 63}),
        (ShotConfig, {"frames": 257}),
        (ShotConfig, {"height": 4104}),
        (ShotConfig, {"fps": 0}),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: type[Settings], given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^({next(iter(given))}|the frame rate) must be "):
        settings(**given)


def test_the_dials_of_no_setting_hold_their_defaults_too() -> None:
    SEED.check("seed", 0)
    SEGMENTS.check("tsr_batch", TSR_BATCH)
    with pytest.raises(InputError, match="the batch of segments must be between 1 and 1024, got 0"):
        SEGMENTS.check("tsr_batch", 0)


def test_what_a_picture_does_not_say_is_as_for_a_clip() -> None:
    assert PictureConfig().sampling == SAMPLING
    assert PictureConfig(steps=3, sampler="euler").sampling == SamplingConfig(steps=3, sampler="euler")


def test_a_shot_says_what_was_asked_for() -> None:
    assert ShotConfig().changed() == ShotConfig(passes=2).changed() == {}
    assert ShotConfig(passes=1, motion=0.5, after=2).changed() == {"motion": 0.5, "after": 2, "passes": 1}


@pytest.mark.parametrize("name", ["before", "after", "passes", "fps", "duration"])
def test_one_clip_is_no_more_than_that(name: str) -> None:
    assert ShotConfig(motion=0.5).of_one_clip() == ShotConfig(motion=0.5, passes=0)
    with pytest.raises(InputError, match=f"^{name}: .*`shoot`"):
        ShotConfig.from_dict({name: 1 if name in ("before", "after", "passes") else 1.0}).of_one_clip()
