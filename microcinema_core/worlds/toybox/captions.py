"""What a person would write about a Toybox scene: sentences, with the same thing said in many ways."""

from __future__ import annotations

import numpy as np

from .world import Background, Motion, Scene, Speed

SUBJECTS = ("a {c} {s}", "one {c} {s}", "a bright {c} {s}", "a {s} in {c}", "a {c}-coloured {s}", "the {c} {s}")
PLACES = {
    Background.NIGHT: ("a night sky", "a dark night", "the night sky", "deep blue darkness"),
    Background.SKY: ("a pale blue sky", "a clear sky", "the daytime sky", "a bright sky"),
    Background.SAND: ("rippled sand", "sand", "a sandy beach", "desert dunes"),
    Background.MEADOW: ("a green meadow", "grass", "a soft meadow", "a field of grass"),
    Background.DUSK: ("a sky at dusk", "dusk", "an evening sky", "the last light of the evening"),
    Background.CHECKERBOARD: ("a grey checkerboard", "grey tiles", "a chequered floor", "a board of grey squares"),
}
PREPOSITIONS = ("over", "in front of", "against", "above")
VERBS = {
    Motion.LEFT: (
        "moves left", "moves to the left", "glides left",
        "slides to the left", "drifts leftwards", "travels left",
    ),
    Motion.RIGHT: (
        "moves right", "moves to the right", "glides right",
        "slides to the right", "drifts rightwards", "travels right",
    ),
    Motion.UP: ("moves up", "rises", "floats upwards", "climbs", "glides up", "drifts up"),
    Motion.DOWN: ("moves down", "falls", "sinks", "floats downwards", "glides down", "drops"),
    Motion.CLOCKWISE: (
        "circles clockwise", "moves clockwise",
        "orbits clockwise", "goes around clockwise", "travels clockwise around the middle",
    ),
    Motion.COUNTERCLOCKWISE: (
        "circles counterclockwise", "moves counterclockwise", "orbits counterclockwise", "goes around counterclockwise",
        "travels anticlockwise around the middle", "circles anticlockwise",
    ),
    Motion.GROW: ("grows", "gets bigger", "swells", "expands", "becomes larger"),
    Motion.SHRINK: ("shrinks", "gets smaller", "dwindles", "contracts", "becomes smaller"),
}  # fmt: skip
ADVERBS = {
    Speed.SLOW: ("slowly", "gently", "at a slow pace", "unhurriedly"),
    Speed.FAST: ("quickly", "fast", "rapidly", "at high speed"),
}
TEMPLATES = (
    "{subject} {verb} {adverb} {where}",
    "{subject} {verb} {where} {adverb}",
    "{where}, {subject} {verb} {adverb}",
    "{adverb}, {subject} {verb} {where}",
    "{subject} that {verb} {adverb} {where}",
    "a video of {subject} that {verb} {adverb} {where}",
)
STILL_TEMPLATES = (
    "{subject} {where}",
    "a picture of {subject} {where}",
    "{where}, {subject}",
    "there is {subject} {where}",
)


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[rng.integers(len(options))]


def _finish(rng: np.random.Generator, text: str) -> str:
    text = " ".join(text.split()).replace(" ,", ",")
    if rng.random() < 0.8:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < 0.7 else text


def _subject_and_place(rng: np.random.Generator, scene: Scene) -> tuple[str, str]:
    subject = _pick(rng, SUBJECTS).format(c=scene.colour, s=scene.shape)
    return subject, f"{_pick(rng, PREPOSITIONS)} {_pick(rng, PLACES[scene.background])}"


def caption(scene: Scene, rng: np.random.Generator, *, complete: bool = False) -> str:
    """A sentence about a moving scene. Unless `complete`, it sometimes leaves the speed or the place unsaid."""
    subject, where = _subject_and_place(rng, scene)
    adverb = _pick(rng, ADVERBS[scene.speed])
    if complete:
        template = TEMPLATES[rng.integers(len(TEMPLATES))]
    else:
        no_adverb, no_place = rng.random(2) < 0.1
        plain = no_adverb or no_place
        adverb, where = "" if no_adverb else adverb, "" if no_place else where
        template = TEMPLATES[0] if plain else TEMPLATES[rng.integers(len(TEMPLATES))]
    return _finish(
        rng, template.format(subject=subject, verb=_pick(rng, VERBS[scene.motion]), adverb=adverb, where=where)
    )


def still_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A sentence about one frame: nothing moves in it."""
    subject, where = _subject_and_place(rng, scene)
    return _finish(rng, _pick(rng, STILL_TEMPLATES).format(subject=subject, where=where))
