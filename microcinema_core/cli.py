"""The command line. Exit codes: 0 done, 1 failed, 2 wrong input or usage, 130 interrupted.

Commands import what they need when they run, so that `--help` and wrong input answer at once.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import __version__
from .checkpoint.embedded import NAME, STAGES, embedded
from .clip.settings import SamplingConfig, check_prompt, check_seed
from .clip.timing import check_frames, keyframe_index
from .errors import Cancelled, InputError, MicroCinemaError

if TYPE_CHECKING:
    from PIL import Image

    from .config import ModelConfig

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
DEFAULTS = SamplingConfig()
# click's class, which newer versions of typer carry inside themselves.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    help="A picture and a sentence become a short video (arXiv 2311.18829).",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong input or usage, 130 interrupted.",
)


def _remember_debug(context: typer.Context, value: bool) -> bool:
    context.find_root().obj["debug"] = value
    return value


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"microcinema {__version__}")
        raise typer.Exit


Prompt = Annotated[str, typer.Option("--prompt", help="What happens.", show_default=False)]
Model = Annotated[Path | None, typer.Option("--model", help="Model file.", show_default="the embedded one")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps, 1 to 1000.", show_default=str(DEFAULTS.steps))]
Cfg = Annotated[
    float | None, typer.Option(help="How strongly to follow the prompt, 0 to 100.", show_default=str(DEFAULTS.cfg))
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="euler, euler_ancestral, dpmpp_2m, or diffusers:NAME, e.g. diffusers:unipc.", show_default=DEFAULTS.sampler
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Attention = Annotated[str, typer.Option(help="sdpa or xformers.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show a traceback on errors.", callback=_remember_debug, is_eager=True)
]


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Keyframe and prompt to video."""


@app.command()
def animate(
    prompt: Prompt,
    out: Annotated[
        str,
        typer.Option(
            help="*.mp4: a video. NAME.png or NAME-%04d.png: numbered pictures. FOLDER/: a folder of them.",
            show_default=False,
        ),
    ],
    image: Annotated[Path | None, typer.Option(help="The keyframe: a picture of any size.", show_default=False)] = None,
    keyframe_prompt: Annotated[
        str | None, typer.Option(help="Make the keyframe from this text instead.", show_default=False)
    ] = None,
    keyframe_model: Annotated[
        Path | None, typer.Option(help="What makes it; see `keyframe --model`.", show_default="the embedded one")
    ] = None,
    keyframe_out: Annotated[
        Path | None, typer.Option(help="Where to keep it (PNG).", show_default="beside the clip")
    ] = None,
    model: Model = None,
    steps: Steps = None,
    cfg: Cfg = None,
    gamma: Annotated[
        float | None,
        typer.Option(help="Share of the keyframe in the starting noise, 0 to 1.", show_default="the model's"),
    ] = None,
    seed: Seed = 0,
    sampler: Sampler = None,
    keyframe_at: Annotated[str, typer.Option(help="centre, first, last, or the frame's index from 0.")] = "centre",
    frames: Annotated[int | None, typer.Option(help="Number of frames.", show_default="the model's")] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Also write all frames as one picture (PNG).", show_default=False)
    ] = None,
    attention: Attention = "sdpa",
    debug: Debug = False,
) -> None:
    """Make a clip around a keyframe."""
    started = time.monotonic()
    config = SamplingConfig.of(steps, cfg, sampler, gamma)
    check_seed(seed)
    check_prompt(prompt)
    if (image is None) == (keyframe_prompt is None):
        raise InputError("give either --image or --keyframe-prompt")
    if keyframe_prompt is None and (keyframe_model or keyframe_out):
        raise InputError("--keyframe-model and --keyframe-out go with --keyframe-prompt")

    from . import media

    target = media.Target.of(out)
    if contact_sheet is not None:
        media.check_writable(contact_sheet, ".png")
    picture = None if image is None else media.read_picture(image)
    model = model or embedded("video")
    _check_clip(model, config, attention, frames, keyframe_at)
    if keyframe_prompt is not None:
        kept = keyframe_out or target.beside("keyframe.png")
        picture = _make_keyframe(keyframe_prompt, keyframe_model or embedded("image"), kept, seed)

    pipeline_type = _pipeline().MicroCinemaPipeline
    with _progress("Loading"):
        pipeline = pipeline_type.from_pretrained(model, attention=attention)
    with _progress("Frames") as callback:
        clips = pipeline(
            picture,
            prompt,
            steps=steps,
            cfg=cfg,
            sampler=sampler,
            gamma=gamma,
            seed=seed,
            keyframe_at=keyframe_at,
            frames=frames,
            callback=callback,
        )
    made, settings = clips.frames[0], clips.settings[0]
    media.save_clip(out, made, clips.fps, settings)
    if contact_sheet is not None:
        media.save_picture(contact_sheet, media.contact_sheet(made), settings)
    count, height, width = made.shape[:3]
    seconds = time.monotonic() - started
    typer.echo(f"{target.path}: {count} frames of {width}x{height} at {clips.fps:g} fps, made in {seconds:.1f} s")


def _check_clip(
    model: Path, config: SamplingConfig, attention: str, frames: int | None, keyframe_at: str
) -> ModelConfig:
    """All that can be wrong with these, from the model's header alone."""
    from .backend import attention_named
    from .checkpoint.format import read_header
    from .checkpoint.load import expect_kind
    from .config import Kind
    from .generation import check_sampler

    attention_named(attention)
    check_sampler(config.sampler)
    header = read_header(model)
    expect_kind(header, model, Kind.VIDEO)
    keyframe_index(keyframe_at, check_frames(header.config.clip.frames if frames is None else frames))
    return header.config


