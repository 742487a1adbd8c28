"""What camera and regions of a picture are told to do: options, words of the prompt, a plan's file, masks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..checkpoint.embedded import POCKET, embedded_fill
from ..errors import InputError
from ..files import read_text
from ..motion.directing import directed as by_words
from ..motion.directing import undirected
from ..motion.easing import Ease
from ..motion.layer import LayerKind
from ..motion.plan import MAX_PLAN, Camera, Plan, Relief
from ..motion.words import Phrase, read_words
from ..shot.dials import Settings
from .drawing import read_places, spoken, with_layers
from .layers import KEYS as LAYER_KEYS
from .layers import ToldLayer
from .painting import Painted, painted_words
from .regions import KEYS, Told

T = TypeVar("T", bound=Settings)

if TYPE_CHECKING:
    from torch import Tensor

    from ..motion.scene import Motion

SMALL = {
    "a",
    "an",
    "and",
    "are",
    "as",
    "at",
    "by",
    "camera",
    "in",
    "is",
    "it",
    "its",
    "of",
    "on",
    "shot",
    "the",
    "then",
}
SMALL |= {"to", "view", "while", "with"}  # words that say nothing of the scene


@dataclass(frozen=True, slots=True)
class Directions:
    """Files that say what moves, and what else is written than a clip."""

    region: Annotated[
        list[str] | None,
        typer.Option(
            help="MASK.png:KEY=VALUE,...: a part of the picture with a path of its own; may be repeated. "
            f"Keys: {', '.join(KEYS)}. MASK.png alone is the mask of a plan's region.",
            show_default=False,
        ),
    ] = None
    plan: Annotated[
        Path | None, typer.Option(help="A motion plan (JSON); options go before it.", show_default=False)
    ] = None
    depth: Annotated[
        Path | None, typer.Option(help="A depth picture: what is near moves more.", show_default=False)
    ] = None
    layer: Annotated[
        list[str] | None,
        typer.Option(
            help="KIND or KIND:KEY=VALUE,...: weather, air, light, water, wind or sky drawn into the picture; may be "
            f"repeated. Kinds: {', '.join(LayerKind)}. Keys: {', '.join(LAYER_KEYS)}. NUMBER:mask=FILE.png is the mask "
            "of a plan's layer.",
            show_default=False,
        ),
    ] = None
    masks_out: Annotated[
        Path | None,
        typer.Option(help="Write where sky, water, plants and people were found into this folder.", show_default=False),
    ] = None
    masks_in: Annotated[
        Path | None, typer.Option(help="The folder of those masks, corrected; they win.", show_default=False)
    ] = None
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Draw a layer whose place is not found all over the picture.")
    ] = False
    plates_out: Annotated[
        Path | None, typer.Option(help="Write the plates into this folder, to be filled anywhere.", show_default=False)
    ] = None
    plates_in: Annotated[Path | None, typer.Option(help="The folder of the plates, filled.", show_default=False)] = None
    paint_in: Annotated[
        Path | None,
        typer.Option(help="A mask: where --paint may, in the place of what is found.", show_default=False),
    ] = None
    fill: Annotated[
        Path | None,
        typer.Option(
            help=f"Fill model file, which makes up what plates lack; {POCKET}: the embedded one.",
            show_default="a smooth filling with mirrored detail",
        ),
    ] = None
    preview: Annotated[
        bool, typer.Option("--preview", help="No clip: a contact sheet, and what of each frame is made up.")
    ] = False

    @property
    def layers(self) -> list[ToldLayer]:
        """Raises InputError for an option that is no layer."""
        return [ToldLayer.parse(text) for text in self.layer or ()]

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that are read. Raises InputError for plates that are not there."""
        from ..media import check_plates

        filler = self.filler
        masks = [Told.parse(text).mask for text in self.region or ()]
        masks += [path for one in self.layers for path in (one.mask, one.file) if path is not None]
        plates = [] if self.plates_in is None else check_plates(self.plates_in)
        given = (*masks, self.paint_in, self.masks_in, self.plan, self.depth, filler, *plates)
        return tuple(path for path in given if path is not None)

    @property
    def filler(self) -> Path | None:
        """The fill model's file. Raises CheckpointError for an embedded one that is not there."""
        if self.fill is not None and self.plates_in is not None:
            raise InputError("--fill fills plates, and --plates-in has them filled already; leave one out")
        return embedded_fill() if self.fill == Path(POCKET) else self.fill


@dataclass(frozen=True, slots=True)
class Dials:
    """The camera's options, and which of them somebody gave, by field."""

    camera: Camera
    relief: Relief
    ease: Ease
    seed: int
    given: Set[str]

    def over(self, plan: Plan) -> Plan:
        """The plan with what was given in place of its own."""
        plan = replace(plan, camera=self.own(plan.camera, self.camera), relief=self.own(plan.relief, self.relief))
        if "ease" in self.given:
            plan = replace(plan, ease=self.ease, curve=None)
        return replace(plan, seed=self.seed) if "seed" in self.given else plan

    def own(self, old: T, new: T) -> T:
        """Settings, with what was given of others in the place of theirs."""
        return replace(old, **{f.name: getattr(new, f.name) for f in fields(new) if f.name in self.given})


