"""Everything needed to go on with a run, in folders `checkpoint-00000500`, each there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..errors import ConfigError
from .config import TrainConfig

PREFIX = "checkpoint-"
MAY_CHANGE = {"checkpoint_every", "sample_every", "reported", "keep", "out"}  # on the way, without another outcome


class Progress:
    """The step count as accelerate stores it, beside the configuration it belongs to."""

    def __init__(self, config: TrainConfig) -> None:
        self.step = 0
        self.config = config.to_dict()

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "config": json.dumps(self.config)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ConfigError where the checkpoint was trained with other values."""
        stored = json.loads(state["config"])
        wanted = json.loads(json.dumps(self.config))
        for key in sorted(set(wanted) & set(stored) - MAY_CHANGE):
            if stored[key] != wanted[key]:
                raise ConfigError(
                    f"the checkpoint was trained with {key} = {stored[key]!r}, "
                    f"the configuration says {wanted[key]!r}; restore the value or choose another `out` folder"
                )
        self.step = state["step"]


def checkpoints(out: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(p for p in out.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def save_checkpoint(accelerator: Accelerator, out: Path, step: int, keep: int) -> None:
    """Write under a temporary name, flush to disk, rename; of all checkpoints the last `keep` stay."""
    final = out / f"{PREFIX}{step:08d}"
    partial = out / f"partial-{step:08d}"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:  # Windows flushes only what may be written
                os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in checkpoints(out)[:-keep]:
        shutil.rmtree(old)
