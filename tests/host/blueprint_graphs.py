"""The shipped blueprints: parts of the shipped workflows as one node, which the page lists among its own.

`make_workflows.py` writes subgraphs from this and from the canvases in workflows, in the form of the page.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camera_graphs import photo_moves
from graph_parts import Workflow, fix_seed
from workflow_graphs import extended, picture_to_video

CANVAS = Path(__file__).resolve().parents[2] / "workflows"
CATEGORY = "MicroCinema"
INTO, OUT_OF = -10, -20  # the page's ids of what leads into a subgraph, and out of it
MARGIN, LINE, EDGE, WIDTH = (
    160,
    20,
    120,
    340,
)  # pixels of the canvas: beside the nodes, a slot, a list of slots, the node
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dial:
    """A widget of an inner node that the blueprint's node shows, by its node's title; `name`: where it has another."""

    title: str
    widget: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The nodes of a workflow but for those of `outside`, by title. Links to those become inputs and outputs.

    A link from outside to a widget is left out: its value stays, and becomes a dial.
    values: (title, widget, value) in place of the workflow's. labels: of the inputs and outputs.
    """

    name: str
    flow: Callable[[], Workflow]
    outside: tuple[str, ...]
    dials: tuple[Dial, ...]
    description: str
    words: tuple[str, ...]
    values: tuple[tuple[str, str, Any], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


MOVES = Blueprint(
    "Photo Moves (MicroCinema)",
    photo_moves,
    ("Load Image", "Save Video"),
    (
        Dial("MicroCinema Camera", "prompt"),
        *(Dial("MicroCinema Camera", name) for name in ("horizontal", "vertical", "zoom", "pan", "tilt", "shake")),
        *(Dial("MicroCinema Render", name) for name in ("frames", "width", "height", "loop")),
    ),
    "A camera moves over any picture, at its own size, 24 frames a second, without a model. "
    "Say where it goes with the dials, or in the prompt: the camera slowly pulls back, snow falls.",
    ("camera", "ken burns", "parallax", "animate photo"),
    (("MicroCinema Camera", "horizontal", 0.0), ("MicroCinema Camera", "zoom", 1.0)),  # so that words are heard
)
ANIMATES = Blueprint(
    "Keyframe to Video (MicroCinema)",
    picture_to_video,
    ("Night sky", "Yellow square", "Keyframe", "Save Video"),
    (
        Dial("Prompt", "text", "prompt"),
        Dial("Negative prompt", "text", "negative prompt"),
        Dial("Load MicroCinema", "file"),
        Dial("Load TSR", "file", "tsr file"),
        Dial("AppearNet Encode", "frames"),
        Dial("Frames a second", "value", "frames a second of the clip"),
        Dial("AppearNet Encode", "keyframe_at"),
        Dial("AppearNet Encode", "motion"),
        Dial("MicroCinema Sampler", "seed"),
        Dial("MicroCinema Sampler", "steps"),
        Dial("TSR Interpolate", "frames_per_clip"),
        Dial("TSR Interpolate", "passes"),
    ),
    "A keyframe and a sentence become a video of 32 frames a second. As shipped by Toybox, a demonstration with simple "
    "shapes in pictures of 128x128, not trained for photos. frames_per_clip is frames.",
    ("image to video", "i2v", "animate"),
)
EXTENDS = Blueprint(
    "Extend Clip (MicroCinema)",
    extended,
    (
        "Night sky", "Yellow square", "Keyframe", "Load MicroCinema", "Prompt", "Negative prompt", "Frames a second",
        "AppearNet Encode", "MicroCinema Sampler", "Load TSR", "TSR Interpolate", "VAE Decode", "Create Video",
        "Save Video",
    ),
    (
        Dial("Prompt 2", "text", "prompt"),
        Dial("Negative prompt 2", "text", "negative prompt"),
        Dial("AppearNet Encode 2", "fps"),
        Dial("AppearNet Encode 2", "motion"),
        Dial("MicroCinema Sampler 2", "seed"),
        Dial("MicroCinema Sampler 2", "steps"),
    ),
    "The last frame of a sampled clip is the keyframe of a second one, which goes on from it: 8 latents more. Can be "
    "repeated. TSR Interpolate takes all of it as one clip: frames_per_clip is 17, and 8 more for each repetition.",
    ("extend video", "continue", "longer"),
    (("Last frame", "batch_index", -1),),
    (("samples", "clip so far"), ("LATENT", "clip and more")),
)  # fmt: skip
BLUEPRINTS = (MOVES, ANIMATES, EXTENDS)


def blueprint_file(blueprint: Blueprint) -> Json:
    """A canvas with one node, whose type is the subgraph that is defined beside it."""
    flow = blueprint.flow()
    ids = {node.title: int(node.id) for node in flow.nodes}
    canvas = json.loads((CANVAS / f"{flow.name}.json").read_text(encoding="utf-8"))
    inner = {node["id"]: node for node in canvas["nodes"] if node["id"] in ids.values()}
    for title in blueprint.outside:
        del inner[ids[title]]
    for node in inner.values():
        fix_seed(node)  # what would change it is not among the dials
    for title, widget, value in blueprint.values:
        node = inner[ids[title]]
        names = [given["name"] for given in node["inputs"] if "widget" in given]
        node["widgets_values"][names.index(widget)] = value  # a seed, before which this holds, has two values
    inputs, outputs, links = cut_out(inner, canvas["links"], dict(blueprint.labels))
    first = max(link["id"] for link in links) + 1
    for number, dial in enumerate(blueprint.dials, start=first):
        node = inner[ids[dial.title]]
        slot, given = next((i, g) for i, g in enumerate(node["inputs"]) if g["name"] == dial.widget and "widget" in g)
        given["link"], name = number, dial.name or dial.widget
        links.append(as_object(number, INTO, len(inputs), node["id"], slot, given["type"]))
        inputs.append({"name": name, "type": given["type"], "linkIds": [number], "widget": {"name": name}})
    return whole(blueprint, inner, inputs, outputs, links)


def cut_out(
    inner: dict[int, Json], links: list[list[Any]], labels: dict[str, str]
) -> tuple[list[Json], list[Json], list[Json]]:
    """The subgraph's inputs, outputs and links. Links of the inner nodes that lead elsewhere are cut at both."""
    inputs: dict[tuple[int, int], Json] = {}
    outputs: dict[tuple[int, int], Json] = {}
    kept = []
    for number, source, out, target, into, kind in links:
        if target in inner and source not in inner and "widget" in inner[target]["inputs"][into]:
            inner[target]["inputs"][into]["link"] = None
        elif target in inner and source not in inner:
            name = inner[target]["inputs"][into]["name"].rpartition(".")[2]
            slot = inputs.setdefault((source, out), new_slot(name, kind, labels))
            slot["linkIds"].append(number)
            kept.append(as_object(number, INTO, list(inputs).index((source, out)), target, into, kind))
        elif source in inner and target not in inner:
            made = inner[source]["outputs"][out]
            slot = outputs.setdefault((source, out), new_slot(made["name"], kind, labels))
            if slot["linkIds"]:
                made["links"].remove(number)  # one link leads out, whoever reads it there
                continue
            slot["linkIds"].append(number)
            kept.append(as_object(number, source, out, OUT_OF, list(outputs).index((source, out)), kind))
        elif source in inner:
            kept.append(as_object(number, source, out, target, into, kind))
    return list(inputs.values()), list(outputs.values()), kept


def new_slot(name: str, kind: str, labels: dict[str, str]) -> Json:
    label = {"label": labels[name]} if name in labels else {}
    return {"name": name, "type": kind, "linkIds": [], "localized_name": name, **label}


def as_object(number: int, source: int, out: int, target: int, into: int, kind: str) -> Json:
    ends = {"origin_id": source, "origin_slot": out, "target_id": target, "target_slot": into}
    return {"id": number, **ends, "type": kind}


def bare(slot: Json) -> Json:
    return {key: value for key, value in slot.items() if key != "widget"}  # which the one node's own inputs have


def placed(slots: list[Json], blueprint: Blueprint, side: str, x: float, y: float) -> list[Json]:
    return [
        {"id": identity(blueprint, f"{side}/{slot['name']}"), **bare(slot), "pos": [x + LINE, y + LINE * (i + 1)]}
        for i, slot in enumerate(slots)
    ]


def identity(blueprint: Blueprint, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"microcinema/{blueprint.name}/{what}"))


