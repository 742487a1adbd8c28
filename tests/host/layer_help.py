"""The pictures of the help pages of MicroCinema Layer and MicroCinema Scene: graphs, and sheets of what they keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import camera_graphs as cameras
import layer_graphs as layers
from graph_parts import Node, Workflow
from make_workflows import ROCKET, Painted
from PIL import Image, ImageDraw, ImageFont, ImageOps, ImageStat

WIDTH, ACROSS = 240, 4  # of a tile, in pixels, and how many stand side by side
GAP, LINE = 6, 20  # pixels: between tiles, and of a name below one
MOON: Painted = tuple(
    (round(556 + 62 * math.cos(turn)), round(78 + 62 * math.sin(turn)))
    for turn in (k * math.tau / 40 for k in range(40))
)
DUSK: Painted = ((0, 0), (639, 0), (639, 330), (0, 330))
CAT: Painted = ((60, 0), (380, 0), (440, 120), (400, 299), (0, 299), (0, 140))
SURF: Painted = ((430, 200), (719, 130), (719, 359), (560, 359))
TINTS = {"sky": (255, 0, 255), "water": (0, 255, 255), "plants": (255, 255, 0), "people": (255, 0, 0)}
TINT = 0.5

PICTURES: Mapping[str, tuple[str, Painted]] = {
    "city": ("city.jpg", ()),
    "hills": ("hills.jpg", ()),
    "lake": ("lake.jpg", ()),
    "dandelion": ("dandelion.jpg", ()),
    "surf": ("surf.jpg", SURF),
    "coffee": ("coffee.jpg", ()),
    "moon": ("starry-night.jpg", MOON),
    "dusk": ("rocket.jpg", DUSK),
    "rocket": ROCKET,
    "cat": ("cat.jpg", CAT),
}
# Of each kind: the picture, and what is not as usual. A picture with something painted gives its mask.
KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "snow": ("city", {}),
    "rain": ("hills", {"amount": 4.0}),
    "drizzle": ("hills", {"amount": 4.0}),
    "dust": ("dandelion", {"amount": 3.0}),
    "embers": ("coffee", {}),
    "fireflies": ("dandelion", {}),
    "petals": ("hills", {}),
    "leaves": ("hills", {}),
    "fog": ("city", {}),
    "mist": ("hills", {"amount": 2.5}),
    "smoke": ("city", {}),
    "haze": ("city", {"amount": 3.0}),
    "brighter": ("hills", {}),
    "darker": ("hills", {}),
    "warmer": ("hills", {}),
    "colder": ("hills", {}),
    "evening": ("hills", {}),
    "night": ("hills", {}),
    "flicker": ("coffee", {"at": "point", "at.x": 0.5, "at.y": 0.45, "amount": 2.0}),
    "lightning": ("hills", {}),
    "vignette": ("hills", {"amount": 2.0}),
    "waves": ("lake", {}),
    "falls": ("surf", {"speed": 2.0}),
    "wind": ("dandelion", {"place": "everywhere", "amount": 2.0}),
    "clouds": ("hills", {"speed": 3.0}),
    "stars": ("dusk", {"amount": 4.0}),
    "swing": ("rocket", {"amount": 2.0}),
    "spin": ("moon", {"speed": 0.5}),
    "bob": ("rocket", {"amount": 3.0}),
    "breathe": ("cat", {"amount": 2.0}),
    "pulse": ("moon", {}),
}


NEARER = ("snow", "rain", "drizzle", "dust", "embers", "fireflies", "petals", "leaves", "stars")  # shown in part
CLOSE = (0.25, 0.2, 0.75, 0.8)  # shares of the frame
FLASHING = ("flicker", "lightning", "pulse")  # of which the brightest frame is shown


def layers_graph(name_of: Callable[..., str]) -> Workflow:
    """A few frames of each kind. name_of: a picture's name in the server, from its file and what is painted on it."""
    flow = Workflow("help-layers", "")
    shown = {
        title: flow.add("LoadImage", title, image=name_of(*picture, number))
        for number, (title, picture) in enumerate(PICTURES.items())
    }
    for kind, (title, changed) in KINDS.items():
        mask = {"mask": shown[title][1]} if PICTURES[title][1] else {}
        made = layers.layer(flow, kind, **changed, **mask)
        given = {"frames": 17 if kind in FLASHING else 5, "fps": 2.0, "width": 2 * WIDTH * (1 + (kind in NEARER))}
        frames = cameras.render(flow, made, shown[title][0], **given)
        flow.add("SaveImage", kind, images=frames[0], filename_prefix="help")
    return flow


def scene_graph(name_of: Callable[..., str], titles: Sequence[str]) -> Workflow:
    """What is found in these pictures, and the depth of the first."""
    flow = Workflow("help-scene", "")
    for title in titles:
        shown = flow.add("LoadImage", title, image=name_of(PICTURES[title][0]))
        found = flow.add("MicroCinemaScene", f"scene {title}", picture=shown[0])
        _keep(flow, f"picture {title}", shown, 0)
        for number, place in enumerate(TINTS):
            mask = flow.add("MaskToImage", f"mask {place} {title}", mask=found[number])
            _keep(flow, f"{place} {title}", mask, 0)
        _keep(flow, f"depth {title}", found, len(TINTS))
    return flow


def _keep(flow: Workflow, title: str, node: Node, output: int) -> None:
    flow.add("SaveImage", title, images=node[output], filename_prefix="help")


def layers_sheet(kept: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """A tile of each kind with its name."""
    return sheet({kind: _tile(kind, kept[kind]) for kind in KINDS}, WIDTH, ACROSS)


def _tile(kind: str, frames: Sequence[Image.Image]) -> Image.Image:
    frame = max(frames, key=lambda frame: sum(ImageStat.Stat(frame).mean)) if kind in FLASHING else frames[-1]
    width, height = frame.size
    left, top, right, bottom = CLOSE
    return (
        frame.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        if kind in NEARER
        else frame
    )


def scene_sheet(kept: Mapping[str, Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Each picture with what was found in it in colours, and the depth of the first."""
    tiles = {}
    for title in titles:
        picture = kept[f"picture {title}"][0]
        for place, tint in TINTS.items():
            mask = kept[f"{place} {title}"][0].convert("L").point(lambda share: round(TINT * share))
            picture = Image.composite(Image.new("RGB", picture.size, tint), picture, mask)
        tiles[title] = picture
    tiles[f"{titles[0]}: depth"] = kept[f"depth {titles[0]}"][0]
    return sheet(tiles, WIDTH, ACROSS)


def sheet(tiles: Mapping[str, Image.Image], width: int, across: int) -> Image.Image:
    """Pictures side by side on white, cut to one shape, each with its name below."""
    height = round(width * 0.6)
    down = -(-len(tiles) // across)
    whole = Image.new("RGB", (across * (width + GAP) - GAP, down * (height + LINE)), "white")
    font, draw = ImageFont.load_default(13), ImageDraw.Draw(whole)
    for number, (name, picture) in enumerate(tiles.items()):
        x, y = number % across * (width + GAP), number // across * (height + LINE)
        whole.paste(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + width / 2, y + height + LINE / 2), name, "black", font, "mm")
    return whole
