"""`microcinema convert`: a text-to-video model of others becomes a file of this program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config import MODELSCOPE, ClipConfig
from ..files import check_writable
from ..shot.settings import Precision
from .console import Debug, Json, file_size, quiet_libraries, show
from .inflate import Stored

if TYPE_CHECKING:
    from ..importers.convert import Converted
    from ..importers.text_to_video import Licence

NAMED = {"vae": "VAE", "text_encoder": "text encoder"}


def convert(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="ModelScope T2V, ZeroScope: .safetensors in either layout, or a folder."),
    ],
    out: Annotated[Path, typer.Option(help="The MicroCinema file to write (.safetensors).", show_default=False)],
    dtype: Annotated[Stored, typer.Option(help="Of the file's numbers.")] = Stored.FP16,
    text_encoder: Annotated[
        Path | None,
        typer.Option(help="For a FILE that holds none: a diffusers folder, or a file.", show_default="FILE's own"),
    ] = None,
    frames: Annotated[int, typer.Option(help="Of a clip; what the model was trained on.")] = MODELSCOPE.clip.frames,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = MODELSCOPE.clip.fps,
    width: Annotated[int, typer.Option(help="Pixels.")] = MODELSCOPE.clip.width,
    height: Annotated[int, typer.Option(help="Pixels.")] = MODELSCOPE.clip.height,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take a text-to-video model's motion as it is; AppearNet starts untrained on top of it."""
    check_writable(out, ".safetensors", (file, text_encoder))
    clip = ClipConfig(frames, fps, width, height)

    from ..importers.convert import convert as convert_source
    from ..importers.text_to_video import open_text_to_video
    from ..standalone.precision import DTYPES

    quiet_libraries()
    source = open_text_to_video(file, clip)
    made = convert_source(source, out, DTYPES[Precision(dtype)], text_encoder)
    counts = {"trained": made.network, "copied": made.copied, "new": made.new}
    result = {"out": str(out), "licence": source.licence.name, **counts, "lacks": list(made.lacks)}
    show([f"{out}: {file_size(out)}", *_report(made, source.licence)], result, json)


def _report(made: Converted, licence: Licence) -> list[str]:
    lines = [
        f"  licence: {licence}",
        f"  trained by the source: {made.network:,} parameters (the text-to-video network)",
        f"  copied from them: {made.copied:,} parameters (AppearNet's encoder)",
        f"  to be trained: {made.new:,} parameters (injection, gates, frame time), which change nothing yet",
        "  so prompts act as they do in the source; `animate` holds the keyframe at its frame, and --gamma, "
        "--share-attention draw the others to it",
    ]
    if made.lacks:
        parts = " and ".join(NAMED.get(name, name) for name in made.lacks)
        lines.append(f"  not in the file: {parts}; take those of Stable Diffusion 2.1")
    return lines
