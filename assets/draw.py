"""Draw icon, banner and cards with Toybox's shapes: python assets/draw.py (needs Pillow)."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
OVER = 4  # drawn larger by this and then reduced, for smooth edges
TOP, BOTTOM = (14, 18, 42), (40, 48, 80)  # Toybox's night
RED, YELLOW, GREEN = (214, 40, 40), (248, 214, 30), (40, 160, 60)
Point = tuple[float, float]


def night(width: int, height: int) -> Image.Image:
    rows = [tuple(round(a + (b - a) * y / height) for a, b in zip(TOP, BOTTOM, strict=True)) for y in range(height)]
    column = Image.new("RGB", (1, height))
    column.putdata(rows)
    return column.resize((width, height))


def star(x: float, y: float, radius: float, turn: float = 0.0) -> list[Point]:
    return [
        (
            x + radius * (1 if corner % 2 == 0 else 0.45) * math.sin(math.pi * corner / 5 + turn),
            y - radius * (1 if corner % 2 == 0 else 0.45) * math.cos(math.pi * corner / 5 + turn),
        )
        for corner in range(10)
    ]


def strip(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], holes: int) -> None:
    """A film strip's edges along the upper and lower side of the box."""
    left, top, right, bottom = box
    step = (right - left) / holes
    for row in (top, bottom):
        for hole in range(holes):
            x = left + (hole + 0.5) * step
            sides = (x - step * 0.25, row - step * 0.2, x + step * 0.25, row + step * 0.2)
            draw.rounded_rectangle(sides, step * 0.06, (200, 206, 224))


def icon(side: int = 400) -> Image.Image:
    """A star that has moved, within a film's edges."""
    size = side * OVER
    picture = night(size, size)
    draw = ImageDraw.Draw(picture)
    for place, share in ((0.30, 0.25), (0.42, 0.5)):
        faded = tuple(round(share * c + (1 - share) * 30) for c in YELLOW)
        draw.polygon(star(place * size, 0.5 * size, 0.22 * size), faded)
    draw.polygon(star(0.58 * size, 0.5 * size, 0.26 * size), YELLOW)
    strip(draw, (0.02 * size, 0.09 * size, 0.98 * size, 0.91 * size), 7)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def banner(width: int = 1260, height: int = 540) -> Image.Image:
    """21:9: shapes in motion over the night, within a film's edges."""
    w, h = width * OVER, height * OVER
    picture = night(w, h)
    draw = ImageDraw.Draw(picture)
    for step in range(6):
        share = 0.2 + 0.16 * step
        x = (0.12 + 0.125 * step) * w
        draw.polygon(star(x, 0.36 * h, 0.15 * h), blend(YELLOW, share))
        x, r = (0.88 - 0.125 * step) * w, (0.04 + 0.012 * step) * h
        draw.ellipse((x - r, 0.69 * h - r, x + r, 0.69 * h + r), blend(RED, share))
    strip(draw, (0, 0.07 * h, w, 0.93 * h), 24)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def card(name: str, side: int) -> Image.Image:
    """For a workflow whose files have to be fetched: no frame of a video, but a keyframe, an arrow and empty frames."""
    size = side * OVER
    picture = night(size, size)
    draw = ImageDraw.Draw(picture)
    strip(draw, (0, 0.07 * size, size, 0.93 * size), 8)
    shape = GREEN if name.startswith("sdxl") else RED
    frame = (0.08 * size, 0.33 * size, 0.42 * size, 0.67 * size)
    draw.rounded_rectangle(frame, 0.02 * size, (150, 180, 212))
    draw.polygon(star(0.25 * size, 0.5 * size, 0.12 * size), shape)
    draw.polygon([(0.46 * size, 0.45 * size), (0.54 * size, 0.5 * size), (0.46 * size, 0.55 * size)], YELLOW)
    for i in range(3):
        left = (0.58 + 0.05 * i) * size
        outline = (left, (0.33 + 0.03 * i) * size, left + 0.26 * size, (0.61 + 0.03 * i) * size)
        draw.rounded_rectangle(outline, 0.02 * size, (40, 48, 80), (200, 206, 224), round(0.006 * size))
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def blend(colour: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(share * c + (1 - share) * night_c) for c, night_c in zip(colour, (27, 33, 61), strict=True))


if __name__ == "__main__":
    icon().save(HERE / "icon.png", optimize=True)
    banner().save(HERE / "banner.png", optimize=True)
