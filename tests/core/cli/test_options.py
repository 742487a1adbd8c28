"""Options made of settings: what each command takes, what it says of it, and that the settings come back whole."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from microcinema_core import cli
from microcinema_core.cli.animate import GRID
from microcinema_core.cli.options import gathering
from microcinema_core.motion.plan import Camera, Relief
from microcinema_core.shot.dials import Dial, Settings, dials_of
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import TSR_STEPS, PictureConfig, SamplingConfig

MANUAL = Path(__file__).parents[3] / "docs" / "usage.md"
# Every option with the default that `--help` shows; None: it shows none.
ANIMATE = {
    "still": None, "--prompt": None, "--out": None, "--image": None, "--keyframe-prompt": None,
    "--keyframe-model": "the embedded one", "--keyframe-out": "beside the clip", "--contact-sheet": None,
    "--horizontal": "0.0", "--vertical": "0.0", "--dolly": "0.0", "--pan": "0.0", "--tilt": "0.0", "--zoom": "1.0",
    "--roll": "0.0", "--shake": "0.0", "--fov": "50.0", "--ease": "ease_in_out", "--region": None, "--layer": None,
    "--masks-in": None, "--masks-out": None, "--everywhere": "False", "--plan": None,
    "--depth": None, "--depth-kind": "disparity", "--depth-range": "4.0", "--depth-planes": "16",
    "--plates-out": None, "--plates-in": None, "--fill": "a smooth filling with mirrored detail",
    "--preview": "False", "--paint": "False", "--paint-in": None,
    "--model": "none: the camera alone moves", "--tsr-model": "NAME-tsr beside NAME-video", "--lora": None,
    "--steps": "12", "--cfg": "2.0", "--sampler": "dpmpp_2m", "--gamma": "the model's", "--seed": "0",
    "--keyframe-at": "centre", "--exact-keyframe": "where AppearNet is not trained", "--strength": "1.0",
    "--share-attention": "False", "--motion": "1.0", "--frames": "the model's", "--extend-before": "0",
    "--extend-after": "0", "--passes": "2", "--tsr-steps": "4", "--fps": "what the passes give",
    "--duration": "one clip", "--resampling": "nearest", "--loop": "none", "--width": "the model's",
    "--height": "the model's", "--resize": "crop", "--grid": "1", "--attention": "sdpa", "--precision": "auto",
    "--compile": "none", "--json": "False", "--debug": "False",
}  # fmt: skip
KEYFRAME = {
    "--prompt": None, "--out": None, "--model": "the embedded one", "--steps": "12", "--cfg": "2.0",
    "--sampler": "dpmpp_2m", "--width": "the model's", "--height": "the model's", "--seed": "0", "--attention": "sdpa",
    "--json": "False", "--debug": "False",
}  # fmt: skip
TRAIN = {
    "config": "None", "--minutes": "as long as its steps take", "--memory": "False", "--json": "False",
    "--debug": "False",
}  # fmt: skip
SHARDS = {"source": None, "--out": None, "--size": "500", "--workers": "4", "--json": "False", "--debug": "False"}
TEACH = {"clips": None, "--out": None, "--sheet": "beside the file", "--json": "False", "--debug": "False"}
REQUIRED = {
    "animate": set(), "keyframe": {"--prompt", "--out"}, "shards": {"source", "--out"}, "train": {"config"},
    "teach": {"clips", "--out"},
}  # fmt: skip


def parameters(command: str) -> dict[str, Any]:
    group: Any = typer.main.get_command(cli.app)
    return {parameter.opts[0]: parameter for parameter in group.commands[command].params}


def shown(parameter: Any) -> str | None:
    if parameter.show_default is False:
        return None
    return parameter.show_default if isinstance(parameter.show_default, str) else str(parameter.default)


@pytest.mark.parametrize(
    ("command", "expected"),
    [("animate", ANIMATE), ("keyframe", KEYFRAME), ("shards", SHARDS), ("train", TRAIN), ("teach", TEACH)],
)
def test_a_command_takes_what_it_always_took(command: str, expected: dict[str, str | None]) -> None:
    found = parameters(command)
    assert {name: shown(parameter) for name, parameter in found.items()} == expected
    required = {name for name, parameter in found.items() if parameter.required}
    assert required == REQUIRED[command]


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        *(("animate", settings) for settings in (SamplingConfig, ShotConfig, Camera, Relief)),
        ("keyframe", PictureConfig),
    ],
)
def test_the_help_is_the_dial_s_with_its_bounds(command: str, settings: type[Settings]) -> None:
    found = parameters(command)
    for name, dial in dials_of(settings).items():
        said = found["--" + (dial.option or name).replace("_", "-")].help
        assert said.startswith(dial.help.rstrip("."))
        assert all(bound in said for bound in dial.bounds)


def test_the_manual_names_the_dials_bounds() -> None:
    dials = {**dials_of(ShotConfig), **dials_of(SamplingConfig), "grid": GRID, "tsr_steps": TSR_STEPS}
    rows = re.findall(r"^\| `--([\w-]+)` \|.*\| ([^|]*\d[^|]*) \|$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    checked = {name: re.findall(r"\d+", limits) for name, limits in rows if name.replace("-", "_") in dials}
    assert len(checked) > 8
    for name, limits in checked.items():
        assert tuple(limits) == dials[name.replace("-", "_")].bounds, name


@dataclass(frozen=True, slots=True)
class Radio(Settings):
    """Volume and station."""

    volume: Annotated[float, Dial("How loud.", 0.0, 10.0, option="loud")] = 3.0
    station: Annotated[str | None, Dial("What plays.", unset="the last one")] = None
    stereo: Annotated[bool, Dial("With two speakers.")] = False


def run(command: Any, *words: str) -> None:
    app = typer.Typer()
    app.command()(gathering(command))
    typer.main.get_command(app).main(list(words), standalone_mode=False)


def test_settings_come_back_whole_beside_other_options() -> None:
    heard: list[Any] = []

    def listen(*, radio: Radio, to: Annotated[str, typer.Option()] = "news") -> None:
        heard.append((radio, to))

    run(listen, "--loud", "7", "--stereo", "--to", "music")
    run(listen)
    assert heard == [(Radio(7.0, stereo=True), "music"), (Radio(), "news")]


def test_an_option_of_the_command_stands_for_the_field() -> None:
    heard: list[Any] = []

    def listen(*, radio: Radio, stereo: Annotated[bool | None, typer.Option("--stereo/--mono")] = None) -> None:
        heard.append((radio, stereo))

    for words in ([], ["--stereo"], ["--mono"]):
        run(listen, *words)
    assert heard == [(Radio(), None), (Radio(), True), (Radio(), False)]
