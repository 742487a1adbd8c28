"""What `animate` is asked for beside the dials: pictures, files, and what of these can be wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from ..checkpoint.addition import Addition
from ..checkpoint.embedded import NAME, POCKET, embedded, sibling
from ..config import Kind
from ..errors import InputError, shown
from ..files import check_writable, replaces
from ..shot.plan import ShotConfig, plan_shot
from ..shot.resize import working_size
from ..shot.settings import Compile, SamplingConfig, check_prompt

if TYPE_CHECKING:
    from PIL import Image

    from ..checkpoint.format import Header
    from ..media import Target
    from ..motion.plan import Plan

EMBEDDED, PAINTS, NONE = Path(NAME), Path(POCKET), Path("none")  # what --model may say beside a file


@dataclass(frozen=True, slots=True)
class Request:
    """What a shot is made of and where it goes. Raises InputError for what does not go together."""

    still: Annotated[
        Path | None, typer.Argument(metavar="PICTURE", help="The keyframe: a picture of any size.", show_default=False)
    ] = None
    prompt: Annotated[
        str | None,
        typer.Option(help="What happens; words of the camera move it, the rest is a model's.", show_default=False),
    ] = None
    out: Annotated[
        str | None,
        typer.Option(
            help="*.mp4, *.webm, *.gif: a video. NAME.png, NAME-%04d.png: numbered pictures. FOLDER/: such pictures.",
            show_default=False,
        ),
    ] = None
    image: Annotated[Path | None, typer.Option(help="The same as PICTURE.", show_default=False)] = None
    keyframe_prompt: Annotated[
        str | None, typer.Option(help="Make the keyframe from this text instead.", show_default=False)
    ] = None
    keyframe_model: Annotated[
        Path | None, typer.Option(help="What makes it; see `keyframe --model`.", show_default="the embedded one")
    ] = None
    keyframe_out: Annotated[
        Path | None, typer.Option(help="Where to keep it (PNG).", show_default="beside the clip")
    ] = None
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Also write frames as one picture (PNG).", show_default=False)
    ] = None
    model: Annotated[
        Path | None,
        typer.Option(
            help=f"Video model file, which makes the scene itself move; {NAME}: the embedded one; {POCKET}: paint with "
            f"the embedded one, as --paint; {NONE}: no network at all, not even one that looks where things are.",
            show_default="none: the camera alone moves",
        ),
    ] = None
    paint: Annotated[
        bool,
        typer.Option("--paint", help="Paint what the prompt's words ask for, by Pocket, where else it would be drawn."),
    ] = False
    tsr_model: Annotated[
        Path | None, typer.Option(help="Temporal super-resolution file.", show_default="NAME-tsr beside NAME-video")
    ] = None
    lora: Annotated[
        list[str] | None,
        typer.Option(help="FILE or FILE:STRENGTH, a LoRA for the video model; may be repeated.", show_default=False),
    ] = None

    def __post_init__(self) -> None:
        check_prompt(self.text)
        check_prompt(self.keyframe_prompt or "")
        if self.still is not None and self.image is not None:
            raise InputError("give the picture once: PICTURE and --image are the same")
        object.__setattr__(self, "image", self.image or self.still)
        if (self.image is None) == (self.keyframe_prompt is None):
            raise InputError("give either a picture or --keyframe-prompt")
        if self.prompt is None and not self.alone:
            raise InputError("give --prompt: the model needs to know what happens")
        if self.keyframe_prompt is None and (self.keyframe_model or self.keyframe_out):
            raise InputError("--keyframe-model and --keyframe-out go with --keyframe-prompt")
        self._check_networks()

    def _check_networks(self) -> None:
        """Raises InputError for what asks for a network that nobody wants, or for one that cannot do it."""
        if self.model == NONE and self.paint:
            raise InputError(f"--paint needs a network, and --model {NONE} takes none; leave one of them out")
        if self.keyframe_prompt is not None and (self.paints or self.model == NONE):
            raise InputError(
                f"{'--paint' if self.paints else f'--model {NONE}'} is for a picture that is there already; make it "
                "first (microcinema keyframe), and give it as PICTURE"
            )
        if self.paints and self.prompt is None:
            raise InputError("give --prompt: what is to be painted")

    @property
    def text(self) -> str:
        return self.prompt or ""

    @property
    def alone(self) -> bool:
        """Whether the picture moves without any model, which at most paints on it."""
        return self.keyframe_prompt is None and (self.paints or self.model in (None, NONE))

    @property
    def paints(self) -> bool:
        """Whether a model paints on what the camera draws."""
        return self.paint or self.model == PAINTS

    @property
    def painter(self) -> Path:
        """The file of the model that paints."""
        if self.model == EMBEDDED:
            return embedded(Kind.VIDEO)
        return embedded(Kind.VIDEO, POCKET) if self.model in (None, PAINTS) else self.model

    def target(self, *more: Path) -> Target:
        """more: what is read besides.

        Raises InputError for places that cannot be written, and for those of files that are read.
        """
        from ..media import Target

        if self.out is None:
            raise InputError("give --out: where the clip goes, for example clip.mp4")
        target = Target.of(self.out)
        for read in (*self.inputs, *more):
            if target.replaces(read):
                raise InputError(f"{read}: would be replaced by the clip that is made of it; give another --out")
        if self.contact_sheet is not None:
            self._check_beside(self.contact_sheet, target, "--contact-sheet", *more)
        return target

    @property
    def loras(self) -> tuple[Addition, ...]:
        """Raises InputError for a strength that is none."""
        return tuple(map(Addition.parse, self.lora or ()))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that are read."""
        model = None if self.model in (EMBEDDED, PAINTS, NONE) else self.model
        named = (self.image, model, self.tsr_model, self.keyframe_model, *(one.path for one in self.loras))
        return tuple(path for path in named if path is not None)

    def _check_beside(self, path: Path, target: Target, option: str, *more: Path) -> None:
        """Raises InputError where a picture cannot be written there, beside the clip."""
        check_writable(path, ".png", (*self.inputs, *more))
        if target.replaces(path):
            raise InputError(f"{path}: is where the clip goes; give {option} another name")

    def keyframe_place(self, target: Target, seed: int) -> Path | None:
        """Where the keyframe that is made goes; None where there is one already.

        Raises InputError where it cannot be written, or, in a place that nobody named, over what is another picture
        than that of the clip which is replaced too.
        """
        from ..media import is_ours, read_settings

        if self.keyframe_prompt is None:
            return None
        place = self.keyframe_out or target.beside("keyframe.png")
        self._check_beside(place, target, "--keyframe-out")
        if self.contact_sheet is not None and replaces(place, self.contact_sheet):
            raise InputError(f"{place}: is where the contact sheet goes; give --keyframe-out another name")
        if self.keyframe_out is None and place.exists():
            made = read_settings(place) if is_ours(place) else {}
            same = (made.get("prompt"), made.get("seed")) == (self.keyframe_prompt, seed)
            if not same and not (made and target.exists()):
                raise InputError(
                    f"{place}: is another picture, which the keyframe would replace; move it, or name a place with "
                    "--keyframe-out"
                )
        return place

    def keyframe_size(self) -> tuple[int, int] | None:
        """Width and height of the keyframe that will be made, where its model's file says so.

        Raises CheckpointError for a file of another kind.
        """
        from ..checkpoint.format import TEXT_ENCODER, VAE, read_header
        from ..checkpoint.load import expect_text_to_image
        from ..checkpoint.sections import check_section

        model = self.keyframe_model or embedded(Kind.IMAGE)
        if model.is_dir():
            return None
        header = read_header(model)
        expect_text_to_image(header, model)
        for section in (VAE, TEXT_ENCODER):
            check_section(section, model, header)
        return header.config.clip.width, header.config.clip.height

    def picture(self) -> Image.Image | None:
        """The keyframe, where it is there already. Raises InputError for what is no picture."""
        from ..media import read_picture

        return None if self.image is None else read_picture(self.image)