def whole(
    blueprint: Blueprint, inner: dict[int, Json], inputs: list[Json], outputs: list[Json], links: list[Json]
) -> Json:
    """The file's parts put together, the subgraph's slots at the left and the right of its nodes."""
    left = min(node["pos"][0] for node in inner.values()) - MARGIN - EDGE
    right = max(node["pos"][0] + node["size"][0] for node in inner.values()) + MARGIN
    top = min(node["pos"][1] for node in inner.values())
    kind = identity(blueprint, "subgraph")
    counts = {"lastGroupId": 0, "lastNodeId": max(inner), "lastLinkId": max(link["id"] for link in links)}
    subgraph = {
        "id": kind, "version": 1, "state": counts | {"lastRerouteId": 0}, "revision": 0, "config": {},
        "name": blueprint.name,
        "inputNode": {"id": INTO, "bounding": [left, top, EDGE, LINE * (len(inputs) + 2)]},
        "outputNode": {"id": OUT_OF, "bounding": [right, top, EDGE, LINE * (len(outputs) + 2)]},
        "inputs": placed(inputs, blueprint, "in", left, top), "outputs": placed(outputs, blueprint, "out", right, top),
        "widgets": [], "nodes": list(inner.values()), "groups": [], "links": links, "extra": {},
        "category": CATEGORY, "description": blueprint.description,
    }  # fmt: skip
    shown = [{key: slot[key] for key in slot if key != "linkIds"} for slot in (*inputs, *outputs)]
    node = {
        "id": 1, "type": kind, "pos": [0, 0], "size": [WIDTH, LINE * (len(shown) + 2)],
        "flags": {}, "order": 0, "mode": 0, "inputs": [slot | {"link": None} for slot in shown[: len(inputs)]],
        "outputs": [slot | {"links": []} for slot in shown[len(inputs) :]],
        "properties": {}, "widgets_values": [], "title": blueprint.name,
    }  # fmt: skip
    numbers = {"revision": 0, "last_node_id": 1, "last_link_id": 0, "nodes": [node], "links": [], "version": 0.4}
    extra = {"BlueprintDescription": blueprint.description, "BlueprintSearchAliases": list(blueprint.words)}
    return {"id": identity(blueprint, "file"), **numbers, "definitions": {"subgraphs": [subgraph]}, "extra": extra}