def _make_keyframe(prompt: str, model: Path, out: Path, seed: int) -> Image.Image:
    from . import media

    check_prompt(prompt)
    media.check_writable(out, ".png")
    with _progress("Loading"):
        pipeline = _pipeline().ImagePipeline.from_pretrained(model)
    with _progress("Keyframe") as callback:
        made = pipeline(prompt, seed=seed, callback=callback)
    made.save(out)
    typer.echo(f"{out}: the keyframe")
    return media.to_picture(made.pictures[0])


@app.command()
def keyframe(
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
    steps: Steps = None,
    cfg: Cfg = None,
    seed: Seed = 0,
    sampler: Sampler = None,
    width: Annotated[int | None, typer.Option(help="For diffusers folders.", show_default="the model's")] = None,
    height: Annotated[int | None, typer.Option(help="For diffusers folders.", show_default="the model's")] = None,
    attention: Attention = "sdpa",
    debug: Debug = False,
) -> None:
    """Make a picture that can serve as keyframe."""
    config = SamplingConfig.of(steps, cfg, sampler)
    check_seed(seed)
    check_prompt(prompt)

    from . import media
    from .backend import attention_named
    from .checkpoint.format import read_header
    from .checkpoint.load import expect_kind
    from .config import Kind
    from .generation import check_sampler

    media.check_writable(out, ".png")
    attention_named(attention)
    check_sampler(config.sampler)
    model = model or embedded("image")
    if not model.is_dir():
        expect_kind(read_header(model), model, Kind.IMAGE)
    with _progress("Loading"):
        pipeline = _pipeline().ImagePipeline.from_pretrained(model, attention=attention)
    with _progress("Picture") as callback:
        made = pipeline(
            prompt, steps=steps, cfg=cfg, sampler=sampler, seed=seed, width=width, height=height, callback=callback
        )
    made.save(out)
    height, width = made.pictures.shape[1:3]
    typer.echo(f"{out}: {width}x{height}")


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A model file or folder, or a clip or picture made here.")],
    debug: Debug = False,
) -> None:
    """Say what a file is and how it was made; no tensor is loaded."""
    if path.is_file() and path.suffix.lower() in (".mp4", ".png"):
        from .media import read_settings

        title, details = "made by microcinema", {key: str(value) for key, value in read_settings(path).items()}
    else:
        from .checkpoint.identify import identify

        found = identify(path)
        title, details = found.title, found.details
    typer.echo(f"{path}: {title}")
    for name, value in details.items():
        typer.echo(f"  {name}: {value}")


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A stage's configuration, e.g. configs/toybox-video.toml.")],
    debug: Debug = False,
) -> None:
    """Train one stage, or go on where it was stopped."""
    try:
        from .training.config import TrainConfig
        from .training.loop import train as run_training
        from .training.stages import build_stage
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}, which is missing; pip install 'microcinema[train]'") from error
    typer.echo(run_training(TrainConfig.load(config), build_stage))


@app.command(hidden=True)
def publish(
    autoencoder: Annotated[Path, typer.Option(help="The stage's file.")],
    text: Annotated[Path, typer.Option(help="The stage's file.")],
    image: Annotated[Path, typer.Option(help="The stage's file.")],
    video: Annotated[Path, typer.Option(help="The stage's file.")],
    tsr: Annotated[Path, typer.Option(help="The stage's file.")],
    to: Annotated[Path, typer.Option(help="The folder of the public files.")] = Path("weights"),
    name: Annotated[str, typer.Option(help="What their names begin with.")] = NAME,
    debug: Debug = False,
) -> None:
    """Copy the stages' files into one folder under the names by which they find each other."""
    from .checkpoint.publish import publish as publish_files

    sources = dict(zip(STAGES, (autoencoder, text, image, video, tsr), strict=True))
    for path in publish_files(sources, to, name):
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _pipeline() -> Any:
    """The pipeline's module, with the libraries below it kept from talking."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    from . import pipeline

    return pipeline


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int, Any], None]]:
    """A bar on a terminal, nothing elsewhere; gives the callback that moves it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def callback(step: int, steps: int, _: Any) -> None:
            bar.update(task, completed=step, total=steps)

        yield callback


def _complain(kind: str, message: str) -> None:
    typer.echo(f"microcinema: {kind}: {' '.join(message.split())}", err=True)


class _Warnings(logging.Handler):
    """Our own warnings, as lines of this program."""

    def emit(self, record: logging.LogRecord) -> None:
        _complain("warning", record.getMessage())


def run(args: Sequence[str]) -> int:
    """Run a command line without the program's name; returns the exit code. Errors become one line on stderr."""
    state = {"debug": False}
    logger, handler = logging.getLogger("microcinema"), _Warnings()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about themselves
            # typer turns Ctrl-C into exit code 130 by itself.
            code = typer.main.get_command(app).main(
                list(args) or ["--help"], prog_name="microcinema", standalone_mode=False, obj=state
            )
            if code == INTERRUPTED:
                raise Cancelled("stopped")
            return code if isinstance(code, int) else 0
    except UsageError as error:
        _complain("error", f"{error.format_message()} (microcinema --help)")
        return WRONG_INPUT
    except (MicroCinemaError, OSError, MemoryError) as error:
        if state["debug"]:
            traceback.print_exc()
        else:
            _complain("error", str(error) or "out of memory")
        if isinstance(error, Cancelled):
            return INTERRUPTED
        return WRONG_INPUT if isinstance(error, MicroCinemaError) else FAILED
    finally:
        logger.removeHandler(handler)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
