"""What the page shows, section by section: scenes, prompts and controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microcinema_core.shot.plan import Loop, ShotConfig
from microcinema_core.shot.resize import ResizePolicy
from microcinema_core.worlds.toybox import world
from microcinema_core.worlds.toybox.captions import ADVERBS, PLACES, VERBS
from microcinema_core.worlds.toybox.triples import Triple
from microcinema_core.worlds.toybox.world import Background, Colour, Motion, Scene, Shape, Speed, render

from ..cases import SIZE, Seen
from .album import Ask, Keyframe, Section, Sheet
from .choice import right, varied, wrong
from .drawing import Picture, landscape
from .gammas import gamma_table

TRAINED, HELD_OUT, FAILURES = 8, 4, 6  # clips shown
SEEDS, DIAL = (1, 2, 3, 4), (0.0, 0.5, 1.0, 1.5, 2.0)
LONG_SIDE, SHORT_SIDE = 192, 128  # of keyframes that are not square

# All eight motions of this one stay in view.
TRIANGLE = Scene(Shape.TRIANGLE, Colour.YELLOW, Motion.RIGHT, Speed.SLOW, Background.NIGHT, 0.64, 0.44, 0.13, 0.4)
CROSS = Scene(Shape.CROSS, Colour.GREEN, Motion.CLOCKWISE, Speed.SLOW, Background.SKY, 0.68, 0.42, 0.13, 0.3)
SQUARE = Scene(Shape.SQUARE, Colour.RED, Motion.RIGHT, Speed.SLOW, Background.DUSK, 0.5, 0.55, 0.13, 0.6)
CIRCLE = Scene(Shape.CIRCLE, Colour.BLUE, Motion.LEFT, Speed.SLOW, Background.SAND, 0.5, 0.45, 0.13, 0.5)
STAR = Scene(Shape.STAR, Colour.PURPLE, Motion.UP, Speed.SLOW, Background.CHECKERBOARD, 0.5, 0.5, 0.13, 0.2)


@dataclass(frozen=True)
class Material:
    """What sections are made of. passes: of every shot. triples, seen: the `select` list and what was read of it."""

    passes: int
    triples: Sequence[Triple]
    read: Callable[[], list[dict[str, Any]]]

    @cached_property
    def seen(self) -> list[Seen]:
        return [Seen.from_record(record) for record in self.read()]

    def shot(self, **controls: Any) -> ShotConfig:
        return ShotConfig(**{"passes": self.passes, **controls})


def sentence(scene: Scene, *, speed: bool = True) -> str:
    """The plainest words for a scene."""
    adverb = f" {ADVERBS[scene.speed][0]}" if speed else ""
    return f"A {scene.colour} {scene.shape} {VERBS[scene.motion][0]}{adverb} over {PLACES[scene.background][0]}."


def keyframe_of(scene: Scene, name: str) -> Keyframe:
    return Keyframe(name, render(scene, [0.0], SIZE)[0])


def _prompt(text: str, *seeds: int) -> str:
    return f"“{text}” Seed {', '.join(map(str, seeds))}."


def _chosen(material: Material, number: int, name: str, caption: str) -> Sheet:
    """A clip of the `select` list."""
    triple = material.triples[number]
    keyframe = Keyframe(f"{name}-{number:02d}", triple.keyframe(SIZE))
    ask = Ask("clip", keyframe, triple.prompt, triple.seed, material.shot())
    return Sheet(f"{name}-{number:02d}", (ask,), _prompt(triple.prompt, triple.seed) + caption)


def best(material: Material) -> Section:
    sheets: list[Sheet] = []
    for held_out, count, caption in ((False, TRAINED, ""), (True, HELD_OUT, " **Held out.**")):
        numbers = varied(material.triples, right(material.triples, material.seen, held_out), count)
        sheets += [_chosen(material, number, "best", caption) for number in numbers]
    text = (
        "Clips of the list for choosing checkpoints that the tracker reads as asked, picked by code for variety. "
        "**Held out** means that training never saw this shape in this colour with this motion."
    )
    return Section("Examples", text if sheets else "No clip of the list was read as asked.", tuple(sheets), across=2)


def motions(material: Material) -> Section:
    keyframe = keyframe_of(TRIANGLE, "motions")
    scenes = [replace(TRIANGLE, motion=motion) for motion in Motion]
    asks = tuple(Ask(str(s.motion), keyframe, sentence(s), 1, material.shot()) for s in scenes)
    text = "One keyframe, one seed; the prompt's verb alone changes."
    sheet = Sheet("motions", asks, _prompt(asks[0].prompt, 1), columns=3, asked=tuple(map(str, Motion)))
    return Section("Eight motion words", text, (sheet,))


def speeds(material: Material) -> Section:
    sheets = []
    for scene in (CROSS, SQUARE):
        name = f"speed-{scene.shape}"
        keyframe = keyframe_of(scene, name)
        each = [replace(scene, speed=speed) for speed in Speed]
        asks = tuple(Ask(str(s.speed), keyframe, sentence(s), 1, material.shot()) for s in each)
        asked = (str(scene.motion),) * len(asks)
        sheets.append(Sheet(name, asks, _prompt(sentence(scene), 1) + " The other: “quickly”.", asked=asked))
    return Section("Slow and fast", "The adverb alone changes.", tuple(sheets), across=2)


def seeds(material: Material) -> Section:
    keyframe, sheets = keyframe_of(CIRCLE, "seeds"), []
    for name, speed in (("seeds", True), ("seeds-no-speed", False)):
        prompt = sentence(CIRCLE, speed=speed)
        asks = tuple(Ask(f"seed {seed}", keyframe, prompt, seed, material.shot()) for seed in SEEDS)
        sheets.append(Sheet(name, asks, _prompt(prompt, *SEEDS), columns=5))
    text = "The keyframe and the words leave little open; where the prompt does not say how fast, the seed decides."
    return Section("Four seeds", text, tuple(sheets))


def positions(material: Material) -> Section:
    keyframe, prompt = keyframe_of(SQUARE, "position"), sentence(SQUARE)
    asks = tuple(Ask(at, keyframe, prompt, 1, material.shot(keyframe_at=at)) for at in ("first", "centre", "last"))
    text = "The keyframe is the clip's first, centre or last frame."
    return Section("Where the keyframe lies", text, (Sheet("position", asks, _prompt(prompt, 1)),))


def dial(material: Material) -> Section:
    keyframe, prompt = keyframe_of(CIRCLE, "dial"), sentence(CIRCLE)
    asks = tuple(Ask(f"motion {v:g}", keyframe, prompt, 1, material.shot(motion=v)) for v in DIAL)
    text = "`--motion` scales the time that the model is told; 1 is as trained."
    return Section("The motion dial", text, (Sheet("dial", asks, _prompt(prompt, 1), columns=3),))


def loops(material: Material) -> Section:
    keyframe, prompt = keyframe_of(CROSS, "loop"), sentence(CROSS)
    rise, rises = keyframe_of(STAR, "ping-pong"), sentence(STAR)
    sheets = []
    if material.passes:  # the way back to the first frame is the TSR model's
        asks = (Ask("joined", rise, rises, 1, material.shot(loop=Loop.JOIN)),)
        sheets.append(Sheet("loop-join", asks, f"{_prompt(rises, 1)} The end is led back to the first frame."))
    asks = (Ask("ping-pong", rise, rises, 1, material.shot(loop=Loop.PING_PONG)),)
    sheets.append(Sheet("loop-ping-pong", asks, f"{_prompt(rises, 1)} There and back."))
    asks = (Ask("extended", keyframe, prompt, 1, material.shot(before=1, after=1)),)
    caption = f"{_prompt(prompt, 1)} Three clips chained: one before the keyframe's, one after."
    return Section("Loops and longer shots", "", (*sheets, Sheet("extended", asks, caption)), across=2)


def shapes(material: Material) -> Section:
    """Keyframes that are cut out of larger square pictures, the shape in their middle."""
    cut = (LONG_SIDE - SHORT_SIDE) // 2
    sheets = []
    for name, scene in (("portrait", replace(STAR, radius=0.115)), ("landscape", replace(SQUARE, radius=0.115))):
        whole = render(scene, [0.0], LONG_SIDE)[0]
        picture = whole[:, cut:-cut] if name == "portrait" else whole[cut:-cut]
        keyframe, shot = Keyframe(name, picture), material.shot(resize=ResizePolicy.FIT)
        asks = (Ask(name, keyframe, sentence(scene), 1, shot),)
        sheets.append(Sheet(name, asks, _prompt(sentence(scene), 1)))
    text = "`--resize fit` gives the clip the keyframe's aspect ratio. Training saw squares only."
    return Section("Portrait and landscape", text, tuple(sheets), across=2)


def exact(material: Material) -> Section:
    sheets = []
    for scene in (TRIANGLE, CROSS, SQUARE, STAR):
        name, prompt = f"exact-{scene.shape}", sentence(scene)
        keyframe, labels = keyframe_of(scene, name), ((False, "off"), (True, "on"))
        asks = [Ask(label, keyframe, prompt, 1, material.shot(passes=0, exact_keyframe=on)) for on, label in labels]
        sheets.append(Sheet(name, tuple(asks), _prompt(prompt, 1), still=True))
    text = (
        "Still pictures of the clip's centre frame. With `--exact-keyframe` it is the keyframe as the "
        "autoencoder gives it back; without, the model draws it."
    )
    return Section("Exact keyframe", text, tuple(sheets), across=2)


def rates(material: Material) -> Section:
    keyframe, prompt = keyframe_of(STAR, "rates"), sentence(STAR)
    asks = tuple(
        Ask(f"{2 * 4**passes} fps", keyframe, prompt, 1, material.shot(passes=passes))
        for passes in range(material.passes + 1)
    )
    text = "The base model gives 2 frames a second; each pass of temporal super-resolution gives four times as many."
    return Section("Frame rates", text, (Sheet("rates", asks, _prompt(prompt, 1)),))


def gammas(material: Material) -> Section:
    text = (
        "Toybox was trained on a schedule that ends in pure noise, where gamma has nothing to repair and shows no "
        "effect; so this is the closed-form model of Gaussian frames on Stable Diffusion's schedule, whose samples "
        "without gamma lose part of the keyframe's signal.\n\n"
    )
    return Section("Gamma", text + gamma_table())


def failures(material: Material) -> Section:
    numbers, count = wrong(material.triples, material.seen, FAILURES)
    sheets = []
    for number in numbers:
        asked, seen = material.triples[number].scene, material.seen[number]
        read = f"{seen.colour} {seen.shape}, {seen.motion}".strip(" ,") or "nothing"
        group = " Held out." if asked.held_out else ""
        caption = f"{group} Asked: {asked.colour} {asked.shape}, {asked.motion}. **Read: {read}.**"
        sheets.append(_chosen(material, number, "failure", caption))
    every = f"{len(material.triples)} clips of the list for choosing checkpoints"
    text = f"The tracker reads {count} of {every} otherwise than they were asked for."
    if count > len(sheets):
        text += f" These are {len(sheets)} of them, drawn by code."
    text += (
        " It forgives what the pictures above show: outlines that are not quite the keyframe's, and fast shapes that "
        "bend between two frames of the base model, most of all the fast cross under *Slow and fast*."
    )
    return Section("Failures", text, tuple(sheets), across=2)


def unseen(material: Material) -> Section:
    """What the training data never held."""
    plain = sentence(SQUARE).removesuffix(".")
    asks = {
        "two-shapes": (laid_over(SQUARE, replace(CIRCLE, background=SQUARE.background, x=0.3, y=0.25)), f"{plain}."),
        "ring": (hollow(CIRCLE), sentence(CIRCLE).replace("circle", "ring")),
        "diagonal": (render(SQUARE, [0.0], SIZE)[0], plain.replace("right", "right and up") + "."),
        "standing": (render(SQUARE, [0.0], SIZE)[0], plain.replace("moves right slowly", "stands still") + "."),
    }
    sheets = [
        Sheet(name, (Ask("clip", Keyframe(name, picture), prompt, 1, material.shot()),), _prompt(prompt, 1))
        for name, (picture, prompt) in asks.items()
    ]
    text = "Two shapes in one picture, a shape with a hole, two directions at once, a word for no motion."
    return Section("Asked for what training never showed", text, tuple(sheets), across=2)


def laid_over(scene: Scene, other: Scene) -> Picture:
    """Both shapes in one picture [SIZE, SIZE, 3], with the first one's background, which has to be the other's too."""
    return _through(world.mask(other, 0.0, SIZE), render(other, [0.0], SIZE)[0], render(scene, [0.0], SIZE)[0])


def hollow(scene: Scene) -> Picture:
    """The shape with a hole of half its size [SIZE, SIZE, 3]."""
    hole = world.mask(replace(scene, radius=scene.radius / 2), 0.0, SIZE)
    return _through(hole, world.draw_background(scene, SIZE), render(scene, [0.0], SIZE)[0])


def _through(share: NDArray[np.float32], inside: NDArray[Any], outside: NDArray[Any]) -> Picture:
    mixed = share[..., None] * inside + (1 - share[..., None]) * outside
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def photos(material: Material) -> Section:
    prompt = "The sun moves up slowly over misty hills."
    asks = (Ask("clip", Keyframe("photo", landscape()), prompt, 1, material.shot(resize=ResizePolicy.FIT)),)
    text = "**Toybox is not trained for photos.** This is what it makes of a picture that is not of its world."
    return Section("Not for photos", text, (Sheet("photo", asks, _prompt(prompt, 1)),))


EVERY = (best, motions, speeds, seeds, positions, dial, loops, shapes, exact, rates, gammas, failures, unseen, photos)
SECTIONS: dict[str, Callable[[Material], Section]] = {section.__name__: section for section in EVERY}
