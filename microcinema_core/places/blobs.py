"""Parts of a mask that hang together, so that specks can be dropped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def without_specks(mask: Mask, least: int) -> Mask:
    """A mask [H, W] without the parts of fewer than `least` pixels; pixels that touch at a side hang together."""
    rows, starts, ends = _runs(mask)
    parent = np.arange(len(rows))
    begin = np.searchsorted(rows, np.arange(len(mask) + 1))
    for row in range(1, len(mask)):
        _join(parent, starts, ends, range(begin[row - 1], begin[row]), range(begin[row], begin[row + 1]))
    roots = np.array([_root(parent, run) for run in range(len(rows))], dtype=np.intp)
    areas = np.bincount(roots, ends - starts, minlength=len(rows))
    kept = np.zeros_like(mask)
    for run in np.flatnonzero(areas[roots] >= least):
        kept[rows[run], starts[run] : ends[run]] = True
    return kept


def _runs(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Stretches of a mask's rows, in order: the row, the first column, and the one after the last."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(steps == 1)
    return rows, starts, np.nonzero(steps == -1)[1]


def _join(
    parent: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp], above: range, below: range
) -> None:
    """Make one of the runs of two rows that touch; both go from left to right."""
    i, j = above.start, below.start
    while i < above.stop and j < below.stop:
        if starts[i] < ends[j] and starts[j] < ends[i]:
            one, other = _root(parent, i), _root(parent, j)
            parent[max(one, other)] = min(one, other)
        if ends[i] < ends[j]:
            i += 1
        else:
            j += 1


def _root(parent: NDArray[np.intp], run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return int(run)
