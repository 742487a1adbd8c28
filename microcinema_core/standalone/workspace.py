"""Work in progress on disk: what an interrupted shot has made is not made again.

A folder holds the request it belongs to and one small file per result (a clip's latents, a segment's). A result exists
whole or not at all; a folder of another request is emptied, one that holds anything else is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import InputError
from ..files import written_whole
from ..shot.cascade import Interpolate

REQUEST = "request.json"


class Workspace:
    """Results by name. `folder` is made when the first result is kept.

    Raises InputError where the folder holds what is no work of ours, which must not be lost.
    """

    def __init__(self, folder: str | Path, request: Mapping[str, Any]) -> None:
        folder = Path(folder)
        _check_ours(folder)
        self.folder, self.request = folder, json.dumps(dict(request), sort_keys=True)
        self.found = self._matches()

    def _matches(self) -> bool:
        try:
            return (self.folder / REQUEST).read_text(encoding="utf-8") == self.request
        except (OSError, UnicodeDecodeError):
            return False

    def _open(self) -> None:
        if self.found:
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        try:
            with written_whole(self.folder / REQUEST) as temporary:
                temporary.write_text(self.request, encoding="utf-8")
        except OSError:
            self.remove()
            raise
        self.found = True

    def kept(self, name: str) -> Tensor | None:
        """The latents [C, T, h, w] of that name of this request; None where they are not there or not readable."""
        path = self.folder / f"{name}.safetensors"
        if not (self.found and path.exists()):
            return None
        try:
            return load_file(path)["latents"].clone()  # else a view of the file, which Windows would not remove
        except (SafetensorError, KeyError, OSError):
            return None

    def keep(self, name: str, latents: Tensor) -> None:
        """Write latents [C, T, h, w] under a name, whole or not at all."""
        self._open()
        with written_whole(self.folder / f"{name}.safetensors") as temporary:
            save_file({"latents": latents.contiguous()}, temporary)

    def remove(self) -> None:
        """The work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


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


def _check_ours(folder: Path) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{there}: is a file where unfinished work would be kept; move it, or choose another name")
    if there == folder and not (folder / REQUEST).exists():
        strange = [item.name for item in folder.iterdir() if not item.name.startswith(".")]
        if strange:
            raise InputError(
                f"{folder}: holds other files than unfinished work ({strange[0]}); move it, or choose another name"
            )
