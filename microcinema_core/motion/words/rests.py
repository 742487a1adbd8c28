"""Words that tell the camera to rest: "static camera", "the camera stays still", "no camera movement"."""

from __future__ import annotations

from . import vocabulary as v
from .phrases import Tokens, direction_at, is_camera, word_at

MOVING = frozenset(["move", "moves", "moving", "movement", "movements", "motion"])
FRAMES = frozenset(["camera", "cam", "shot", "frame", "framing", "view", "angle", "tripod"])
NEAR = 6


def rest_at(tokens: Tokens, i: int) -> int:
    """How many words from i on tell the camera to rest; 0 for none."""
    word = tokens[i].word
    if word in v.RESTS:
        return _resting_camera(tokens, i)
    if word in v.NEGATIONS:
        return _no_movement(tokens, i)
    return _stays(tokens, i) if word in v.SUBJECTS and is_camera(tokens, i) else 0


def _resting_camera(tokens: Tokens, i: int) -> int:
    """As in "static camera", "locked-off wide shot"; not "not a static camera"."""
    if word_at(tokens, i - 1) in v.NEGATIONS or word_at(tokens, i - 2) in v.NEGATIONS:
        return 0
    for j in range(i + 1, i + NEAR):
        if word_at(tokens, j) in FRAMES:
            return j - i + 1
        if word_at(tokens, j) not in v.SIZES and word_at(tokens, j) not in v.FIRM:
            return 0
    return 0


def _stays(tokens: Tokens, i: int) -> int:
    """As in "the camera is completely still", "stays in place"; "camera locked off"."""
    if not {word_at(tokens, i + 1), word_at(tokens, i + 2)} & v.RESTING and word_at(tokens, i + 1) not in v.RESTS:
        return 0
    for j in range(i + 1, i + NEAR):
        if word_at(tokens, j) in v.NEGATIONS:
            return 0
        if word_at(tokens, j) in v.RESTS or (word_at(tokens, j) == "place" and word_at(tokens, j - 1) == "in"):
            return j - i + 1
    return 0


def _no_movement(tokens: Tokens, i: int) -> int:
    """As in "no camera movement", "the camera does not move", "don't move the camera"; not "does not move left"."""
    near = range(i + 1, i + NEAR)
    moving = next((j for j in near if word_at(tokens, j) in MOVING), 0)
    if not moving or direction_at(tokens, moving + 1)[0]:
        return 0
    if any(word_at(tokens, j) == "camera" for j in range(max(i - NEAR, 0), i)):
        return moving - i + 1
    last = next((j for j in range(i + 1, moving + NEAR) if word_at(tokens, j) == "camera"), 0)
    return max(last, moving) - i + 1 if last else 0
