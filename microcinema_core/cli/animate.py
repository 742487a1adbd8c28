"""`microcinema animate`: the camera moves over a picture, or a keyframe and a sentence become a shot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..checkpoint.embedded import embedded
from ..config import Kind
from ..motion.easing import Ease
from ..motion.plan import EASE, Camera, Plan, Relief
from ..shot.dials import Dial, dials_of
from ..shot.plan import ShotConfig
from ..shot.settings import PAINT_SAMPLING, TSR_SAMPLING, TSR_STEPS, Compile, Precision, SamplingConfig, check_seed
from .camera import check_alone, check_led, check_painted, move_picture
from .console import (
    Attention,
    CompileOption,
    Debug,
    Json,
    PrecisionOption,
    Seed,
    complain,
    progress,
    quiet_libraries,
    say,
    show,
)
from .directions import Dials, Directions, directed
from .options import gathering, given, option, written
from .painting import Brush
from .request import Models, Request

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..diffusion.samplers import Callback
    from ..motion.scene import Motion
    from ..standalone.pipeline import Shot

EASED = Plan().ease
GRID = Dial("Clips side by side, with the seeds that follow.", 1, 64)
EXACT_KEYFRAME = typer.Option(
    "--exact-keyframe/--no-exact-keyframe",
    help=dials_of(ShotConfig)["exact_keyframe"].help,
    show_default="where AppearNet is not trained",
)


@gathering
def animate(
    *,
    context: typer.Context,
    request: Request,
    camera: Camera,
    ease: Annotated[Ease, option("ease", EASE)] = EASED,
    relief: Relief,
    directions: Directions,
    sampling: SamplingConfig,
    seed: Seed = 0,
    exact_keyframe: Annotated[bool | None, EXACT_KEYFRAME] = None,
    shot: ShotConfig,
    tsr_steps: Annotated[int, option("tsr_steps", TSR_STEPS)] = TSR_SAMPLING.steps,
    grid: Annotated[int, option("grid", GRID)] = 1,
    attention: Attention = "sdpa",
    precision: PrecisionOption = Precision.AUTO,
    compile: CompileOption = Compile.NONE,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Move a picture: the camera alone or, with --model, also what is in it. Interrupted, a model's shot goes on."""
    started = time.monotonic()
    dials = Dials(camera, relief, ease, check_seed(seed), given(context))
    if request.alone:
        check_alone(dials.given, written(context), paints=request.paints)
        check_painted(directions, paints=request.paints)
        brush = None
        if request.paints:
            models = Models(request.painter, None, attention, compile, request.loras)
            brush = Brush(models, dials.own(PAINT_SAMPLING, sampling), precision, dials.seed)
        move_picture(request, directions, dials, shot, brush, json=json)
        return
    check_led(directions)
    seeds, fast = _seeds(seed, grid), replace(TSR_SAMPLING, steps=tsr_steps)
    models = Models.of(request, shot.passes, attention, compile)
    target, picture = request.target(*directions.inputs), request.picture()
    place = request.keyframe_place(target, seed)
    picture_size = request.keyframe_size() if picture is None else picture.size
    shot, motion = _led(directions, dials, request.text, picture_size, models, shot)
    size = models.check(shot, sampling, picture_size)
    for note in models.notes(request.text):
        complain("note", note)
    _check_tiled(str(request.out), size, grid)
    shot = _with_anchor(shot, exact_keyframe, models.video)
    work = target.beside("unfinished")
    wanted = _Wanted(request, models, shot, sampling, fast, seeds, motion, precision, work)
    quiet_libraries()
    from ..standalone.workspace import check_folder, in_use, lock_of

    for one in seeds:
        check_folder(work / str(one))
    with in_use(work, lock_of(work)), _hint(work):
        shots, settings = _shoot(wanted, picture or _make_keyframe(request, place, seed))
        for made in shots:
            made.clean()
    _report(target.path, request.contact_sheet, shots, settings, time.monotonic() - started, json)


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """A model's shots, checked as far as their files tell."""

    request: Request
    models: Models
    shot: ShotConfig
    sampling: SamplingConfig
    fast: SamplingConfig
    seeds: range
    motion: Motion | None
    precision: Precision
    work: Path


def _shoot(wanted: _Wanted, keyframe: Image.Image) -> tuple[list[Shot], dict[str, Any]]:
    """Make the shots and write them; returns what is written into the file, too."""
    from ..standalone.pipeline import MicroCinemaPipeline
    from ..standalone.precision import default_device, dtype_for

    device, models = default_device(), wanted.models
    dtype = dtype_for(wanted.precision, device)
    with progress("Loading"):
        pipeline = MicroCinemaPipeline.from_pretrained(
            models.video,
            tsr=models.tsr,
            device=device,
            dtype=dtype,
            attention=models.attention,
            loras=models.loras,
            compile=models.compile,
        )
    with progress("Frames") as callback:
        bar = _Bar(callback, len(wanted.seeds))
        shots = [
            pipeline.shoot(
                keyframe,
                wanted.request.text,
                wanted.shot,
                sampling=wanted.sampling,
                tsr_sampling=wanted.fast,
                seed=one,
                motion=wanted.motion,
                workspace=wanted.work / str(one),
                callback=bar.of(i),
            )
            for i, one in enumerate(wanted.seeds)
        ]
        return shots, _write(shots, wanted.request)


