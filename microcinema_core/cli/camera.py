"""`microcinema animate` without a model: the camera moves over the picture, at the picture's own size."""

from __future__ import annotations

import time
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import check_writable, replaces
from ..motion.directing import least_invented
from ..motion.layer import CALLED
from ..motion.plan import SHARES, Plan
from ..shot.plan import Loop, ShotConfig
from ..shot.resize import ResizePolicy, Size
from ..shot.timing import keyframe_index
from .console import complain, progress, say, show
from .directions import Dials, Directed, Directions, directed
from .painting import Brush
from .request import NONE, Request
from .staging import Shown, previewed, save_parts, staged

if TYPE_CHECKING:
    from ..media import Target
    from ..standalone.camera import Take
    from ..standalone.framing import Timing

MODELS = (  # what only a model has, by field
    "steps", "cfg", "sampler", "gamma", "exact_keyframe", "strength", "share_attention", "motion", "before", "after",
    "passes", "tsr_steps", "tsr_model", "lora", "resampling", "grid", "attention", "precision",
    "compile",
)  # fmt: skip
PAINTERS = frozenset({"steps", "cfg", "sampler", "gamma", "lora", "attention", "precision", "compile"})  # and one too


def check_alone(given: Set[str], options: dict[str, str], *, paints: bool = False) -> None:
    """Raises InputError for what means something to a model alone. options: as they are written, by field.

    paints: whether one paints on what the camera draws.
    """
    for name in MODELS:
        if name in given and paints and name not in PAINTERS:
            raise InputError(
                f"{options[name]} is for a video model that makes the scene itself move, and --paint only paints on "
                "what the camera draws; leave one of them out"
            )
        if name in given and not paints:
            raise InputError(
                f"{options[name]} is for a video model, and none was asked for: the camera alone moves. Name one with "
                "--model (--model toybox: the embedded one), or leave it out"
            )


def check_painted(directions: Directions, *, paints: bool) -> None:
    """Raises InputError for what goes with painting alone, and for what does not go with it."""
    if directions.paint_in is not None and not paints:
        raise InputError("--paint-in says where --paint may; give both, or a layer's own mask (--layer KIND:mask=FILE)")
    if not paints:
        return
    if directions.preview:
        raise InputError("--preview shows what the camera alone does; leave --paint out for it")


