"""Everything that a run needs to go on as if it had not stopped, in one safetensors file.

Tensors: `model.*`, `optimizer.*` and, with a moving average, `average.*`. The rest (epoch, batch, schedule,
generators, sums, history) is JSON in the metadata; Python floats and the generators' integers survive JSON exactly,
so the run continues bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backend import copy_into
from ..data.dataset import Split
from ..data.loader import Loader
from ..errors import DataError, FormatError, OptionError, warn
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..nn.loss import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..random import check_states, set_states, states
from ..typing import Array
from .callback import Step
from .history import Epoch
from .moving_average import MovingAverage

CHECKPOINT = "checkpoint.safetensors"
_OLDER = {"augmentation": "None", "accumulate": 1, "ema": None}  # of checkpoints by xpcnn 0.1, which do not say
# The data, by their number and by digests, which older checkpoints have not.
_DATA = {"images": "training", "data": "training", "validation data": "validation"}


@dataclass(frozen=True)
class Untold:
    """What the callbacks, from the one of that number on, have still to be told: a log could not be written."""

    first: int
    step: Step | None = None  # None: the last epoch

    @classmethod
    def read(cls, saved: Any) -> Untold | None:
        """What `written` made of one; TypeError, KeyError or ValueError where it is something else."""
        if saved is None:
            return None
        first, step = saved["first"], saved["step"]
        if type(first) is not int or first < 0 or not isinstance(step, dict | None):
            raise ValueError(f"untold: {first!r} and {step!r}, for the number of a callback and a step")
        return cls(first, None if step is None else Step(**{key: _number(value) for key, value in step.items()}))

    def written(self) -> dict[str, Any]:
        """It, in values that JSON has."""
        step = self.step and {key: _jsonable(value) for key, value in asdict(self.step).items()}
        return {"first": self.first, "step": step}


@dataclass
class Position:
    """Where a run stands: after `batch` batches of epoch `epoch` (from 0), with that epoch's sums so far."""

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0  # of loss × images
    correct: int = 0
    images: int = 0
    seconds: float = 0.0  # spent on this epoch before
    best_score: list[float] | None = None  # validation accuracy (not in a regression), then −loss
    best_epoch: int = 0  # from 1; 0 is none
    untold: Untold | None = None


@dataclass(frozen=True)
class Checkpointed:
    """What a run is made of: what a checkpoint holds the state of."""

    model: Layer
    optimizer: Optimizer
    criterion: Loss
    schedule: Schedule
    loader: Loader
    average: MovingAverage | None = None
    accumulate: int = 1  # batches a step
    validation: Split | None = None

    def description(self) -> dict[str, Any]:
        """What must be the same for a run to go on as it would have."""
        return {
            "optimizer": type(self.optimizer).__name__,
            "criterion": _without_addresses(self.criterion),
            "schedule": type(self.schedule).__name__,
            "images": len(self.loader.split),
            "batch size": self.loader.batch_size,
            "shuffling": [self.loader.shuffle, self.loader.seed, self.loader.drop_last],
            "augmentation": _without_addresses(self.loader.augment),
            "accumulate": self.accumulate,
            "ema": None if self.average is None else self.average.decay,
            "data": self.loader.split.digest,
            "validation data": None if self.validation is None else self.validation.digest,
        }

    def tensors(self) -> dict[str, Array]:
        """All arrays, by the names that they have in a checkpoint; no copies."""
        parts: dict[str, Mapping[str, Array]] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
        }
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def save(path: Path, run: Checkpointed, position: Position, history: list[Epoch]) -> None:
    """Write the run's state, atomically."""
    metadata = {
        "kind": "checkpoint",
        "run": run.description(),
        "position": {key: value for key, value in asdict(position).items() if key != "untold"},
        "untold": position.untold and position.untold.written(),
        "history": [{key: _jsonable(value) for key, value in asdict(row).items()} for row in history],
        "optimizer": run.optimizer.scalars(),
        "schedule": run.schedule.state_dict(),
        "generators": states(run.model.generators()),
    }
    write_tensors(path, run.tensors(), metadata)


def load(path: Path, run: Checkpointed) -> tuple[Position, list[Epoch]]:
    """Put a saved run's state into one that was built as it was.

    Raises
        FormatError : the file is broken, or belongs to another run; nothing has been changed then
    """
    tensors, metadata = read_tensors(path)
    generators, own = run.model.generators(), run.tensors()
    remedy = "build model, optimizer, schedule and loader as they were"
    try:
        if metadata["kind"] != "checkpoint":
            raise FormatError(str(path), "a checkpoint", f"a file of kind {metadata['kind']!r}")
        saved = _OLDER | {"criterion": _without_addresses(run.criterion)} | metadata["run"]  # older ones say none
        for name, value in run.description().items():
            if name in _DATA:
                _check_data(str(path), _DATA[name], saved.get(name, value), value)
            elif saved[name] != value:
                raise FormatError(str(path), f"a run with {name} {value}", str(saved[name]), remedy)
        position = Position(**metadata["position"], untold=Untold.read(metadata.get("untold")))
        history = [Epoch(**{key: _number(value) for key, value in row.items()}) for row in metadata["history"]]
        steps, lr = int(metadata["optimizer"]["steps"]), float(metadata["optimizer"]["lr"])
        if metadata["generators"].keys() != generators.keys() or tensors.keys() != own.keys():
            raise FormatError(str(path), "this model's and optimizer's arrays", "others", remedy)
        deepcopy(run.schedule).load_state_dict(metadata["schedule"])  # what is refused changes nothing
        check_states(generators, metadata["generators"])
        if "data" not in saved:
            what = "the checkpoint is of an older xpcnn, and does not say which images it was trained on"
            warn(str(path), what, "be sure that they are the same; what was held out of them is chosen otherwise now")
        copy_into(own, tensors, str(path))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(str(path), "a checkpoint of this run", f"{type(error).__name__}: {error}", remedy) from error
    run.schedule.load_state_dict(metadata["schedule"])
    set_states(generators, metadata["generators"])
    run.optimizer.steps, run.optimizer.lr = steps, lr
    return position, history


def resume(folder: Path | None, run: Checkpointed) -> tuple[Position, list[Epoch]]:
    """`load` what the run's folder holds.

    Raises
        OptionError : None for a folder;  DataError : there is no checkpoint;  FormatError : as `load`
    """
    if folder is None:
        raise OptionError("Trainer.fit", "a folder to resume from", "folder=None", "pass folder= to Trainer")
    path = folder / CHECKPOINT
    if not path.exists():
        raise DataError("resume", f"a checkpoint at {path}", "no such file", "name the folder of a run")
    return load(path, run)


def _check_data(who: str, part: str, saved: Any, given: Any) -> None:
    """Refuse other images or labels than a run had; `saved` and `given` are numbers of images or digests."""
    if saved == given:
        return
    number = f"{saved} " if isinstance(saved, int) else ""
    expected = f"the {number}{part} images that the run began with" if saved else f"no {part} images, as the run began"
    got = str(given) if number else "other images, labels or another order" if given else "none"
    raise FormatError(who, expected, got, "give it the same ones, or begin another run in another folder")


def _without_addresses(value: object) -> str:
    """Its repr, without the address that a function's has."""
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))


def _jsonable(value: float) -> float | None:
    return None if value != value else value  # JSON has no NaN


def _number(value: Any) -> Any:
    return float("nan") if value is None else value
