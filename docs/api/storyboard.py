"""Make the shots of a storyboard in ComfyUI and join them: python docs/api/storyboard.py shots.csv --out out

`shots.py` says what a storyboard is. A row with camera words moves its picture without a model; any other is animated
by Toybox. Each shot is kept in OUT/shots under the hash of all that it is made from and made once, so that the same
command goes on where it was stopped, and makes anew what was changed. Joining takes PyAV.
"""
# ruff: noqa: T201

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from client import ComfyClient, ComfyError, Graph, Progress, parse_value, place
from joining import JoinError, join
from shot_graphs import LOADED, changed, graph_of
from shots import Shot, StoryboardError, read_storyboard


def make_shots(shots: Sequence[Shot], values: dict[str, object], comfy: ComfyClient, folder: Path) -> list[Path]:
    """The shots' videos in `folder`, in their order; those that are there already are not made again.

    values: put into every graph that has their place. Raises StoryboardError, which names the row.
    """
    graphs = [graph_of(shot) for shot in shots]
    if values:
        graphs = changed(graphs, values, comfy.object_info())
    videos = []
    for count, (shot, graph) in enumerate(zip(shots, graphs, strict=True), start=1):
        target = folder / f"{digest(shot, graph)}.mp4"
        kept = target.exists()
        if not kept:
            make(shot, graph, comfy, target, f"Shot {count} of {len(shots)}")
        print(f"Shot {count} of {len(shots)}: {'as it was' if kept else 'made'}, {target}", flush=True)
        videos.append(target)
    return videos


def digest(shot: Shot, graph: Graph) -> str:
    """The hash of the shot's graph and of its keyframe's file. Neither the file's name nor the row's place is in it."""
    picture = shot.keyframe.read_bytes() if shot.keyframe else b""
    made_from = [graph, hashlib.sha256(picture).hexdigest()]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def make(shot: Shot, graph: Graph, comfy: ComfyClient, target: Path, name: str) -> None:
    """Run the shot's graph and save its video, whole or not at all."""
    try:
        if shot.keyframe:
            graph[LOADED]["inputs"]["image"] = comfy.upload(shot.keyframe)
        (video,) = comfy.run(graph, progress=lambda step: show(name, step))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
            comfy.download(video, folder).replace(target)
    except ComfyError as error:
        raise StoryboardError(f"{shot.where}: {error}") from error


def show(name: str, step: Progress) -> None:
    """One line on a terminal, written over and over."""
    if sys.stderr.isatty():
        print(f"\r{name}: {step.node} {step.value:g}/{step.maximum:g}\033[K\r", end="", file=sys.stderr, flush=True)


def film(videos: Sequence[Path], target: Path) -> None:
    """Join the shots, and say which of them had another size or rate than the first."""
    made = join(videos, target)
    for path, form in made.others.items():
        print(f"{path}: {form}, shown at {made.form}, as the first shot is")
    print(f"{target}: {len(videos)} shots, {made.frames} frames, {made.form}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the shots of a storyboard in ComfyUI and join them.")
    parser.add_argument("storyboard", type=Path, help="CSV or JSON file")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the film, its shots below it")
    parser.add_argument("--server", default="http://127.0.0.1:8188")
    parser.add_argument(
        "--set", type=place, action="append", default=[], metavar="NODE.INPUT=VALUE", help="in every shot that has it"
    )
    options = parser.parse_args(arguments)
    values = {where: parse_value(value) for where, value in options.set}
    try:
        shots = read_storyboard(options.storyboard)
        videos = make_shots(shots, values, ComfyClient(options.server), options.out / "shots")
        film(videos, options.out / f"{options.storyboard.stem}.mp4")
    except (ComfyError, JoinError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What was made is kept: the same command goes on from there.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