def check_led(directions: Directions) -> None:
    """Raises InputError for what a clip by a model has not."""
    for option in ("preview", "plates_out", "plates_in", "fill", "masks_out", "everywhere", "paint_in"):
        if getattr(directions, option):
            raise InputError(f"--{option.replace('_', '-')} is for the camera alone; leave --model out")


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything goes. clip: None where none is asked for."""

    clip: Target | None
    sheet: Path | None
    plates: Path | None
    masks: Path | None = None

    @classmethod
    def of(cls, request: Request, directions: Directions) -> Places:
        """Raises InputError for places that cannot be written, and for those of files that are read."""
        from ..media import check_masks_folder, check_plates_folder

        plates, masks = directions.plates_out, directions.masks_out
        if masks is not None:
            check_masks_folder(masks, [*map(str, CALLED)])
            _check_unread(masks, (*request.inputs, *directions.inputs))
        if plates is not None:
            if directions.plates_in is not None or directions.preview:
                raise InputError("--plates-out writes what is to be filled; leave --plates-in and --preview for later")
            check_plates_folder(plates)
        if directions.preview:
            return cls(None, _preview_place(request, directions), None, masks)
        named = request.out is not None or (plates is None and masks is None)
        return cls(request.target(*directions.inputs) if named else None, request.contact_sheet, plates, masks)

    @property
    def first(self) -> Path:
        """What a person is told of."""
        found = self.clip.path if self.clip is not None else self.plates or self.sheet or self.masks
        assert found is not None
        return found


def _check_unread(masks: Path, sources: Iterable[Path]) -> None:
    """Raises InputError for a folder of masks to write of which one is read, or all."""
    for source in sources:
        if any(replaces(masks / f"{place}.png", source) for place in CALLED):
            raise InputError(f"{masks}: {source} is read, and would be replaced there; give another folder")


def _preview_place(request: Request, directions: Directions) -> Path:
    from ..media import Target

    if request.contact_sheet is None and request.out is None:
        raise InputError("give --out or --contact-sheet: the preview's sheet goes beside the one, or to the other")
    place = request.contact_sheet or Target.of(request.out or "").beside("preview.png")
    check_writable(place, ".png", (*request.inputs, *directions.inputs))
    return place


def move_picture(
    request: Request, directions: Directions, dials: Dials, shot: ShotConfig, brush: Brush | None, *, json: bool
) -> None:
    """Make what was asked for of the picture, and say what that was. brush: what paints on it; None: nothing does."""
    from ..media import check_clip_size

    started = time.monotonic()
    places, picture = Places.of(request, directions), request.picture()
    assert picture is not None
    found = directed(directions, dials, request.text, picture.size, paint=brush is not None)
    timing, size = _timing(shot, found.motion.plan), _size(shot, picture.size)
    found = replace(
        found, motion=replace(found.motion, plan=_keyed(found.motion.plan, directions, dials, shot, timing))
    )
    if places.clip is not None:
        check_clip_size(places.clip.path, *size)
    if brush is not None:
        brush.check(timing)
    _say(found)
    shown = Shown(timing, size, shot.resize)
    stage = staged(picture, found, directions, shown, dials.seed, look=request.model != NONE)
    save_parts(stage, found, places.plates, places.masks, picture.size)
    painting = brush is not None and request.out is not None
    more = _told(request, shot, found if painting else replace(found, painted={}), directions, dials)
    if directions.preview and places.sheet is not None:
        lines, result = previewed(stage, places.sheet, more)
    else:
        take = brush.painted(stage.take, stage.strokes) if brush is not None and painting else stage.take
        lines, result = _made(take, request, places, more)
    seconds = time.monotonic() - started
    lines[0] += f", made in {seconds:.1f} s"
    written = {"out": str(places.first), "contact_sheet": places.sheet and str(places.sheet)}
    parts = {"plates": places.plates, "masks": places.masks}
    folders = {name: str(path) for name, path in parts.items() if path is not None}
    show(lines, {**written, "seconds": round(seconds, 3), **folders, **stage.noted, **result}, json)


def _timing(shot: ShotConfig, plan: Plan) -> Timing:
    from ..standalone.framing import timed

    return timed(shot.duration, shot.fps, shot.frames, shot.loop is not Loop.NONE, plan.duration)


def _size(shot: ShotConfig, picture: Size) -> Size:
    from ..standalone.framing import own_size

    size = own_size(picture, shot.width, shot.height, shot.resize is ResizePolicy.FIT)
    if shot.width is None and shot.height is None and size[0] + 1 < picture[0]:
        complain(
            "note", f"a picture of {picture[0]}x{picture[1]} is shown at {size[0]}x{size[1]}; --width or --height: more"
        )
    return size


def _keyed(plan: Plan, directions: Directions, dials: Dials, shot: ShotConfig, timing: Timing) -> Plan:
    """A named place of the keyframe is one of the move, a number one of the clip's frames.

    Where nobody names one it is where the camera sees least beyond the picture: first where it goes in, last where it
    goes out, else in the middle.
    """
    from ..standalone.framing import keyed

    if "keyframe_at" not in dials.given:
        if directions.plan is not None:
            return plan
        return replace(plan, keyframe_at=least_invented(plan.camera))
    index = keyframe_index(shot.keyframe_at, timing.frames)
    if shot.keyframe_at in SHARES:
        return replace(plan, keyframe_at=SHARES[shot.keyframe_at])
    return keyed(plan, index, timing.frames, timing.fps, timing.loop)


def _say(found: Directed) -> None:
    say(found.line, err=True)
    if not found.asked:
        complain("note", "nothing was asked of the camera, so it pushes in slowly; --help lists its moves")
    if found.rest:
        made = "drawn or painted" if found.painted else "drawn"
        complain(
            "note", f"the rest of the prompt needs a video model (--model): only the camera moves, and what is {made}"
        )


def _told(request: Request, shot: ShotConfig, found: Directed, directions: Directions, dials: Dials) -> dict[str, Any]:
    """What of the request goes into the file beside the take's own settings."""
    asked = {"prompt": request.prompt, "loop": shot.loop, "resize": shot.resize}
    usual = {"prompt": None, "loop": Loop.NONE, "resize": ResizePolicy.CROP}
    told: dict[str, Any] = {name: value for name, value in asked.items() if value != usual[name]}
    if directions.filler is not None:
        told["fill"] = {"model": directions.filler.name, "seed": dials.seed}
    words = [{"text": phrase.text, "means": phrase.says, **found.telling(phrase)} for phrase in found.read]
    return {**told, "words": words} if words else told


def _made(take: Take, request: Request, places: Places, more: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The clip written; lines for a person, and the result for a program."""
    from .. import media

    settings = {**take.settings, **more}
    if request.out is None:
        return [f"{places.first}: {'plates' if places.plates is not None else 'masks'}"], settings
    collector = media.SheetCollector(len(take))
    with progress("Frames") as callback:
        frames = collector.tee(replace(take, callback=callback))
        media.save_clip(request.out, frames, take.fps, settings)
    if places.sheet is not None:
        media.save_picture(places.sheet, collector.sheet(), settings)
    width, height = take.size
    line = f"{places.first}: {len(take)} frames of {width}x{height} at {take.fps:g} fps"
    return [line], settings | {"unknown": round(max(take.unknown), 4)}
