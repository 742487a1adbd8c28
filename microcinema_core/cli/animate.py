"""`microcinema animate`: a keyframe and a sentence become a shot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..checkpoint.embedded import embedded, sibling
from ..config import Kind
from ..errors import InputError
from ..shot.plan import MAX_PASSES, Loop, ShotConfig, plan_shot
from ..shot.resize import ResizePolicy, working_size
from ..shot.retime import Resampling
from ..shot.settings import TSR_SAMPLING, Precision, SamplingConfig, check_prompt, check_seed
from .console import (
    Attention,
    Cfg,
    Debug,
    Json,
    PrecisionOption,
    Sampler,
    Seed,
    Steps,
    complain,
    progress,
    quiet_libraries,
    show,
)

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..diffusion.samplers import Callback
    from ..standalone.pipeline import Shot

MAX_GRID = 64
SHOT = ShotConfig()


@dataclass(frozen=True, slots=True)
class Models:
    """The files of a shot."""

    video: Path
    tsr: Path | None
    attention: str


def animate(
    prompt: Annotated[str, typer.Option(help="What happens.", show_default=False)],
    out: Annotated[
        str,
        typer.Option(
            help="*.mp4, *.webm, *.gif: a video. NAME.png, NAME-%04d.png: numbered pictures. FOLDER/: such pictures.",
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
    model: Annotated[Path | None, typer.Option(help="Video model file.", show_default="the embedded one")] = None,
    tsr_model: Annotated[
        Path | None, typer.Option(help="Temporal super-resolution file.", show_default="NAME-tsr beside NAME-video")
    ] = None,
    steps: Steps = None,
    cfg: Cfg = None,
    gamma: Annotated[
        float | None,
        typer.Option(help="Share of the keyframe in the starting noise, 0 to 1.", show_default="the model's"),
    ] = None,
    seed: Seed = 0,
    sampler: Sampler = None,
    keyframe_at: Annotated[
        str, typer.Option(help="centre, first, last, or the frame's index from 0, in its clip.")
    ] = SHOT.keyframe_at,
    exact_keyframe: Annotated[
        bool | None,
        typer.Option(
            "--exact-keyframe/--no-exact-keyframe",
            help="Hold the keyframe itself at its frame.",
            show_default="where AppearNet is not trained",
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Strength of AppearNet, 0 to 2; 0 is off, 1 as trained.")
    ] = SHOT.strength,
    share_attention: Annotated[
        bool, typer.Option("--share-attention", help="Let every frame attend to the keyframe's too.")
    ] = SHOT.share_attention,
    motion: Annotated[float, typer.Option(help="Strength of the motion, 0 to 2; 1 is as trained.")] = SHOT.motion,
    frames: Annotated[
        int | None, typer.Option(help="Frames of one clip at the model's rate.", show_default="the model's")
    ] = None,
    extend_before: Annotated[int, typer.Option(help="Clips to chain before the keyframe's.")] = SHOT.before,
    extend_after: Annotated[int, typer.Option(help="Clips to chain after it.")] = SHOT.after,
    passes: Annotated[
        int | None, typer.Option(help="Times that the frame rate is quadrupled, 0 to 2.", show_default=str(MAX_PASSES))
    ] = None,
    tsr_steps: Annotated[
        int | None, typer.Option(help="Denoising steps of each pass.", show_default=str(TSR_SAMPLING.steps))
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of the result.", show_default="what the passes give")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds; more than one clip's are chained.", show_default="one clip")
    ] = None,
    resampling: Annotated[
        Resampling, typer.Option(help="How other rates are made: nearest frame, or blend of two.")
    ] = SHOT.resampling,
    loop: Annotated[Loop, typer.Option(help="How the end meets the beginning.")] = SHOT.loop,
    width: Annotated[int | None, typer.Option(help="A multiple of 8.", show_default="the model's")] = None,
    height: Annotated[int | None, typer.Option(help="A multiple of 8.", show_default="the model's")] = None,
    resize: Annotated[
        ResizePolicy, typer.Option(help="Keyframes of another shape: crop them, fit the clip to them, or pad them.")
    ] = SHOT.resize,
    grid: Annotated[int, typer.Option(help="Clips side by side, with the seeds that follow.")] = 1,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Also write frames as one picture (PNG).", show_default=False)
    ] = None,
    attention: Attention = "sdpa",
    precision: PrecisionOption = Precision.AUTO,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a shot around a keyframe. Interrupted, the same command goes on where it stopped."""
    started = time.monotonic()
    sampling = SamplingConfig.of(steps, cfg, sampler, gamma)
    fast = TSR_SAMPLING if tsr_steps is None else replace(TSR_SAMPLING, steps=tsr_steps)
    check_seed(seed)
    if not 1 <= grid <= MAX_GRID:
        raise InputError(f"the grid must hold 1 to {MAX_GRID} clips, got {grid}")
    check_seed(seed + grid - 1)
    check_prompt(prompt)
    if (image is None) == (keyframe_prompt is None):
        raise InputError("give either --image or --keyframe-prompt")
    if keyframe_prompt is None and (keyframe_model or keyframe_out):
        raise InputError("--keyframe-model and --keyframe-out go with --keyframe-prompt")
    models = _models(model, tsr_model, passes, attention)
    shot = ShotConfig(
        keyframe_at=keyframe_at,
        frames=frames,
        before=extend_before,
        after=extend_after,
        passes=(MAX_PASSES if models.tsr else 0) if passes is None else passes,
        fps=fps,
        duration=duration,
        resampling=resampling,
        loop=loop,
        motion=motion,
        exact_keyframe=bool(exact_keyframe),
        strength=strength,
        share_attention=share_attention,
        width=width,
        height=height,
        resize=resize,
    )

    from .. import media

    target = media.Target.of(out)
    if contact_sheet is not None:
        media.check_writable(contact_sheet, ".png")
    picture = None if image is None else media.read_picture(image)
    check_shot(models, shot, sampling, None if picture is None else picture.size)
    shot = _with_anchor(shot, exact_keyframe, models.video)
    from ..standalone.precision import default_device, dtype_for

    device = default_device()
    dtype = dtype_for(precision, device)
    if keyframe_prompt is not None:
        kept = keyframe_out or target.beside("keyframe.png")
        picture = _make_keyframe(keyframe_prompt, keyframe_model or embedded(Kind.IMAGE), kept, seed)

    work = target.beside("unfinished")
    quiet_libraries()
    from ..standalone.pipeline import MicroCinemaPipeline

    with progress("Loading"):
        pipeline = MicroCinemaPipeline.from_pretrained(
            models.video, tsr=models.tsr, device=device, dtype=dtype, attention=attention
        )
    with _hint(work), progress("Frames") as callback:
        bar = _Bar(callback, grid)
        shots = [
            pipeline.shoot(
                picture,
                prompt,
                shot,
                sampling=sampling,
                tsr_sampling=fast,
                seed=seed + i,
                workspace=work / str(seed + i),
                callback=bar.of(i),
            )
            for i in range(grid)
        ]
        settings = _write(shots, out, contact_sheet)
    for made in shots:
        made.clean()
    _remove_empty(work)
    _report(target.path, contact_sheet, shots, settings, time.monotonic() - started, json)