@dataclass(frozen=True, slots=True, eq=False)
class Directed:
    """motion: what camera and regions do and what is drawn. asked: whether anybody asked for that.

    read: phrases of the prompt. rest: whether the prompt says more than that. painted: what is painted in the place of
    layers of the motion, by their numbers from 0.
    """

    motion: Motion
    asked: bool
    read: tuple[Phrase, ...]
    rest: bool
    painted: Mapping[int, Painted] = field(default_factory=dict)

    def telling(self, phrase: Phrase) -> dict[str, str]:
        """What the model is told for a phrase that is painted, for a program."""
        told = next((one.told for one in self.painted.values() if one.phrase == phrase), None)
        return {} if told is None else {"painted": told}

    @property
    def line(self) -> str:
        """What the camera does, for a person."""
        plan = self.motion.plan
        moves = [f"{f.name} {getattr(plan.camera, f.name):g}" for f in fields(plan.camera) if _set(plan.camera, f.name)]
        told = (f"{phrase.text}{phrase.says and f' = {phrase.says}'}" for phrase in self.read)
        read = f" (read: {'; '.join(told)})" if self.read else ""
        regions = len(plan.regions)
        layers = enumerate(plan.layers)
        drawn = "; ".join(str(layer) for i, layer in layers if layer.amount > 0 and i not in self.painted)
        painted = "; ".join(one.told for one in self.painted.values())
        return (
            f"camera: {', '.join(moves) or 'still'}"
            f"{f'; {regions} region' + 's' * (regions > 1) if regions else ''}"
            f"{f'; drawn: {drawn}' if drawn else ''}{f'; painted: {painted}' if painted else ''}{read}"
        )


def _set(camera: Camera, name: str) -> bool:
    return bool(getattr(camera, name) != getattr(Camera(), name))


def directed(
    directions: Directions,
    dials: Dials,
    prompt: str,
    picture: tuple[int, int] | None,
    *,
    alone: bool = True,
    paint: bool = False,
) -> Directed:
    """What the options, the files and the prompt say together. picture: its width and height, where they are known.

    A plan's file says all that no option does. Without one, the prompt's words do. alone: whether words of weather and
    the like are drawn; a video model reads them itself. paint: whether they are painted, where that can be.
    Raises InputError and ConfigError for files and values that cannot be used.
    """
    from ..motion.scene import Motion

    plan = Plan() if directions.plan is None else _read_plan(directions.plan)
    reading = read_words(prompt if directions.plan is None else "")
    plan = by_words(dials.over(plan), reading, dials.given)
    told = [Told.parse(text) for text in directions.region or ()]
    masks = _masks(plan, [one.mask for one in told if one.region is None], picture)
    motion = Motion(plan, masks)
    for one in told:
        if one.region is not None:
            motion = motion.with_region(one.region, _read_mask(one.mask, picture))
    layers = directions.layers
    drawn = spoken(reading.layers if alone else (), layers, dials.seed if "seed" in dials.given else None)
    brushed = painted_words(prompt, read_words(prompt), layers) if paint else []
    drawn = [layer for layer in drawn if layer.kind not in {one.layer.kind for one in brushed}]
    painted = dict(enumerate(brushed, start=len(motion.plan.layers) + len(drawn)))
    where = None if directions.paint_in is None else _read_mask(directions.paint_in, picture)
    motion = with_layers(
        motion, layers, drawn, lambda file: _read_mask(file, picture), [(o.layer, where) for o in brushed]
    )
    if directions.masks_in is not None:
        from ..motion.locating import with_places

        motion = with_places(motion, read_places(directions.masks_in, picture))
    asked = directions.plan is not None or motion.plan.moves or reading.still or bool(told) or motion.plan.draws
    if not asked:
        motion = replace(motion, plan=undirected(motion.plan, depth=directions.depth is not None))
    if directions.depth is not None:
        from ..media import read_depth

        motion = replace(motion, depth=read_depth(directions.depth))
    read = _with(reading.phrases if alone else reading.camera, brushed)
    return Directed(motion, asked or directions.depth is not None, read, _says_more(prompt, read), painted)


def _with(read: tuple[Phrase, ...], painted: list[Painted]) -> tuple[Phrase, ...]:
    """What was read, with phrases that are painted and were not read else."""
    more = (one.phrase for one in painted if one.phrase not in read)
    return tuple(sorted((*read, *more), key=lambda phrase: phrase.start))


def _read_plan(path: Path) -> Plan:
    return Plan.from_json(read_text(path, "a motion plan (JSON)", 4 * MAX_PLAN), str(path))


def _masks(plan: Plan, files: list[Path], picture: tuple[int, int] | None) -> tuple[Tensor | None, ...]:
    """One for each of the plan's regions without a polygon, in their order."""
    lacking = [number for number, region in enumerate(plan.regions) if region.polygon is None]
    if len(files) > len(lacking):
        said = f"the plan has {len(lacking)} regions that need one" if plan.regions else "there is no plan to need one"
        raise InputError(
            f"--region {files[len(lacking)]}: is a mask alone, and {said}; say what it does, as in "
            f"{files[len(lacking)]}:horizontal=0.2"
        )
    if len(files) < len(lacking):
        raise InputError(
            f"region {lacking[len(files)] + 1} of the plan has no polygon; give its mask by --region MASK.png"
        )
    read = dict(zip(lacking, (_read_mask(path, picture) for path in files), strict=True))
    return tuple(read.get(number) for number in range(len(plan.regions)))


def _read_mask(path: Path, picture: tuple[int, int] | None) -> Tensor:
    from ..media import read_mask
    from ..motion.plates import check_mask

    mask = read_mask(path)
    return mask if picture is None else check_mask(mask, picture, f"{path}: the mask")[0]


def _says_more(prompt: str, read: tuple[Phrase, ...]) -> bool:
    """Whether anything but what was read, and small words, is left of the prompt."""
    rest, done = [], 0
    for phrase in read:
        rest.append(prompt[done : phrase.start])
        done = max(done, phrase.end)
    rest.append(prompt[done:])
    return any(word not in SMALL for word in re.findall(r"[^\W\d_]+", " ".join(rest).lower()))
