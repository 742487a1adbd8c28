"""Damage to all that is parsed, from a seed: `python tests/fuzz.py [--seed N] [--cases N] [--only NAME]`.

A reader may refuse what it is given in one line (a MicroCinemaError) or take it; any other error, more than `SECONDS`,
and words of a native library on standard error are findings. `make test-full` runs each target's own number of cases.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import random
import runpy
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, features
from safetensors.torch import load_file, save_file

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS)] if str(TESTS) not in sys.path else []
import hostile  # noqa: E402

from microcinema_core import media  # noqa: E402
from microcinema_core.checkpoint.addition import Addition  # noqa: E402
from microcinema_core.checkpoint.format import read_header  # noqa: E402
from microcinema_core.checkpoint.identify import identify  # noqa: E402
from microcinema_core.checkpoint.lora_file import Part, merged, save_lora_file  # noqa: E402
from microcinema_core.checkpoint.lora_header import LoraHeader, layout_of  # noqa: E402
from microcinema_core.checkpoint.stored import Stored  # noqa: E402
from microcinema_core.cli.layers import ToldLayer  # noqa: E402
from microcinema_core.cli.regions import Told  # noqa: E402
from microcinema_core.errors import MicroCinemaError  # noqa: E402
from microcinema_core.importers.convert import convert  # noqa: E402
from microcinema_core.importers.inflate import Order, inflate_file  # noqa: E402
from microcinema_core.importers.text_to_video import open_text_to_video  # noqa: E402
from microcinema_core.media.films import read_frames  # noqa: E402
from microcinema_core.motion.easing import Ease  # noqa: E402
from microcinema_core.motion.layer import Layer, LayerKind, Place  # noqa: E402
from microcinema_core.motion.plan import Camera, Plan, Region, Relief  # noqa: E402
from microcinema_core.motion.scene import Motion  # noqa: E402
from microcinema_core.motion.taught import Taught  # noqa: E402
from microcinema_core.shot.plan import ShotConfig  # noqa: E402
from microcinema_core.shot.settings import SamplingConfig  # noqa: E402
from microcinema_core.standalone.camera import move  # noqa: E402
from microcinema_core.standalone.framing import Timing  # noqa: E402
from microcinema_core.standalone.pipeline import MicroCinemaPipeline  # noqa: E402
from microcinema_core.training.config import TrainConfig  # noqa: E402
from microcinema_core.training.data.catalogue import find_films  # noqa: E402
from microcinema_core.training.data.films import Film  # noqa: E402
from microcinema_core.training.data.report import VideoReport  # noqa: E402
from microcinema_core.training.loop import train  # noqa: E402

SECONDS = 30  # for one case, which takes less than one on an idle machine
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
ODD_TOML = ("nan", "-inf", "1979-05-27", "[[[[", "{a=1}", "'x'", "-5", "1e30", "[" * 5000, "a.b = 1")
REGIONS = ("mask.png:horizontal=.2,zoom=1.1", "C:\\mask.png:order=-1,ease=linear", "a=b:c.png:roll=9,distance=2", "m")
LAYERS = (
    "snow:amount=.6,seed=3,direction=left",
    "swing:mask=C:\\a.png,x=.2,y=.3",
    "2:mask=a.png",
    "fog",
    "fog:colour=#fff",
)
ODD_WORDS = (
    "=",
    ",",
    ":",
    "::",
    "nan",
    "inf",
    "1e400",
    "-",
    "9" * 5000,
    "\0",
    "\n",
    "\udcff",
    "٣",
    "²",
    "zoom=",
    "\x1b[2J",
    " ",
)
SOURCES = ("folder", "modelscope", "single.safetensors")
Read = Callable[[Path], object]
T = TypeVar("T")


class TooLong(BaseException):
    """Not an Exception, which a reader might take for one of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is damaged and who reads it. make: good material in a folder; spoil: damages some of it, and says what."""

    name: str
    cases: int
    make: Callable[[Path], None]
    spoil: Callable[[Path, random.Random], str]
    read: Read
    talks: bool = False  # the reader itself writes to standard error


def spoil_bytes(pattern: str) -> Callable[[Path, random.Random], str]:
    """One of the files, changed anywhere."""

    def spoil(folder: Path, rng: random.Random) -> str:
        path = rng.choice(sorted(path for path in folder.rglob(pattern) if path.is_file()))
        path.write_bytes(hostile.mutated(path.read_bytes(), rng))
        return path.name

    return spoil


def spoil_header(pattern: str) -> Callable[[Path, random.Random], str]:
    """One value of a safetensors file's header, also inside the texts of its metadata; else its bytes."""

    def spoil(folder: Path, rng: random.Random) -> str:
        if rng.random() < 0.4:
            return spoil_bytes(pattern)(folder, rng)
        path = rng.choice(sorted(folder.rglob(pattern)))
        raw = path.read_bytes()
        end = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:end])
        texts = [name for name, text in header.get("__metadata__", {}).items() if text[:1] in "{[0123456789"]
        if texts and rng.random() < 0.7:
            name = rng.choice(texts)
            header["__metadata__"][name] = odd(json.loads(header["__metadata__"][name]), rng)
            text = json.dumps(header)
        else:
            text = odd(header, rng)
        path.write_bytes(len(text.encode()).to_bytes(8, "little") + text.encode() + raw[end:])
        return path.name

    return spoil


