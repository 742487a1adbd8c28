"""Everything needed to go on with a run, in folders `checkpoint-00000500`, each there whole or not at all.

Each holds three files of tensors with notes in JSON, which are read only as they were written; nothing is unpickled, so
that no file of a training folder can run code.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.format import expect_tensors
from ..checkpoint.kept import read_kept, write_kept
from ..errors import CheckpointError, ConfigError
from ..files import disk_errors, parse_json
from .budget import TimeBudget
from .config import TrainConfig
from .frozen import frozen
from .optim import WeightAverage
from .shares import fill_, gathered, share_of

PREFIX = "checkpoint-"
MODEL, AVERAGE, OPTIMISER = "model.safetensors", "average.safetensors", "optimiser.safetensors"
# On the way, without another outcome.
MAY_CHANGE = {"checkpoint_every", "sample_every", "reported", "keep", "out", "recipe.shard", "data.workers"}
TABLE = "/"
logger = logging.getLogger("microcinema")


@dataclass(slots=True)
class Progress:
    """What a run changes as it goes, and the configuration it belongs to.

    still: the checksum of what does not learn. budget: of its time.
    """

    config: TrainConfig
    model: nn.Module
    average: WeightAverage
    optimiser: torch.optim.Optimizer
    still: int
    step: int = 0
    budget: TimeBudget = field(default_factory=TimeBudget)

    def write(self, folder: Path) -> None:
        """Where the model is shared, other processes `give` at the same time. Raises OSError if the disk refuses."""
        for name, (tensors, note) in self._files().items():
            write_kept(folder / name, gathered(tensors), note)

    def give(self) -> None:
        """This process's share of what the main process writes."""
        for tensors, _ in self._files().values():
            gathered(tensors)

    def _files(self) -> dict[str, tuple[Iterable[tuple[str, Tensor]], str]]:
        """By name, what each file holds and its note."""
        about: dict[str, Any] = {"step": self.step, "updates": self.average.updates, "frozen": self.still}
        about["seconds"] = self.budget.used
        return {
            MODEL: (self.changing().items(), json.dumps(about | {"config": self.config.to_dict()})),
            AVERAGE: (self.average.of(self.model), ""),
            OPTIMISER: (_tensors_of(self.optimiser).items(), ""),
        }

    def changing(self) -> dict[str, Tensor]:
        """The model's tensors without those that do not learn, which its configuration has files for."""
        still = {name for name, _ in frozen(self.model)}
        return {name: value for name, value in self.model.state_dict().items() if name not in still}

    def read(self, folder: Path) -> None:
        """Go on from there. Nothing changes where it cannot be.

        Raises CheckpointError for files that are not as they were written or of another model, and ConfigError where
        the checkpoint was trained with other values.
        """
        read = (read_kept(folder / name, mapped=True) for name in (MODEL, AVERAGE, OPTIMISER))
        (model, note), (average, _), (moments, _) = read
        step, updates, seconds = self._expect_own(note, folder / MODEL)
        changing, averaged = self.changing(), dict(self.average.averaged(self.model))
        expect_tensors(changing, model, str(folder / MODEL), "the checkpoint")
        expect_tensors(averaged, average, str(folder / AVERAGE), "the checkpoint")
        state = _state_of(self.optimiser, moments, folder / OPTIMISER)
        for name, value in changing.items():
            fill_(value, model[name])
        self.average.load(self.model, average, updates)
        self.optimiser.load_state_dict(state)
        self.step, self.budget.before = step, seconds

    def _expect_own(self, note: str, path: Path) -> tuple[int, int, float]:
        """Steps, updates of the average and seconds used, from a note that is of this run's configuration."""
        try:
            about = parse_json(note, str(path))
            step, updates, still, stored = about["step"], about["updates"], about["frozen"], dict(about["config"])
            seconds = float(about.get("seconds", 0.0))  # earlier versions did not count them
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: says nothing of its run") from error
        if type(step) is not int or type(updates) is not int or not min(step, updates, seconds) >= 0:
            raise CheckpointError(f"{path}: is of step {step!r}, as no run is")
        self._expect_config(stored)
        if still != self.still:
            raise ConfigError(
                f"{path}: was trained beside other weights than `start_from` or `image` holds now; put the file back, "
                "or choose another `out` folder"
            )
        return step, updates, seconds

    def _expect_config(self, stored: Mapping[str, Any]) -> None:
        wanted, held = _by_key(json.loads(json.dumps(self.config.to_dict()))), _by_key(stored)
        for key in sorted(set(wanted) & set(held) - MAY_CHANGE):
            if held[key] != wanted[key]:
                raise ConfigError(
                    f"the checkpoint was trained with {key} = {held[key]!r}, "
                    f"the configuration says {wanted[key]!r}; restore the value or choose another `out` folder"
                )