def _led(
    directions: Directions,
    dials: Dials,
    prompt: str,
    picture: tuple[int, int] | None,
    models: Models,
    shot: ShotConfig,
) -> tuple[ShotConfig, Motion | None]:
    """What camera and regions do, where anybody asked, and the shot whose keyframe a plan's file places."""
    found = directed(directions, dials, prompt, picture, alone=False)
    if not found.asked or not (found.motion.plan.moves or found.motion.plan.draws):
        return shot, None
    say(found.line, err=True)
    if directions.plan is not None and "keyframe_at" not in dials.given:
        shot = replace(shot, keyframe_at=models.keyframe_at(found.motion.plan, shot.frames))
    return shot, found.motion


def _seeds(first: int, count: int) -> range:
    GRID.check("grid", count)
    return range(check_seed(first), check_seed(first + count - 1) + 1)


def _check_tiled(out: str, size: tuple[int, int], grid: int) -> None:
    from ..media import check_clip_size
    from ..media.grid import tiled_size

    check_clip_size(out, *tiled_size(*size, grid))


def _report(
    out: Path, sheet: Path | None, shots: list[Shot], settings: dict[str, Any], seconds: float, as_json: bool
) -> None:
    from ..media.grid import tiled_size

    shot = shots[0]
    width, height = tiled_size(*shot.size, len(shots))
    text = f"{out}: {len(shot)} frames of {width}x{height} at {shot.fps:g} fps, made in {seconds:.1f} s"
    written = {"out": str(out), "contact_sheet": sheet and str(sheet), "seconds": round(seconds, 3)}
    show([text], {**written, **settings, "width": width, "height": height}, as_json)


def _with_anchor(shot: ShotConfig, asked: bool | None, video: Path) -> ShotConfig:
    """The keyframe held at its frame where AppearNet, which would tell all frames of it, is not trained."""
    from ..checkpoint.trained import trained_in

    trained = trained_in(video)
    if not trained.motion:
        complain("note", f"{video.name}: its motion is not trained, so every frame is a picture of its own")
    if asked is not None or trained.appearance:
        return replace(shot, exact_keyframe=bool(asked))
    complain("note", f"{video.name}: its AppearNet is not trained; --exact-keyframe is on (off: --no-exact-keyframe)")
    return replace(shot, exact_keyframe=True)


def _make_keyframe(request: Request, place: Path | None, seed: int) -> Image.Image:
    from .. import media
    from ..standalone.keyframe import ImagePipeline

    assert place is not None
    with progress("Loading"):
        pipeline = ImagePipeline.from_pretrained(request.keyframe_model or embedded(Kind.IMAGE))
    with progress("Keyframe") as callback:
        made = pipeline(request.keyframe_prompt or "", seed=seed, callback=callback)
    made.save(place)
    say(f"{place}: the keyframe", err=True)
    return media.to_picture(made.pictures[0])


def _write(shots: list[Shot], request: Request) -> dict[str, Any]:
    """Make the frames and write them while they come; returns what is written into the files."""
    from .. import media
    from ..media.grid import tiled

    one = shots[0]
    settings = dict(one.settings)
    frames = iter(one)
    if len(shots) > 1:
        settings["seeds"] = [shot.settings["seed"] for shot in shots]
        frames = tiled(shots)
    collector = media.SheetCollector(len(one))
    media.save_clip(str(request.out), collector.tee(frames), one.fps, settings)
    if request.contact_sheet is not None:
        media.save_picture(request.contact_sheet, collector.sheet(), settings)
    return settings


class _Bar:
    """One count of work for several shots that advance together."""

    def __init__(self, callback: Callback, count: int) -> None:
        self.callback, self.done, self.totals = callback, [0] * count, [0] * count

    def of(self, index: int) -> Callback:
        def callback(done: int, total: int, estimate: Tensor) -> None:
            self.done[index], self.totals[index] = done, total
            self.callback(sum(self.done), max(self.totals) * len(self.totals), estimate)

        return callback


@contextmanager
def _hint(work: Path) -> Iterator[None]:
    """Say that an interrupted shot can go on."""
    whole = False
    try:
        yield
        whole = True
    finally:
        if not whole and any(kept.is_dir() for kept in work.iterdir()):
            complain("note", f"what is done is kept in {work}; the same command goes on from there")
