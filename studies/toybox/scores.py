"""Scores of clips and pictures on the fixed Toybox lists: does it show, and move, as the prompt says?

`python -m studies.toybox.scores --ground-truth` prints what the tracker makes of true clips and of
controls; a model's figures mean something only beside those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microcinema_core.worlds.toybox.tracker import STILL, UNCLEAR, Reading, Sighting, read_clip, read_frame
from microcinema_core.worlds.toybox.triples import LISTS, TIMES, StillPrompt, Triple, read_triples
from microcinema_core.worlds.toybox.world import Motion, render

from ..cases import SIZE, Case, Seen
from ..shares import Share, table
from ..shares import wilson as wilson

Keyframes = list[NDArray[np.uint8]]  # [H, W, 3] each
GenerateImages = Callable[[list[str], list[int]], Keyframes]  # prompts, seeds -> pictures
Progress = Callable[[int, int], None]  # done, all

READ_AS = (*(str(m) for m in Motion), STILL, UNCLEAR)


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Shares of a group's clips."""

    motion: Share
    shape: Share
    colour: Share
    right: Share  # motion and shape and colour
    speed: Share  # of the clips whose motion is right
    still: Share
    unclear: Share


@dataclass(frozen=True, slots=True)
class ClipScores:
    """The scores of a list of clips. `confusion[asked][read]` counts motions over all groups."""

    groups: dict[str, GroupScore]  # "all", and "trained" and "held out" where there are any
    confusion: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "groups": {name: _shares_to_dict(group) for name, group in self.groups.items()},
            "confusion": self.confusion,
        }

    def to_markdown(self) -> str:
        """Two tables: shares with their intervals, and what each motion was read as."""
        columns = ("right", "motion", "shape", "colour", "speed", "still", "unclear")
        shares = [
            [name, str(group.motion.n), *(str(getattr(group, c)) for c in columns)]
            for name, group in self.groups.items()
        ]
        counts = [[asked, *(str(row[read] or "") for read in READ_AS)] for asked, row in self.confusion.items()]
        return table(["group", "n", *columns], shares) + "\n\n" + table(["asked / read as", *READ_AS], counts)


def _shares_to_dict(scores: GroupScore | KeyframeScores) -> dict[str, dict[str, Any]]:
    return {field.name: getattr(scores, field.name).to_dict() for field in fields(scores)}


def _score_group(pairs: Sequence[tuple[Reading | Seen, Triple | Case]]) -> GroupScore:
    motion = [reading.motion == triple.scene.motion for reading, triple in pairs]
    shape = [reading.shape == triple.scene.shape for reading, triple in pairs]
    colour = [reading.colour == triple.scene.colour for reading, triple in pairs]
    return GroupScore(
        motion=Share.of(motion),
        shape=Share.of(shape),
        colour=Share.of(colour),
        right=Share.of([all(three) for three in zip(motion, shape, colour, strict=True)]),
        speed=Share.of([r.speed == t.scene.speed for (r, t), moves in zip(pairs, motion, strict=True) if moves]),
        still=Share.of([reading.motion == STILL for reading, _ in pairs]),
        unclear=Share.of([reading.motion == UNCLEAR for reading, _ in pairs]),
    )


def score_clips(readings: Sequence[Reading | Seen], triples: Sequence[Triple | Case]) -> ClipScores:
    """Scores of what was read in one clip per triple."""
    pairs = list(zip(readings, triples, strict=True))
    groups = {
        "all": pairs,
        "trained": [p for p in pairs if not p[1].held_out],
        "held out": [p for p in pairs if p[1].held_out],
    }
    confusion = {str(asked): dict.fromkeys(READ_AS, 0) for asked in Motion}
    for reading, triple in pairs:
        confusion[str(triple.scene.motion)][reading.motion] += 1
    return ClipScores({name: _score_group(group) for name, group in groups.items() if group}, confusion)


def _batches(count: int, batch: int) -> Iterator[slice]:
    for start in range(0, count, batch):
        yield slice(start, min(start + batch, count))