def odd(value: object, rng: random.Random) -> str:
    places = list(hostile.json_places(value))
    return hostile.json_with(value, rng.choice(places), rng.choice(hostile.ODD_JSON))


def spoil_source(folder: Path, rng: random.Random) -> str:
    """Of one source a value in a JSON file, a tensor, or the header of a file of tensors; which one, a file says."""
    name = rng.choice(SOURCES)
    (folder / "spoilt").write_text(name)
    files = [folder / name] if (folder / name).is_file() else sorted((folder / name).rglob("*.*"))
    tensors = [path for path in files if path.suffix == ".safetensors"]
    values = [path for path in files if path.suffix == ".json" and path.stat().st_size < 10_000]
    if values and rng.random() < 0.5:
        path = rng.choice(values)
        path.write_text(hostile.odd_json_of(path, rng), encoding="utf-8")
    elif rng.random() < 0.2:
        return spoil_header(rng.choice(tensors).name)(folder / name if values else folder, rng)
    else:
        path = rng.choice(tensors)
        return f"{name}: {path.name}: {spoil_tensor(path, rng)}"
    return f"{name}: {path.parent.name}/{path.name}"


def spoil_tensor(path: Path, rng: random.Random) -> str:
    state = load_file(path)
    name = rng.choice(sorted(state))
    what, tensor = rng.choice(list(hostile.odd_tensors(state.pop(name))))
    save_file(state if tensor is None else state | {name: tensor.clone().contiguous()}, path)
    return f"{name}: {what}"


def spoil_toml(folder: Path, rng: random.Random) -> str:
    """A value of a configuration becomes another text, or anything changes anywhere."""
    path = rng.choice(sorted(folder.glob("*.toml")))
    lines = path.read_text(encoding="utf-8").splitlines()
    valued = [i for i, line in enumerate(lines) if "=" in line and line[:1] != "#"]
    if rng.random() < 0.3:
        return spoil_bytes("*.toml")(folder, rng)
    i = rng.choice(valued)
    texts = (
        *hostile.ODD_JSON,
        "nan",
        "-inf",
        "1979-05-27",
        "[[[[",
        "{a=1}",
        "'x'",
        "-5",
        "1e30",
        "[" * 5000,
        "a.b = 1",
    )
    lines[i] = f"{lines[i].split('=')[0]}= {rng.choice(texts)}"
    path.write_text("\n".join(lines), encoding="utf-8")
    return lines[i][:60]


