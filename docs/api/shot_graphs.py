"""A storyboard's shots as graphs, made from this folder's workflows. A keyframe's file is not in them yet."""

from collections.abc import Callable, Sequence
from pathlib import Path

from client import Graph, find_node, load_graph, split_place, substitute, title
from shots import Shot

MOVED, ANIMATED, DRAWN = (
    Path(__file__).with_name(f"{name}.json")
    for name in ("a-photo-moves", "toybox-picture-to-video", "toybox-text-to-video")
)
LOADED = "keyframe"  # the node that loads a shot's picture
MODEL_RATE = 2.0  # frames a second of a clip before it is interpolated


def graph_of(shot: Shot) -> Graph:
    """The shot's graph, with no more nodes than its video takes."""
    graph = moved(shot) if shot.camera else animated(shot)
    return needed(graph, key_of(graph, "Save Video"))


def moved(shot: Shot) -> Graph:
    """The camera goes over the picture, as its words say; the prompt's words of weather come with them."""
    graph = load_graph(MOVED)
    rate = find_node(graph, "MicroCinema Render")["inputs"]["fps"]
    words = ", ".join(filter(None, (shot.camera, shot.prompt)))
    still = {"MicroCinema Camera.horizontal": 0.0, "MicroCinema Camera.zoom": 1.0}  # the dials which it turns itself
    asked = {"MicroCinema Camera.prompt": words, "MicroCinema Camera.shake_seed": shot.seed}
    graph = substitute(graph, still | asked | {"MicroCinema Render.frames": round(shot.seconds * rate) + 1})
    if shot.keyframe:
        return with_picture(graph, "Load Image", {LOADED: load_image()}, LOADED)
    picture = renamed(drawing(shot), "drawn-")
    return with_picture(graph, "Load Image", picture, key_of(picture, "Keyframe"))


def animated(shot: Shot) -> Graph:
    """Toybox animates the picture, or first draws it."""
    frames = max(round(shot.seconds * MODEL_RATE), 1) + 1
    values = {
        "Prompt.text": shot.prompt, "Negative prompt.text": shot.negative, "MicroCinema Sampler.seed": shot.seed,
        "AppearNet Encode.strength": shot.strength, "AppearNet Encode.frames": frames,
        "TSR Interpolate.frames_per_clip": frames, "Frames a second.value": MODEL_RATE,
    }  # fmt: skip
    if shot.keyframe is None:
        return substitute(drawing(shot), values)
    graph = load_graph(ANIMATED, values)
    size = {side: find_node(graph, "Night sky")["inputs"][side] for side in ("width", "height")}
    fitted = {"image": [LOADED, 0], "upscale_method": "lanczos", "crop": "center", **size}
    scale = {"class_type": "ImageScale", "inputs": fitted, "_meta": {"title": "To the model's size"}}
    return with_picture(graph, "Keyframe", {LOADED: load_image(), "scale": scale}, "scale")


def drawing(shot: Shot) -> Graph:
    """The workflow whose keyframe is drawn from the shot's words."""
    return load_graph(DRAWN, {"Picture.text": shot.picture, "Sample the picture.seed": shot.seed})


def load_image() -> dict:
    return {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "Load Image"}}


def with_picture(graph: Graph, name: str, picture: Graph, source: str) -> Graph:
    """The graph with the nodes of `picture`, whose node `source` is read where the one titled `name` was."""
    old = key_of(graph, name)
    return linked(graph, lambda key: source if key == old else key) | picture


def renamed(graph: Graph, prefix: str) -> Graph:
    """The same graph with other ids, for a place beside another."""
    return {prefix + key: node for key, node in linked(graph, lambda key: prefix + key).items()}


def linked(graph: Graph, new: Callable[[str], str]) -> Graph:
    """The same nodes, whose links lead to other ids."""
    made = {}
    for key, node in graph.items():
        inputs = {n: [new(v[0]), v[1]] if isinstance(v, list) else v for n, v in node["inputs"].items()}
        made[key] = node | {"inputs": inputs}
    return made


def needed(graph: Graph, end: str) -> Graph:
    """The node `end` and all that it is made from."""
    found, waiting = set(), [end]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [value[0] for value in graph[key]["inputs"].values() if isinstance(value, list)]
    return {key: node for key, node in graph.items() if key in found}


def key_of(graph: Graph, name: str) -> str:
    return next(key for key in graph if title(graph, key) == name)


def changed(graphs: Sequence[Graph], values: dict[str, object], nodes: dict[str, dict]) -> list[Graph]:
    """Each graph with those values whose place it has. Raises GraphError for a value that no graph has a place for."""
    places = [{where for where in values if has_node(graph, split_place(graph, where)[0])} for graph in graphs]
    for where in values.keys() - set().union(*places):
        substitute(graphs[0], {where: values[where]}, nodes)  # which says what there is
    return [
        substitute(graph, {where: values[where] for where in here}, nodes)
        for graph, here in zip(graphs, places, strict=True)
    ]


def has_node(graph: Graph, name: str) -> bool:
    return name in graph or any(title(graph, key) == name for key in graph)