def _report(
    out: Path, sheet: Path | None, shots: list[Shot], settings: dict[str, Any], seconds: float, as_json: bool
) -> None:
    from ..media.grid import tiled_size

    shot = shots[0]
    width, height = tiled_size(*shot.size, len(shots))
    text = f"{out}: {len(shot)} frames of {width}x{height} at {shot.fps:g} fps, made in {seconds:.1f} s"
    written = {"out": str(out), "contact_sheet": sheet and str(sheet), "seconds": round(seconds, 3)}
    show(text, {**written, **settings, "width": width, "height": height}, as_json)


def _models(video: Path | None, tsr: Path | None, passes: int | None, attention: str) -> Models:
    """The embedded model where none is named, and the TSR model beside it where passes are wanted."""
    if tsr is None and passes != 0:
        tsr = embedded(Kind.TSR) if video is None else sibling(video, Kind.TSR)
    return Models(video or embedded(Kind.VIDEO), tsr, attention)


def check_shot(
    models: Models, shot: ShotConfig, sampling: SamplingConfig, picture_size: tuple[int, int] | None
) -> None:
    """All that can be wrong with these, from the models' headers alone. picture_size: None where none is made yet."""
    from ..backend import attention_named
    from ..checkpoint.format import read_header
    from ..checkpoint.load import expect_kind
    from ..standalone.sampling import check_sampler

    attention_named(models.attention)
    check_sampler(sampling.sampler)
    header = read_header(models.video)
    expect_kind(header, models.video, Kind.VIDEO)
    factor = 1
    if models.tsr is not None:
        tsr_header = read_header(models.tsr)
        expect_kind(tsr_header, models.tsr, Kind.TSR)
        factor = tsr_header.config.clip.frames - 1
    elif shot.passes:
        raise InputError(f"{models.video}: no temporal super-resolution model beside it; name one with --tsr-model")
    plan_shot(shot, header.config.clip, factor)
    model_size = (header.config.clip.width, header.config.clip.height)
    working_size(picture_size or model_size, model_size, shot.resize, shot.width, shot.height)


def _with_anchor(shot: ShotConfig, asked: bool | None, video: Path) -> ShotConfig:
    """The keyframe held at its frame where AppearNet, which would tell all frames of it, is not trained."""
    from ..checkpoint.trained import trained_in

    trained = trained_in(video)
    if not trained.motion:
        complain("note", f"{video.name}: its motion is not trained, so every frame is a picture of its own")
    if trained.appearance or asked is not None:
        return shot
    complain("note", f"{video.name}: its AppearNet is not trained; --exact-keyframe is on (off: --no-exact-keyframe)")
    return replace(shot, exact_keyframe=True)


def _make_keyframe(prompt: str, model: Path, out: Path, seed: int) -> Image.Image:
    from .. import media

    check_prompt(prompt)
    media.check_writable(out, ".png")
    quiet_libraries()
    from ..standalone.keyframe import ImagePipeline

    with progress("Loading"):
        pipeline = ImagePipeline.from_pretrained(model)
    with progress("Keyframe") as callback:
        made = pipeline(prompt, seed=seed, callback=callback)
    made.save(out)
    typer.echo(f"{out}: the keyframe", err=True)
    return media.to_picture(made.pictures[0])


def _write(shots: list[Shot], out: str, contact_sheet: Path | None) -> dict[str, Any]:
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
    media.save_clip(out, collector.tee(frames), one.fps, settings)
    if contact_sheet is not None:
        media.save_picture(contact_sheet, collector.sheet(), settings)
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
        if not whole:
            _remove_empty(work)
            if work.exists():
                complain("note", f"what is done is kept in {work}; the same command goes on from there")


def _remove_empty(work: Path) -> None:
    """Unless there is work on other seeds."""
    with suppress(OSError):
        work.rmdir()