def _by_key(config: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    """A configuration's values, those of its tables under names such as `recipe.shard`; a clip, or none, is one."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        whole = key == "clip" or not isinstance(value, dict)
        values |= {f"{table}{key}": value} if whole else _by_key(value, f"{table}{key}.")
    return values


def _tensors_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its state by number and name of parameters; all else follows from the configuration."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, held in state.items() for name, value in _flat(held).items()}


def _flat(held: Mapping[str, Any], table: str = "") -> dict[str, Tensor]:
    """A parameter's state: tensors, whole numbers as tensors, and those of its tables under names such as `a/b`."""
    values: dict[str, Tensor] = {}
    for name, value in held.items():
        if isinstance(value, dict):
            values |= _flat(value, f"{table}{name}{TABLE}")
        else:
            held_value = value if isinstance(value, Tensor) else torch.tensor(value)
            # Parameters share what lies in tables, as a file's tensors may not.
            values[f"{table}{name}"] = held_value.clone() if table else held_value
    return values


def _state_of(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """As `load_state_dict` takes it. Raises CheckpointError where it is of other parameters."""
    parameters = dict(enumerate(p for group in optimiser.param_groups for p in group["params"]))
    state: dict[int, dict[str, Any]] = {number: {} for number in parameters}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters.get(int(number)) if number.isdecimal() else None
        *tables, own_name = name.split(TABLE)
        # What lies in a table is quantised, and of other shapes than the parameter.
        if parameter is None or (value.ndim and not tables and value.shape != parameter.shape):
            raise CheckpointError(f"{path}: {key} belongs to none of the parameters that learn")
        held = state[int(number)]
        for table in tables:
            held = held.setdefault(table, {})
        held[own_name] = value.clone() if tables else _own_state(value, parameter)
    return {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}


def _own_state(value: Tensor, parameter: Tensor) -> Tensor | int:
    """A moment of the parameter's shape, or a count: torch's own are float32, others whole numbers."""
    if value.ndim:
        return share_of(value, parameter).clone()
    return int(value) if value.dtype == torch.int64 else value.clone()


def checkpoints(out: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(p for p in out.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def save_checkpoint(progress: Progress, out: Path, keep: int) -> None:
    """Write under a temporary name and rename; of all checkpoints the last `keep` stay.

    Raises OSError where the disk refuses; then nothing new stays.
    """
    final = out / f"{PREFIX}{progress.step:08d}"
    with _written_whole(final, out / f"partial-{progress.step:08d}") as partial:
        progress.write(partial)
    for old in checkpoints(out)[:-keep]:
        shutil.rmtree(old)


@contextmanager
def _written_whole(final: Path, partial: Path) -> Iterator[Path]:
    shutil.rmtree(partial, ignore_errors=True)
    with disk_errors(partial):
        partial.mkdir()
    try:
        yield partial
        with disk_errors(final):
            shutil.rmtree(final, ignore_errors=True)
            os.replace(partial, final)  # noqa: PTH105 - said of both at once
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def resume(progress: Progress, out: Path) -> Path | None:
    """Go on from the newest checkpoint that is as it was written; None where there are none.

    Newer ones that are not are set aside as `damaged-00000500`, and said. Raises CheckpointError where none can be
    read, and ConfigError as `Progress.read` does.
    """
    reasons: list[CheckpointError] = []
    there = checkpoints(out)
    for folder in reversed(there):
        try:
            progress.read(folder)
        except CheckpointError as error:
            reasons.append(error)
            continue
        for newer in there[len(there) - len(reasons) :]:
            _set_aside(newer)
        for reason in reasons:
            logger.warning("%s; going on from %s", reason, folder.name)
        return folder
    if reasons:
        raise CheckpointError(
            f"{reasons[0]}; none of the {len(reasons)} checkpoints in {out} can be read: move them away to start "
            "anew, or choose another `out` folder"
        )
    return None


def _set_aside(folder: Path) -> None:
    aside = folder.with_name(folder.name.replace(PREFIX, "damaged-"))
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
