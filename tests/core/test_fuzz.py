"""A minute of damage to all that is parsed; `python tests/fuzz.py` tries more, and other seeds."""

import runpy
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz.py"


@pytest.mark.slow
def test_a_minute_of_damage_finds_nothing() -> None:
    assert runpy.run_path(str(FUZZ))["findings"](seed=0) == []


def test_the_fuzzer_sees_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback, a hang and a library's own words are findings; a refusal is none."""
    fuzz = runpy.run_path(str(FUZZ))

    def read(path: Path) -> None:
        text = (path / "a").read_text()
        if text == "error":
            raise ZeroDivisionError
        if text == "hang":
            raise fuzz["TooLong"]
        if text == "words":
            import os

            os.write(2, b"libnothing: warning")
        if text == "refused":
            raise fuzz["MicroCinemaError"]("no")

    texts = ["error", "hang", "words", "refused", "fine"]

    def spoil(path: Path, _: object) -> str:
        (path / "a").write_text(texts.pop(0))
        return "a"

    target = fuzz["Target"]("test", 5, lambda folder: None, spoil, read)
    answers = [found.answer for found in fuzz["fuzz"](target, 0, 5)]
    assert [answer.split(":")[0] for answer in answers] == [
        "ZeroDivisionError", "no answer in 30 s", "on standard error",
    ]  # fmt: skip
