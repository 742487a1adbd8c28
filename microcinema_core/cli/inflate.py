"""The commands that make MicroCinema files out of other models' weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config import Prediction, ScheduleName
from ..errors import InputError
from ..files import check_writable
from ..shot.settings import Precision
from .console import Debug, Json, complain, file_size, show
from .options import gathering

if TYPE_CHECKING:
    from ..importers.inflate import Inflated


class Stored(StrEnum):
    """In which format numbers are written: a Precision that does not depend on the machine."""

    FP16 = Precision.FP16
    BF16 = Precision.BF16
    FP32 = Precision.FP32


class Family(StrEnum):
    """Presets of the models that can be inflated."""

    SD21 = "sd21"
    SD21_BASE = "sd21_base"
    SD15 = "sd15"


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What goes into the file beside the source."""

    text_encoder: Annotated[
        Path | None,
        typer.Option(help="For a source that holds none: a diffusers folder, or a file.", show_default="the source's"),
    ] = None
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Folder of vocab.json and merges.txt, which files lack.", show_default="the source's"),
    ] = None
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:STRENGTH to merge in; may be repeated.", show_default=False)
    ] = None
    merge: Annotated[
        str | None,
        typer.Option(help="MODEL or MODEL:STRENGTH, a fine-tune of which to take U-Net weights.", show_default=False),
    ] = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read the source, where it does not say. Raises InputError for a schedule that it cannot have."""

    preset: Annotated[Family | None, typer.Option(help="What SD is expected to be.", show_default="as found")] = None
    prediction: Annotated[
        Prediction | None,
        typer.Option(help="For a file that does not say.", show_default="v for Stable Diffusion 2.x, eps for 1.x"),
    ] = None
    schedule: Annotated[
        ScheduleName | None, typer.Option(help="sd, or sd_zsnr for zero terminal SNR.", show_default="as found, or sd")
    ] = None
    ema: Annotated[bool, typer.Option("--ema", help="Take the running average of the weights (model_ema.*).")] = False

    def __post_init__(self) -> None:
        if self.schedule is ScheduleName.COSINE:
            raise InputError("--schedule: no Stable Diffusion was trained on cosine; give sd or sd_zsnr")


@gathering
def inflate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SD", help="Stable Diffusion 2.x or 1.x, or a fine-tune: diffusers folder or .safetensors file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The MicroCinema file to write (.safetensors).", show_default=False)],
    more: Ingredients,
    reading: Reading,
    dtype: Annotated[Stored, typer.Option(help="Of the file's numbers.")] = Stored.FP16,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a file to train a video model from, which starts as Stable Diffusion on every frame."""
    from ..checkpoint.addition import Addition
    from ..importers.inflate import Order, inflate_file
    from ..importers.source import Choices
    from ..standalone.precision import DTYPES
    from .console import quiet_libraries

    loras = tuple(map(Addition.parse, more.lora or ()))
    merge = None if more.merge is None else Addition.parse(more.merge)
    added = [addition.path for addition in (*loras, merge) if addition is not None]
    check_writable(out, ".safetensors", (source, more.text_encoder, more.tokenizer, *added))
    quiet_libraries()
    made = inflate_file(
        Order(
            source,
            out,
            DTYPES[Precision(dtype)],
            Choices(reading.preset and str(reading.preset), reading.prediction, reading.schedule, reading.ema),
            more.text_encoder,
            more.tokenizer,
            loras,
            merge,
        )
    )
    _report(out, made, json)


def _report(out: Path, made: Inflated, as_json: bool) -> None:
    for note in made.notes:
        complain("note", note)
    diffusion = made.header.config.diffusion
    lines = [
        f"{out}: {file_size(out)}, {made.header.config.name}, {diffusion.schedule} schedule, "
        f"{diffusion.prediction}-prediction",
        f"  trained by the source: {made.taken:,} parameters (VideoUNet's spatial layers, AppearNet's encoder)",
        f"  to be trained: {made.new:,} parameters (temporal layers, AppearNet's injection), which change nothing yet",
        "  until then `animate` holds the keyframe at its frame, and the others are pictures of their own",
        f"  licence: {made.header.licence}",
    ]
    result = {"out": str(out), "model": made.header.config.name, "prediction": str(diffusion.prediction)}
    more = {"schedule": str(diffusion.schedule), "trained": made.taken, "new": made.new, "notes": made.notes}
    show(lines, result | more | {"licence": made.header.licence}, as_json)
