"""Pictures that live, for the README and for a page of their own: `python -m studies.layers.pictures`.

Each is what one command of the program makes, which stands beside it; no model takes part. Written as animated WebP.
"""

from __future__ import annotations

from pathlib import Path

from ..camera.pictures import Moving, Page, publish


def told(name: str, picture: str, words: str, caption: str, *more: str) -> Moving:
    """A clip from words."""
    return Moving(name, picture, ("--prompt", words, "--duration", "3", *more), caption)


README = (
    told(
        "lake-alive",
        "lake.jpg",
        "the lake ripples, clouds drift left, the camera slowly pushes in",
        "A photo: the lake and the sky are found by a small network, ripples and drift are drawn.",
    ),
    told(
        "hills-snow",
        "hills.jpg",
        "snow falls softly, fog rolls in",
        "A photo: snow at four distances, and fog by distance.",
    ),
)
PAGE = (
    told("city-night", "city.jpg", "night falls, stars twinkle, light fog drifts", "Day becomes night."),
    told("city-rain", "city.jpg", "heavy rain, lightning flashes", "Rain and lightning."),
    told("surf", "surf.jpg", "the waves roll in, clouds drift right", "Surf and a sunset."),
    told("dandelions", "dandelion.jpg", "the dandelions sway in the wind, dust floats in the light", "Wind and dust."),
    told("starry", "starry-night.jpg", "fireflies glow, mist drifts", "A painting: fireflies and mist, all over it."),
    told("cat", "cat.jpg", "the cat breathes, snow falls", "A cat breathes in the snow."),
    told("coffee", "coffee.jpg", "smoke rises, warm light", "No landscape: smoke before all of it."),
)
FAILURES = (
    told(
        "moon",
        "earthrise.jpg",
        "snow falls",
        "Snow on the Moon: it falls before everything, as nothing says how far that is.",
    ),
    told("astronaut", "astronaut.jpg", "heavy rain", "Rain makes nothing wet, indoors too."),
)

LAYERS = Page(
    "Pictures that live without a model",
    "studies.layers.pictures",
    README,
    PAGE,
    FAILURES,
    Path("docs/results/layers"),
    "gallery.md",
)

if __name__ == "__main__":
    publish(LAYERS, __doc__)