@dataclass(frozen=True, slots=True)
class KeyframeScores:
    """Shares of single pictures that show what their prompt says."""

    shape: Share
    colour: Share
    right: Share  # both
    nothing: Share  # no shape found

    def to_dict(self) -> dict[str, Any]:
        return _shares_to_dict(self)

    def to_markdown(self) -> str:
        columns = ("right", "shape", "colour", "nothing")
        return table(["n", *columns], [[str(self.right.n), *(str(getattr(self, c)) for c in columns)]])


def score_keyframes(sightings: Sequence[Sighting], prompts: Sequence[StillPrompt]) -> KeyframeScores:
    """Scores of what was read in one picture per prompt."""
    shape = [s.shape == p.shape for s, p in zip(sightings, prompts, strict=True)]
    colour = [s.colour == p.colour for s, p in zip(sightings, prompts, strict=True)]
    right = [a and b for a, b in zip(shape, colour, strict=True)]
    hits = (shape, colour, right, [not s.found for s in sightings])
    return KeyframeScores(*(Share(sum(h), len(h)) for h in hits))


def evaluate_keyframes(
    generate_images: GenerateImages,
    prompts: Sequence[StillPrompt],
    *,
    batch: int = 8,
    progress: Progress | None = None,
) -> KeyframeScores:
    """Generate a picture from each still prompt, read and score it."""
    sightings: list[Sighting] = []
    for part in _batches(len(prompts), batch):
        some = prompts[part]
        pictures = generate_images([p.prompt for p in some], [p.seed for p in some])
        sightings += [read_frame(picture) for _, picture in zip(some, pictures, strict=True)]
        if progress is not None:
            progress(part.stop, len(prompts))
    return score_keyframes(sightings, prompts)


@dataclass(frozen=True, slots=True)
class Baselines:
    """What needs no model: the ceiling and the floors that a model's scores lie between."""

    ground_truth: ClipScores
    still_copy: ClipScores  # the keyframe, repeated
    shuffled_text: Share  # true clips that move as another triple's prompt says: chance

    def to_dict(self) -> dict[str, Any]:
        return {
            "ground_truth": self.ground_truth.to_dict(),
            "still_copy": self.still_copy.to_dict(),
            "shuffled_text": self.shuffled_text.to_dict(),
        }

    def to_markdown(self) -> str:
        return (
            f"Ground truth\n\n{self.ground_truth.to_markdown()}\n\n"
            f"Still copy of the keyframe\n\n{self.still_copy.to_markdown()}\n\n"
            f"Shuffled text: motion as another prompt says in {self.shuffled_text}\n"
        )


def shuffled_text(readings: Sequence[Reading], triples: Sequence[Triple], *, seed: int = 0) -> Share:
    """How often a clip moves as another triple's prompt says. The other is one of a random cycle through the list."""
    order = np.random.default_rng(seed).permutation(len(triples))
    others = np.roll(order, 1)  # a cycle has no fixed point
    hits = [readings[i].motion == triples[j].scene.motion for i, j in zip(order, others, strict=True)]
    return Share(sum(hits), len(hits))


def baselines(triples: Sequence[Triple], *, size: int = SIZE) -> Baselines:
    """True clips, still copies and shuffled text through the tracker, at `size` pixels."""
    true = [read_clip(render(t.scene, TIMES, size), TIMES) for t in triples]
    still = [read_clip(np.repeat(t.keyframe(size)[None], len(TIMES), axis=0), TIMES) for t in triples]
    return Baselines(score_clips(true, triples), score_clips(still, triples), shuffled_text(true, triples))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Figures of the Toybox tracker on a fixed list.")
    parser.add_argument("--ground-truth", action="store_true", required=True, help="true clips, still copies, chance")
    parser.add_argument("--list", choices=list(LISTS), default="final")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels a side")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    options = parser.parse_args(arguments)
    result = baselines(read_triples(options.list), size=options.size)
    sys.stdout.write(json.dumps(result.to_dict(), indent=1) + "\n" if options.json else result.to_markdown())


if __name__ == "__main__":
    main()
