"""Work in progress on disk: what an interrupted shot has made is not made again.

A folder holds one small file per result (a clip's latents, a segment's), which says of which request it is. A result
exists whole or not at all; what is damaged or of another request is made again. Whatever else lies in the folder stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..checkpoint.kept import read_kept, write_kept
from ..errors import CheckpointError, InputError
from ..files import disk_errors, reachable
from ..shot.cascade import Interpolate

ENDING = ".microcinema.safetensors"
OURS = f"*{ENDING}"
CUT_SHORT = ".*.microcinema-*.safetensors"  # what a sudden end leaves
LOCK = ".microcinema.lock"
LATENTS = "latents"


class Workspace:
    """Results by name. `folder` is made when the first result is kept.

    Raises InputError where it cannot be a folder.
    """

    def __init__(self, folder: str | Path, request: Mapping[str, Any]) -> None:
        folder = Path(folder)
        check_folder(folder)
        self.folder, self._lock = folder, lock_of(folder)
        self.request = hashlib.sha256(json.dumps(dict(request), sort_keys=True).encode()).hexdigest()

    def path(self, name: str) -> Path:
        return self.folder / f"{name}{ENDING}"

    def kept(self, name: str) -> Tensor | None:
        """The latents [C, T, h, w] of that name of this request; None where they are not there as they were written."""
        path = self.path(name)
        try:
            if not path.is_file():
                return None
            tensors, request = read_kept(path)
        except (CheckpointError, OSError):
            return None
        return tensors.get(LATENTS) if request == self.request else None

    def keep(self, name: str, latents: Tensor) -> None:
        """Write latents [C, T, h, w] under a name, whole or not at all. Raises OSError where the disk refuses."""
        write_kept(self.path(name), {LATENTS: latents}, self.request)

    def in_use(self) -> AbstractContextManager[None]:
        """While results are made. Raises InputError where another run is at it."""
        return in_use(self.folder, self._lock)

    def remove(self) -> None:
        """The work is done: remove it, unless another run is at it, and the folder where nothing else lies in it."""
        with suppress(InputError, OSError), self.in_use():
            for pattern in (OURS, CUT_SHORT):
                for path in self.folder.glob(pattern):
                    path.unlink()


def lock_of(folder: Path) -> FileLock:
    """What one run at a time holds; the same object may be taken again by whoever holds it."""
    return FileLock(folder / LOCK, timeout=0, thread_local=False)


@contextmanager
def in_use(folder: Path, lock: FileLock) -> Iterator[None]:
    """Holds the folder for this run, made if it lacks, and removes it in the end if it is empty.

    Raises InputError where another run holds it.
    """
    check_folder(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except (Timeout, FileNotFoundError) as error:  # the latter where the other run is just ending
            raise InputError(
                f"{folder}: another run is at work there; wait until it is done, or choose another name"
            ) from error
    try:
        yield
    finally:
        last = lock.lock_counter == 1
        removed = last and _removed(folder / LOCK)
        lock.release()
        if last:
            if not removed:  # Windows removes no file that is open
                _removed(folder / LOCK)
            with suppress(OSError):  # other things lie in it
                folder.rmdir()


def _removed(path: Path) -> bool:
    with suppress(OSError):
        path.unlink()
        return True
    return False


def remembered(name: str, make: Callable[[], Tensor], workspace: Workspace | None) -> Tensor:
    """The latents [C, T, h, w] that the workspace has under this name, or that `make` gives, which are then kept."""
    if workspace is None:
        return make()
    found = workspace.kept(name)
    if found is None:
        found = make()
        workspace.keep(name, found)
    return found


def remembering(interpolate: Interpolate, workspace: Workspace | None) -> Interpolate:
    """The interpolation [N, C, 2, h, w] -> [N, C, T, h, w], its segments kept; batches that are there are not made."""
    if workspace is None:
        return interpolate

    def with_memory(ends: Tensor, level: int, indices: range) -> Tensor:
        names = [f"pass-{level + 1}-segment-{i:05d}" for i in indices]
        found = [latents for name in names if (latents := workspace.kept(name)) is not None]
        if len(found) == len(names):
            return torch.stack(found).to(ends)
        made = interpolate(ends, level, indices)  # the whole batch: segments of a smaller one would round otherwise
        for name, latents in zip(names, made, strict=True):
            if workspace.kept(name) is None:
                workspace.keep(name, latents)
        return made

    return with_memory


def check_folder(folder: Path) -> None:
    """Raises InputError where no folder can be."""
    with reachable(folder):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise InputError(f"{there}: is a file where unfinished work would be kept; move it, or choose another name")
