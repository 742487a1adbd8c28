"""Camera moves in words: sentences written before the grammar, fresh ones, the artists' page, and hostile texts."""

from __future__ import annotations

import gc
import math
import re
import runpy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from microcinema_core.motion.words import Reading, read_words
from microcinema_core.motion.words.verbs import MOVES, VERBS
from microcinema_core.motion.words.vocabulary import BOUNDS, HALF_VIEW, MEDIUM, STRENGTHS
from microcinema_core.worlds.toybox.captions import caption
from microcinema_core.worlds.toybox.world import sample_scene

LISTS = runpy.run_path(str(Path(__file__).with_name("sentences.py")))
PAGE = (Path(__file__).parents[3] / "docs" / "camera-words.md").read_text(encoding="utf-8")
EASES = ("linear", "ease_in", "ease_out", "ease_in_out")


def size(dial: str, value: float) -> float:
    return math.log(value) if dial == "zoom" else value


def fits(mark: str, dial: str, value: float) -> bool:
    """Whether an amount is what `+`, `-slow` or `=20` asks for."""
    if mark.startswith("="):
        return math.isclose(value, float(mark[1:]), rel_tol=1e-9)
    strong, medium = abs(size(dial, value)), abs(size(dial, MEDIUM[dial]))
    right = (size(dial, value) > 0) == (mark[0] == "+")
    return right and {"": True, "fast": strong > medium, "slow": strong < medium, "little": strong < medium}[mark[1:]]


def is_right(text: str, marks: str) -> bool:
    """Exactly these dials, with their signs and strengths, and this ease and rest."""
    reading, said = read_words(text), marks.split()
    wanted = dict(re.fullmatch(r"([a-z]+)(.+)", mark).groups() for mark in said if mark not in (*EASES, "still"))
    return (
        reading.dials.keys() == wanted.keys()
        and all(fits(mark, dial, reading.dials[dial]) for dial, mark in wanted.items())
        and reading.ease == next((mark for mark in said if mark in EASES), None)
        and reading.still == ("still" in said)
    )


def wrong(moves: str, none: str) -> list[str]:
    pairs = [*LISTS[moves], *((text, "") for text in LISTS[none])]
    return [text for text, marks in pairs if not is_right(text, marks)]


def test_the_sentences_from_before_the_grammar() -> None:
    """At least 0.95 were asked for. The one that is left: a picture that turns is not read at all."""
    assert len(LISTS["MOVES"]) >= 120
    assert len(LISTS["NO_MOVES"]) >= 60
    assert wrong("MOVES", "NO_MOVES") == [
        "Deep space, a ringed planet; the picture rotates clockwise and the camera zooms out slowly"
    ]


def test_the_sentences_from_after_the_grammar() -> None:
    """At the first reading 53 of 60 were right, and 41 of 45 in the second round."""
    assert wrong("FRESH_MOVES", "FRESH_NO_MOVES") == []
    assert wrong("LATER_MOVES", "LATER_NO_MOVES") == []


def test_the_page_says_what_is_read() -> None:
    def said(reading: Reading) -> str:
        dials = [f"`{dial}` {value:.3g}" for dial, value in reading.dials.items()]
        ease, still = [f"ease `{reading.ease}`"] * bool(reading.ease), ["`still`"] * reading.still
        return ", ".join([*dials, *ease, *still]) or "nothing"

    tables = re.findall(r"\| Words \| Read as \|\n\|---\|---\|\n((?:\| .+\n)+)", PAGE)
    rows = [row.strip("| ").split(" | ") for table in tables for row in table.splitlines()]
    assert len(rows) > 70
    assert [(words, read) for words, read in rows if said(read_words(words)) != read] == []


def test_the_page_says_the_amounts() -> None:
    for dial, amount in MEDIUM.items():
        assert re.search(rf"^\| `{dial}` \|.*\| {amount:g} \|$", PAGE, re.MULTILINE), dial
    for kind, word in {"slow": "slow,", "little": "slightly,", "fast": "fast,", "extreme": "whip,"}.items():
        assert re.search(rf"^\| {word}.*\| {STRENGTHS[kind]:g} \|$", PAGE, re.MULTILINE), kind


@pytest.mark.parametrize("move", ["zoom {} in", "pan {} left", "The camera {} pulls back", "{} dutch angle"])
def test_strengths_in_their_order(move: str) -> None:
    words = ("extremely slowly", "slowly", "", "quickly", "extremely quickly")
    sizes = []
    for word in words:
        ((dial, value),) = read_words(move.format(word)).dials.items()
        sizes.append(abs(size(dial, value)))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == len(sizes)
    assert sizes[1] == pytest.approx(sizes[2] * STRENGTHS["slow"])


@pytest.mark.parametrize("text", ["orbit left", "the camera slowly circles the tree", "orbit 20 degrees to the right"])
def test_an_orbit_keeps_the_middle_in_its_place(text: str) -> None:
    """The camera at (h, 0), in widths, looks at the middle of a picture as wide as the field of view at distance d."""
    dials = read_words(text).dials
    distance = 0.5 / math.tan(math.radians(HALF_VIEW))
    assert math.tan(math.radians(dials["pan"])) == pytest.approx(-dials["horizontal"] / distance)