def spoil_plan(folder: Path, rng: random.Random) -> str:
    """A value of a plan becomes another, or anything changes anywhere."""
    path = folder / "plan.json"
    if rng.random() < 0.3:
        return spoil_bytes("*.json")(folder, rng)
    path.write_text(odd(json.loads(path.read_text(encoding="utf-8")), rng), encoding="utf-8")
    return path.name


def spoil_text(name: str, texts: Sequence[str]) -> Callable[[Path, random.Random], str]:
    """An option's text with parts taken from a few, in any order, and characters of any kind in it."""

    def spoil(folder: Path, rng: random.Random) -> str:
        text = rng.choice(texts)
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(ODD_WORDS) + text[at + rng.randint(0, 3) :]
        (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        return text[:80]

    return spoil


# Good material


def make_pictures(folder: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))
    for kind in PICTURES:
        if kind not in ("AVIF", "JPEG2000") or features.check("avif" if kind == "AVIF" else "jpg_2000"):
            data = io.BytesIO()
            picture.save(data, kind, **({"exif": picture.getexif()} if kind == "JPEG" else {}))
            (folder / kind).write_bytes(data.getvalue())


def make_clips(folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8)
    for name in ("a.mp4", "b.webm", "c.gif"):
        media.save_clip(str(folder / name), frames, 8.0, {"prompt": "it moves"})
        (folder / name).with_suffix(".txt").write_text("It moves")


def make_film_sources(folder: Path) -> None:
    make_clips(folder)
    (folder / "list.csv").write_text('path,caption\na.mp4,it moves\n"c.gif","it\nstops"\n', encoding="utf-8")
    (folder / "list.jsonl").write_text('{"video": "b.webm", "text": "it moves"}\n' * 2, encoding="utf-8")
    with tarfile.open(folder / "list.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.mp4", "a.txt", "b.webm", "b.txt"):
            tar.add(folder / name, f"{'long' * 40}/{name}" if name[0] == "b" else name)


def make_models(folder: Path) -> None:
    small = SimpleNamespace(**runpy.run_path(str(TESTS / "small_models.py")))
    with tempfile.TemporaryDirectory() as stages:
        small.publish(small.write_stages(Path(stages)), folder)


def make_loras(folder: Path) -> None:
    parts = {"a.b": Part(torch.ones(2, 3), torch.ones(4, 2)), "c": Part(torch.ones(2, 3, 1, 1), torch.ones(4, 2, 1, 1))}
    layout = layout_of({name: value.shape for name, value in network_for_loras().items()})
    save_lora_file(folder / "lora.safetensors", LoraHeader("toybox", layout, 2, 2.0, "spins"), parts)


def network_for_loras() -> dict[str, Stored]:
    shapes = {"a.b.weight": (4, 3), "a.b.bias": (4,), "c.weight": (4, 3, 1, 1)}
    return {name: Stored(shape, partial(torch.zeros, shape)) for name, shape in shapes.items()}


def make_sources(folder: Path) -> None:
    sd = SimpleNamespace(**runpy.run_path(str(TESTS / "core" / "importers" / "sd_files.py")))
    sd.write_modelscope(sd.write_folder(sd.build("sd21"), folder / "folder", shard="4MB"), folder / "modelscope")
    sd.write_single(sd.build("sd15"), folder / "single.safetensors")


def make_configurations(folder: Path) -> None:
    for path in (TESTS.parent / "configs").glob("*.toml"):
        shutil.copy(path, folder)


def make_state(folder: Path) -> None:
    resume(folder)


