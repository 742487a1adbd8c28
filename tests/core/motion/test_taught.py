"""The file of a taught motion: what is written comes back, and what cannot be is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from microcinema_core.errors import MicroCinemaError
from microcinema_core.motion.taught import MAX_TEXT, MAX_WAVES, Taught

WAVE = [1.3, 1.5, 0.25, 0.1, 1.0, -0.5]
GOOD: dict[str, Any] = {"format": "microcinema.taught", "version": 1, "size": 0.03, "waves": [WAVE]}


def test_it_comes_back(tmp_path: Path) -> None:
    taught = Taught(0.03, (tuple(WAVE), (0.5, -1.0, 0.0, 2.0, 0.0, 0.0)), ((0.2, 1.0), (0.5, 1.3)), 12)
    taught.write(tmp_path / "a.json")
    assert Taught.read(tmp_path / "a.json") == taught
    assert taught.rates == (0.5, 1.3)
    assert taught.travel[0] < 0 < taught.travel[1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "microcinema.motion"}, 'is no taught motion, which holds "format": "microcinema.taught"; give'),
        ({"version": 2}, "version 2 is not known here; this program reads version 1"),
        ({"version": True}, "version True is not known here"),
        ({"size": 0}, "must be above 0 and at most 0.5, got 0.0"),
        ({"size": 1e9}, "must be above 0"),
        ({"size": float("nan")}, "expected a number, got nan"),
        ({"waves": []}, f"has 1 to {MAX_WAVES} waves, got 0"),
        ({"waves": [WAVE] * (MAX_WAVES + 1)}, f"has 1 to {MAX_WAVES} waves, got {MAX_WAVES + 1}"),
        ({"waves": [WAVE[:5]]}, "a wave is 6 numbers, got 5"),
        ({"waves": [[-1, *WAVE[1:]]]}, "a wave's rate must be between 0 and 15, got -1"),
        ({"waves": [[1, 1e6, *WAVE[2:]]]}, "a wave's cycles must be between -32 and 32"),
        ({"waves": [[1, 1, 1, 0, 0, 0]]}, "needs a wave that is no zero"),
        ({"waves": [[1, 1, 1, 1e-200, 0, 0]]}, "needs a wave that is no zero"),
        ({"strengths": [[1e-200]]}, "strengths need one that is no zero"),
        ({"waves": ["x"]}, "expected a list, got 'x'"),
        ({"strengths": [[1], [1, 2]]}, "strengths are 1 to 16 rows of 1 to 16 numbers, as many in each"),
        ({"strengths": [[1] * 17]}, "strengths are 1 to 16 rows"),
        ({"strengths": [[-1]]}, "a strength must be between 0 and 100, got -1"),
        ({"strengths": [[0, 0]]}, "strengths need one that is no zero"),
        ({"clips": 0}, "must come from 1 to 1,000,000 clips, got 0"),
        ({"path": "/etc/passwd"}, "unknown key 'path'; known keys: clips, size, strengths, waves"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | changed))
    with pytest.raises(MicroCinemaError) as refused:
        Taught.read(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is not JSON"), (b"[" * 5000, "is not JSON"), (b"\xff\xfe", "is no text in UTF-8"),
        (b"[1]", "is no taught motion"), (b" " * (MAX_TEXT + 1), "is too long"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(MicroCinemaError, match=said):
        Taught.read(tmp_path / "a.json")