@dataclass(frozen=True, slots=True)
class Models:
    """The files of a shot."""

    video: Path
    tsr: Path | None
    attention: str
    compile: Compile
    loras: tuple[Addition, ...] = ()

    @classmethod
    def of(cls, request: Request, passes: int | None, attention: str, compile: Compile) -> Self:
        """The embedded model where none is named or it is, and the TSR model beside it where passes are wanted."""
        video = None if request.model == EMBEDDED else request.model
        tsr = request.tsr_model
        if tsr is None and passes != 0:
            tsr = embedded(Kind.TSR) if video is None else sibling(video, Kind.TSR)
        return cls(video or embedded(Kind.VIDEO), tsr, attention, compile, request.loras)

    def notes(self, prompt: str) -> Iterator[str]:
        """What a prompt lacks that LoRAs were taught with."""
        from ..checkpoint.lora_file import missing_words

        for lora in self.loras:
            if words := shown(missing_words(lora.path, prompt)):
                yield f"{lora.path.name}: was taught by sentences with {words!r}, which the prompt does not say"

    def keyframe_at(self, plan: Plan, frames: int | None) -> str:
        """The frame of the video model's clip in which a plan shows its keyframe."""
        from ..checkpoint.format import read_header

        count = frames or read_header(self.video).config.clip.frames
        return str(math.floor(plan.keyframe_at * (count - 1) + 0.5))

    def header(self, sampling: SamplingConfig) -> Header:
        """Of the video model's file.

        Raises what headers say to be wrong of it, its companions and LoRAs, and InputError where nothing compiles.
        """
        from ..backend import attention_named
        from ..checkpoint.format import TEXT_ENCODER, VAE, read_header
        from ..checkpoint.load import expect_kind
        from ..checkpoint.lora_file import merged, unet_of
        from ..checkpoint.sections import check_section
        from ..standalone.compiling import check_compile
        from ..standalone.precision import default_device
        from ..standalone.sampling import check_sampler

        attention_named(self.attention)
        check_sampler(sampling.sampler)
        header = read_header(self.video)
        expect_kind(header, self.video, Kind.VIDEO)
        for section in (VAE, TEXT_ENCODER):
            check_section(section, self.video, header)
        if self.loras:
            merged(unet_of(self.video), self.video, self.loras)
        check_compile(self.compile, default_device())
        return header

    def check(
        self, shot: ShotConfig, sampling: SamplingConfig, picture_size: tuple[int, int] | None
    ) -> tuple[int, int]:
        """Width and height of the frames. picture_size: None where none is made yet.

        Raises what can be known from the files' headers to be wrong, and InputError where nothing compiles.
        """
        from ..checkpoint.format import read_header
        from ..checkpoint.load import expect_kind
        from ..shot.segments import Segments

        header, segments = self.header(sampling), None
        if self.tsr is not None:
            tsr_header = read_header(self.tsr)
            expect_kind(tsr_header, self.tsr, Kind.TSR)
            segments = Segments.of(tsr_header.config)
        elif shot.passes:
            raise InputError(f"{self.video}: no temporal super-resolution model beside it; name one with --tsr-model")
        plan_shot(shot, header.config.clip, segments)
        model_size = (header.config.clip.width, header.config.clip.height)
        return working_size(picture_size or model_size, model_size, shot.resize, shot.width, shot.height)