def make_plan(folder: Path) -> None:
    polygon = ((0.1, 0.2), (0.6, 0.1), (0.5, 0.8))
    one = Region(horizontal=0.2, zoom=1.2, roll=10.0, ease=Ease.EASE_IN, pivot=(0.2, 0.3), polygon=polygon)
    other = Region(distance=0.7, order=2, polygon=polygon)
    camera = Camera(0.1, -0.1, 0.2, 3.0, -4.0, 1.2, 5.0, 0.3, 40.0)
    plan = Plan(
        camera, (one, other), Relief(range=3.0), curve=((0.0, 0.0), (0.5, 0.7), (1.0, 1.0)), duration=2.0, seed=3
    )
    everywhere = (Layer(kind, place=Place.EVERYWHERE) for kind in (LayerKind.WAVES, LayerKind.CLOUDS, LayerKind.WIND))
    plan = plan.with_layers(
        Layer(LayerKind.SNOW, 0.5, 2.0, 200.0, 2.0, 0.2, 0.3, 5, colour=(1.0, 0.5, 0.0)),
        Layer(LayerKind.TAUGHT, taught=Taught(0.03, ((1.3, 1.5, 0.2, 0.1, 1.0, 0.5),), ((0.2, 1.0), (0.4, 1.5)), 12)),
        Layer(LayerKind.FLICKER, at=(0.2, 0.3)), Layer(LayerKind.FOG), Layer(LayerKind.NIGHT, fade_in=1.0), *everywhere,
    )  # fmt: skip
    (folder / "plan.json").write_text(plan.to_json(), encoding="utf-8")


def make_layers(folder: Path) -> None:
    (folder / "layer").write_text(LAYERS[0], encoding="utf-8")


def make_regions(folder: Path) -> None:
    (folder / "region").write_text(REGIONS[0], encoding="utf-8")


# Readers


