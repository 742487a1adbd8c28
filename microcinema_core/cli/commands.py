"""The other commands: keyframe, inspect, train and publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checkpoint.embedded import NAME, embedded
from ..config import WHOLE, Kind
from ..errors import MAX_DETAIL, InputError, shown
from ..files import check_writable, reachable
from ..shot.settings import PictureConfig, check_prompt, check_seed
from .console import Attention, Debug, Json, Seed, file_size, progress, quiet_libraries, say, show
from .options import gathering

if TYPE_CHECKING:
    from ..training.config import TrainConfig

StageFile = Annotated[Path, typer.Option(help="The stage's file.")]


@gathering
def keyframe(
    *,
    prompt: Annotated[str, typer.Option(help="What the picture shows.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The picture to write (PNG).", show_default=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file, or the local folder of a diffusers text-to-image model such as SDXL, which comes with "
            "its own defaults and sampler.",
            show_default="the embedded one",
        ),
    ] = None,
    picture: PictureConfig,
    seed: Seed = 0,
    attention: Attention = "sdpa",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a picture that can serve as keyframe."""
    check_seed(seed)
    check_prompt(prompt)
    check_writable(out, ".png", (model,))

    from ..backend import attention_named
    from ..checkpoint.format import read_header
    from ..checkpoint.load import expect_text_to_image
    from ..standalone.sampling import check_sampler

    attention_named(attention)
    check_sampler(picture.sampling.sampler)
    model = model or embedded(Kind.IMAGE)
    with reachable(model):
        if not model.is_dir():
            expect_text_to_image(read_header(model), model)
    quiet_libraries()
    from ..standalone.keyframe import ImagePipeline

    with progress("Loading"):
        pipeline = ImagePipeline.from_pretrained(model, attention=attention)
    with progress("Picture") as callback:
        made = pipeline(prompt, picture, seed=seed, callback=callback)
    made.save(out)
    height, width = made.pictures.shape[1:3]
    show([f"{out}: {width}x{height}"], {"out": str(out), **made.settings[0], "width": width, "height": height}, json)


def inspect(
    path: Annotated[Path, typer.Argument(help="A model file or folder, or a clip or picture made here.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a file is and how it was made; no tensor is loaded."""
    from ..media import SETTINGS_SUFFIXES, read_settings

    with reachable(path):
        is_file = path.is_file()
    if is_file and path.suffix.lower() in SETTINGS_SUFFIXES:
        title, details = (
            "made by microcinema",
            {shown(key): shown(str(value), MAX_DETAIL) for key, value in read_settings(path).items()},
        )
    else:
        from ..checkpoint.identify import identify

        found = identify(path)
        title, details = found.title, found.details
    lines = [f"{path}: {title}", *(f"  {name}: {value}" for name, value in details.items())]
    show(lines, {"path": str(path), "title": title, **details}, json)


def train(
    config: Annotated[Path, typer.Argument(help="A stage's configuration, e.g. configs/toybox-video.toml.")],
    minutes: Annotated[
        float | None,
        typer.Option(
            help="End within so many, set-up, report and file included, with the rate run down by then.",
            show_default="as long as its steps take",
        ),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Only say what a step takes of a GPU's memory, also of leaner recipes.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train one stage, or go on where it was stopped."""
    from ..training.budget import TimeBudget

    budget = None if minutes is None else TimeBudget(60 * minutes)  # begun before large libraries are loaded
    try:
        from accelerate import PartialState

        from ..training.config import TrainConfig
        from ..training.loop import train as run_training
        from ..training.stages import build_stage
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}, which is missing; pip install 'microcinema[train]'") from error
    told = TrainConfig.load(config)
    if memory:
        _show_memory(told, json)
        return
    file = run_training(told, build_stage, budget=budget)
    processes = PartialState()
    processes.wait_for_everyone()
    if processes.is_main_process:
        show([str(file)], {"out": str(file)}, json)
    processes.destroy_process_group()


def _show_memory(config: TrainConfig, json: bool) -> None:
    """A line for the recipe as it is, and for each that is leaner."""
    from ..training.memory import GB, leaner, step_memory

    steps = {name: step_memory(one).to_dict() for name, one in leaner(config)}
    columns = list(next(iter(steps.values())))
    width = max(map(len, steps))
    lines = ["GB of a step on the card", " " * width + "".join(f"{column:>9}" for column in columns)]
    lines += [name.ljust(width) + "".join(f"{n / GB:9.1f}" for n in step.values()) for name, step in steps.items()]
    show(lines, {"bytes": steps}, json)


def publish(
    autoencoder: StageFile,
    text: StageFile,
    image: StageFile,
    video: StageFile,
    tsr: StageFile,
    to: Annotated[Path, typer.Option(help="The folder of the public files.")] = Path("weights"),
    name: Annotated[str, typer.Option(help="What their names begin with.")] = NAME,
    debug: Debug = False,
) -> None:
    """Copy the stages' files into one folder under the names by which they find each other."""
    from ..training.publish import publish as publish_files

    sources = dict(zip(WHOLE, (autoencoder, text, image, video, tsr), strict=True))
    for path in publish_files(sources, to, name):
        say(f"{path}: {file_size(path)}")