def test_a_dolly_zoom_keeps_the_picture_at_its_size() -> None:
    for text in ("dolly zoom", "a slow dolly zoom", "extremely fast vertigo effect", "dolly zoom out"):
        dials = read_words(text).dials
        assert dials["zoom"] == pytest.approx(1 - dials["dolly"]), text


def test_moves_add_up_within_their_bounds() -> None:
    assert read_words("pan left, then pan right 30 degrees").dials == {"pan": 18.0}
    assert read_words("zoom in 2x, zoom in 3x").dials == {"zoom": 6.0}
    for dial, text in {"pan": "pan right, ", "zoom": "zoom in, ", "dolly": "dolly in, ", "tilt": "tilt up, "}.items():
        assert read_words(text * 50).dials == {dial: BOUNDS[dial][1]}
    assert read_words("zoom in 999999999x").dials == {"zoom": 10.0}
    assert read_words("zoom out 0x").dials == {"zoom": 0.1}
    assert read_words("zoom out by 500%").dials == {"zoom": 0.1}


def test_toybox_prompts_say_nothing_of_the_camera() -> None:
    """They are full of motion to the left, up, clockwise: the scene's own."""
    for i in range(500):
        rng = np.random.default_rng(i)
        text = caption(sample_scene(rng, [0.0, 1.0]), rng)
        assert read_words(text).phrases == (), text


def test_phrases_are_where_they_say() -> None:
    text = "Fog.\u2003The camera’s view\u00a0pans left — slowly; 🎥 “zoom in”, static. ثم tilt up 15° 🙂"
    reading = read_words(text)
    assert [phrase.text for phrase in reading.phrases] == ["The camera’s view\u00a0pans left — slowly", "zoom in"]
    for each in [*LISTS["MOVES"], *LISTS["FRESH_MOVES"]]:
        for phrase in read_words(each[0]).phrases:
            assert phrase.text == each[0][phrase.start : phrase.end]
            assert phrase.text == phrase.text.strip()


@pytest.mark.parametrize("change", [str.upper, str.title, lambda t: t.replace(" ", "\t"), lambda t: f"\ufeff{t}\x00"])
def test_letters_and_spaces_do_not_matter(change: Callable[[str], str]) -> None:
    for text, _ in LISTS["MOVES"]:
        assert read_words(change(text)).dials == read_words(text).dials, text


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "zoom\x00in",
        "\ud800 pan left \udfff",
        "العربية מצלמה \u202epan left\u202c",
        "👨‍👩‍👧‍👦 zoom in 🎬",
        "é" * 50,
        "zoom " + "i\u0301" * 99,
        "'" * 99,
        "n't",
        "'s's's",
        "pan ' left",
        "from to from left to",
        "1.5.5.5x zoom",
        "%°×x",
        "to the",
        "the camera",
        "camera",
        "not",
        "no no no",
        "zoom in ²x",
        "pan ٣ degrees left",
        "İ ǅ ß pan left",
        "-",
        "a-",
        "--",
    ],
)
def test_any_text_is_read(text: str) -> None:
    for phrase in read_words(text).phrases:
        assert text[phrase.start : phrase.end] == phrase.text


SMALL = "the a camera to from left right up in out no not and , . : ( it we handheld 20 degrees x ease"


def test_random_words_never_fail() -> None:
    words = [*VERBS, *SMALL.split()]
    rng = np.random.default_rng(0)
    for _ in range(3000):
        text = " ".join(rng.choice(words, rng.integers(1, 25)))
        for dial, value in read_words(text).dials.items():
            assert BOUNDS[dial][0] <= value <= BOUNDS[dial][1], text


def test_every_verb_has_its_move() -> None:
    assert {lemma for lemma, _ in VERBS.values()} == set(MOVES)


NASTY = {
    "one verb": "pan ",
    "one word": "a",
    "spaces": " ",
    "no verb": "the camera ",
    "brackets": "[(",
    "nested": "[(pan left",
    "moves": "the camera pans left and up ",
    "strengths": "slowly ",
    "digits": "9",
    "amounts": "20 degrees ",
    "apostrophes": "a'",
    "sides": "from left to right ",
    "negations": "not camera ",
    "clauses": "pan left, ",
    "ease": "ease in ",
}


def seconds(text: str) -> float:
    """Without the collector, whose passes take as long as everything else that the tests hold is large."""
    gc.disable()
    try:
        start = time.process_time()
        read_words(text)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY.keys())
def test_time_is_linear(unit: str) -> None:
    """Four times the text, four times the time; sixteen, were it quadratic. The allowance is for a busy machine."""
    short, long = (unit * (length // len(unit)) for length in (25_000, 100_000))
    assert seconds(long) < 8 * seconds(short) + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY.keys())
def test_a_megabyte_takes_seconds(unit: str) -> None:
    half, whole = (seconds(unit * (length // len(unit))) for length in (500_000, 1_000_000))
    assert whole < 2.6 * half + 0.1
    assert whole < 15