def read_any_picture(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        for read in (media.read_picture, media.read_mask, media.read_depth):
            refusing(read, path)


def read_any_clip(folder: Path) -> None:
    for path in sorted(folder.glob("?.*")):
        if path.suffix != ".txt":
            refusing(media.read_settings, path)
    for film in find_films(folder, folder / "films.jsonl")[0]:
        refusing(read_film, film)


def read_film(film: Film) -> None:
    for _ in read_frames(film.video, [0.0, film.seconds / 2]):
        pass


def read_film_sources(folder: Path) -> None:
    for path in sorted(folder.glob("list.*")):
        refusing(read_film_source, path)


def read_film_source(path: Path) -> None:
    films, left_out = find_films(path, path.with_name("films.jsonl"))
    VideoReport(path.parent, str(path)).add(left_out)
    for film in films:
        refusing(read_film, film)


def read_models(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        refusing(identify, path)
    pipeline = MicroCinemaPipeline.from_pretrained(folder / "toybox-video.safetensors")
    picture = Image.new("RGB", (64, 64), (90, 120, 30))
    once = SamplingConfig(steps=1)
    for _ in pipeline.shoot(picture, "a red star", ShotConfig(frames=2, passes=1), sampling=once, tsr_sampling=once):
        pass


def read_loras(folder: Path) -> None:
    path = folder / "lora.safetensors"
    refusing(identify, path)
    refusing(read_header, path)
    for changed in merged(network_for_loras(), Path("model"), [Addition(path)]).values():
        changed.read()


def read_sources(folder: Path) -> None:
    source, out = folder / (folder / "spoilt").read_text(), folder / "out"
    if source.name == "modelscope":
        convert(open_text_to_video(source), out)
    else:
        inflate_file(Order(source, out))


def read_configurations(folder: Path) -> None:
    for path in sorted(folder.glob("*.toml")):
        refusing(TrainConfig.load, path)


def resume(folder: Path) -> None:
    config = TrainConfig.from_dict(
        {"stage": "video", "out": str(folder / "run"), "steps": 2, "checkpoint_every": 1, "precision": "fp32"}
    )
    build = runpy.run_path(str(TESTS / "training" / "tiny_stage.py"))["build"]
    with redirect_stdout(io.StringIO()):
        train(config, build, progress=False)


def read_plan(folder: Path) -> None:
    """Whatever is taken for a plan can be shown."""
    plan = Plan.from_json((folder / "plan.json").read_bytes().decode("utf-8", "replace"))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    for frame in move(picture, Motion(plan, (None,) * len(plan.regions)), Timing(3, 2.0), everywhere=True):
        assert frame.shape == (30, 40, 3)


def read_layer(folder: Path) -> None:
    ToldLayer.parse((folder / "layer").read_text(encoding="utf-8", errors="surrogatepass"))


def read_region(folder: Path) -> None:
    Told.parse((folder / "region").read_text(encoding="utf-8", errors="surrogatepass"))


def refusing(read: Callable[[T], object], given: T) -> None:
    try:
        read(given)
    except MicroCinemaError as error:
        check_words(error)


TARGETS = (
    Target("pictures", 700, make_pictures, spoil_bytes("*"), read_any_picture),
    Target("clips", 80, make_clips, spoil_bytes("*"), read_any_clip),
    Target("films", 200, make_film_sources, spoil_bytes("list.*"), read_film_sources),
    Target("models", 40, make_models, spoil_header("*.safetensors"), read_models),
    Target("LoRAs", 300, make_loras, spoil_header("*.safetensors"), read_loras),
    Target("sources", 40, make_sources, spoil_source, read_sources),
    Target("configurations", 400, make_configurations, spoil_toml, read_configurations),
    Target("plans", 150, make_plan, spoil_plan, read_plan),
    Target("regions", 1000, make_regions, spoil_text("region", REGIONS), read_region),
    Target("layers", 1000, make_layers, spoil_text("layer", LAYERS), read_layer),
    Target("training state", 100, make_state, spoil_bytes("checkpoint-*/*"), resume, talks=True),
)


# The run


@dataclass(frozen=True, slots=True)
class Finding:
    target: str
    case: int
    damage: str
    answer: str


def fuzz(target: Target, seed: int, cases: int) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        good, spoilt = Path(name) / "good", Path(name) / "spoilt"
        good.mkdir()
        target.make(good)
        for case in range(cases):
            shutil.rmtree(spoilt, ignore_errors=True)
            shutil.copytree(good, spoilt)
            if target.name == "training state":  # which knows its own place
                good.rename(good.with_name("aside"))
                spoilt.rename(good)
            here = good if target.name == "training state" else spoilt
            damage = target.spoil(here, random.Random(f"{seed} {target.name} {case}"))
            answer = said(target, here)
            if target.name == "training state":
                shutil.rmtree(good)
                good.with_name("aside").rename(good)
            if answer:
                yield Finding(target.name, case, damage, answer)


def said(target: Target, folder: Path) -> str:
    """What was wrong with the answer; empty where nothing was."""
    with tempfile.TemporaryFile() as errors:
        try:
            with limited(), redirected(errors.fileno()):
                target.read(folder)
        except MicroCinemaError as error:
            check_words(error)
        except TooLong:
            return f"no answer in {SECONDS} s"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return f"{type(error).__name__}: {error}"
        errors.seek(0)
        spoken = errors.read()
        return "" if target.talks or not spoken else f"on standard error: {spoken[:200]!r}"


def check_words(error: MicroCinemaError) -> None:
    if not str(error).isprintable():
        raise AssertionError(f"unprintable: {error!r}")


@contextmanager
def limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def redirected(to: int) -> Iterator[None]:
    """Standard error, that of native libraries too."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(to, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def findings(seed: int = 0, cases: int | None = None, only: str | None = None) -> list[Finding]:
    logging.getLogger("microcinema").addHandler(logging.NullHandler())
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for target in TARGETS:
            if only in (None, target.name):
                found += list(fuzz(target, seed, cases or target.cases))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, help="of each target; its own number where none is given")
    parser.add_argument("--only", choices=[target.name for target in TARGETS])
    given = parser.parse_args()
    total = 0
    for target in TARGETS:
        if given.only in (None, target.name):
            started = time.monotonic()
            found = findings(given.seed, given.cases, target.name)
            total += len(found)
            print(f"{target.name}: {given.cases or target.cases} cases, {len(found)} findings, ", end="")
            print(f"{time.monotonic() - started:.0f} s")
            for answer, count in Counter(f.answer.splitlines()[0][:110] for f in found).most_common(12):
                first = next(f for f in found if f.answer.startswith(answer))
                print(f"  {count:4} x {answer}   (first: case {first.case}, {first.damage!r})")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
