"""A picture made ready for its clip: cut into plates, its layers brought to their places; previews and parts of it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..motion.layer import CALLED, Place
from ..shot.resize import ResizePolicy, Size
from .console import complain, progress, quiet_libraries, say
from .directions import Directed, Directions
from .finding import noted, save_found, tinted

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..motion.scene import Filling, Motion, Scene
    from ..places.find import Found
    from ..places.placing import Placed
    from ..standalone.camera import Take
    from ..standalone.framing import Timing
    from ..standalone.painting import Stroke

SHEET_FRAMES = 9  # of a preview
SHEET_SIDE = 288  # pixels of the longer side of each


@dataclass(frozen=True, slots=True)
class Shown:
    """How the frames are shown."""

    timing: Timing
    size: Size
    resize: ResizePolicy


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """take: the clip to be made of a scene, whose plates were not filled yet. found: what was looked for in it.

    motion: with the layers that are painted, whose `strokes` are what is left to paint.
    """

    take: Take
    scene: Scene
    motion: Motion
    found: Found | None
    strokes: tuple[Stroke, ...] = ()

    @property
    def noted(self) -> dict[str, Any]:
        """What was found, for a program."""
        return {} if self.found is None else {"places": noted(self.found)}

    @property
    def masks(self) -> dict[Place, Tensor]:
        """The masks [1, H, W] of the places that its layers belong to."""
        pairs = zip(self.motion.plan.layers, self.motion.masks_of_layers, strict=True)
        placed = ((layer.where, mask) for layer, mask in pairs)
        return {place: mask for place, mask in placed if mask is not None and place is not None and place in CALLED}


def staged(
    picture: Image.Image, directed: Directed, directions: Directions, shown: Shown, seed: int, *, look: bool = True
) -> Stage:
    """The clip to be made, its plates filled here or elsewhere. seed: of what a model makes up.

    look: whether a network may find where things are.
    """
    from ..media import read_plates, to_pixels
    from ..motion.leaving import leaving
    from ..places.placing import told
    from ..standalone import camera
    from ..standalone.framing import MAX_SOURCE, source

    small = directions.preview and directions.plates_in is None
    pixels, motion = source(picture, directed.motion, 2 * SHEET_SIDE**2 if small else MAX_SOURCE)
    place = _placed(pixels, motion, directions, look, directed.painted)
    if place.found is not None:
        say(told(place.found), err=True)
    drawn = place.motion.without_layers(directed.painted) if directed.painted else place.motion
    scene = camera.staged(pixels, drawn, shown.size, shown.resize)
    if directions.plates_in is None:
        whole = scene.filled(_filling(directions.filler, seed))
    else:
        whole = scene.filled_with(to_pixels(read_plates(directions.plates_in, scene.size)))
    size = _shrunk(shown.size) if directions.preview else shown.size
    take = camera.taken(whole, shown.timing, size, shown.resize)
    if gone := leaving(take.renderer):
        complain("note", gone)
    return Stage(take, scene, place.motion, place.found, _strokes(place.motion, directed))


def _placed(pixels: Tensor, motion: Motion, directions: Directions, look: bool, undrawn: Container[int]) -> Placed:
    """undrawn: numbers of layers that are painted.

    Raises InputError for a layer whose place nobody says, and for masks to write that nobody finds.
    """
    from ..motion.locating import lacking, located
    from ..places.placing import Placed, placed

    if look:
        asked = directions.masks_out is not None
        return placed(pixels, motion, everywhere=directions.everywhere, look=asked, undrawn=undrawn)
    if directions.masks_out is not None:
        raise InputError("--masks-out writes what a network finds, and --model none takes none; leave one of them out")
    unknown = lacking(motion)
    if unknown and not directions.everywhere:
        raise InputError(
            f"--model none looks for nothing in the picture, and something is drawn on "
            f"{' and '.join(CALLED[place] for place in sorted(unknown))}; say where by --masks-in or a layer's mask, "
            "or draw it --everywhere"
        )
    return Placed(located(motion, {}, everywhere=directions.everywhere), None)


def _strokes(motion: Motion, directed: Directed) -> tuple[Stroke, ...]:
    """What is painted, and where."""
    if not directed.painted:
        return ()
    from ..standalone.painting import Stroke

    masks = motion.masks_of_layers
    return tuple(Stroke(one.told, masks[number]) for number, one in directed.painted.items())


def _filling(model: Path | None, seed: int) -> Filling:
    """What fills plates: a model, where one is named."""
    from ..motion.fill import fill

    if model is None:
        return fill
    from ..standalone.filling import Filler

    quiet_libraries()
    with progress("Loading"):
        return Filler.load(model, seed)


def _shrunk(size: Size) -> Size:
    share = min(1.0, SHEET_SIDE / max(size))
    width, height = (max(2, round(side * share)) for side in size)
    return width, height


def save_parts(stage: Stage, directed: Directed, plates: Path | None, masks: Path | None, size: Size) -> None:
    """Write what is to be filled or corrected, into folders, where they are asked for. size: of the picture."""
    from ..media import save_plates
    from ..standalone.camera import plates_of

    plan = directed.motion.without_layers(directed.painted).plan.to_json()
    if plates is not None:
        save_plates(plates, *plates_of(stage.scene), plan, {"plan": plan})
        complain("note", f"{plates}: plates to fill where fill-N.png is white; then give --plates-in {plates}")
    if masks is not None and stage.found is not None:
        save_found(masks, stage.found, size, {"plan": plan})
        complain("note", f"{masks}: masks to correct, white = there; then give --masks-in {masks}")


def previewed(stage: Stage, sheet: Path, more: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """A few frames as one picture, where layers belong, and how much of each frame is made up."""
    from .. import media

    take = stage.take
    settings = {**take.settings, **more}
    collector = media.SheetCollector(len(take), SHEET_FRAMES)
    collector.kept.extend(take.frames(collector.indices))
    if stage.masks:
        collector.kept.append(_places_frame(stage))
    media.save_picture(sheet, collector.sheet(), settings)
    shares = ", ".join(f"{100 * share:.1f}" for share in take.unknown)
    lines = [
        f"{sheet}: {len(take.unknown)} of {len(take)} frames"
        + (f", and where {', '.join(CALLED[place] for place in stage.masks)} is" if stage.masks else ""),
        f"of each so much is made up, as the picture does not show it: {shares} %",
    ]
    found = {"preview_frames": collector.indices, "preview_unknown": [round(share, 4) for share in take.unknown]}
    return lines, settings | {"unknown": round(max(take.unknown), 4)} | found


def _places_frame(stage: Stage) -> Any:
    """The picture [H, W, 3] as a frame sees it, with the places of its layers in colours."""
    from ..media import to_pixels, to_uint8
    from ..motion.resample import Texture

    view = stage.take.renderer.view
    shown = to_pixels([tinted(stage.scene.picture, stage.masks)])[0]
    matrix = view.to_picture @ view.from_pixels
    return to_uint8(Texture(shown, 3).sample(matrix, (0, 0, view.width, view.height)).clamp(0, 1))
