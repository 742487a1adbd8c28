"""`microcinema train CONFIG --minutes` on a clock that can be stopped: python -m studies.pocket.gpu.training.

Arguments: configuration, seconds, FILE: where the driver writes how long everything was stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from microcinema_core.training.budget import TimeBudget

from .clock import active_clock


def main(arguments: Sequence[str]) -> None:
    config, seconds, file = arguments
    budget = TimeBudget(float(seconds), active_clock(Path(file)))  # begun before large libraries are loaded
    sys.argv = ["microcinema", "train", config, "--minutes", f"{budget.seconds / 60:.3g}"]  # which the file will tell
    from microcinema_core.training.config import TrainConfig
    from microcinema_core.training.loop import train
    from microcinema_core.training.stages import build_stage

    sys.stdout.write(f"{train(TrainConfig.load(config), build_stage, budget=budget)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
