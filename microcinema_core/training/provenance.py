"""How weights came to be: command, commit, seed, steps, data."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from .config import TrainConfig

COMMIT = "MICROCINEMA_COMMIT"


def provenance(config: TrainConfig, step: int) -> dict[str, Any]:
    """What an exported file says of the run that made it, as JSON."""
    return {
        "command": "microcinema train " + " ".join(sys.argv[2:]),
        "commit": code_commit(),
        "seed": config.seed,
        "steps": step,
        "data": _data(config),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "config": config.to_dict(),
    }


def _data(config: TrainConfig) -> str:
    if config.data.pictures:
        return f"pictures of {Path(config.data.pictures).name}"
    if config.rendered:  # as many as there were when it began
        return f"{Path(config.rendered).name}; at most {config.data.clips} clips"
    return f"{Path(config.videos).name or 'Toybox, procedural'}; {config.data.clips} clips"


def code_commit() -> str:
    """Of this code, or what COMMIT says of code that travelled without its history."""
    if told := os.environ.get(COMMIT):
        return told
    changed = _git("status", "--porcelain", "-uno") not in ("", "unknown")
    return _git("rev-parse", "HEAD") + ("-modified" if changed else "")


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
