"""Everything that a run needs to go on as if it had not stopped, in one safetensors file.

Tensors: `model.*` and `optimizer.*`. The rest (epoch, batch, schedule, generators, sums, history) is JSON in
the metadata; Python floats and the generators' integers survive JSON exactly, so the run continues bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backend import copy_into
from ..data.loader import Loader
from ..errors import FormatError
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..typing import Array
from .history import Epoch


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


def save(
    path: Path,
    model: Layer,
    optimizer: Optimizer,
    schedule: Schedule,
    loader: Loader,
    position: Position,
    history: list[Epoch],
) -> None:
    """Write the run's state, atomically."""
    metadata = {
        "kind": "checkpoint",
        "run": _description(optimizer, schedule, loader),
        "position": asdict(position),
        "history": [{key: _jsonable(value) for key, value in asdict(row).items()} for row in history],
        "optimizer": optimizer.scalars(),
        "schedule": schedule.state_dict(),
        "generators": {name: rng.bit_generator.state for name, rng in model.generators().items()},
    }
    write_tensors(path, _tensors(model, optimizer), metadata)


def load(
    path: Path, model: Layer, optimizer: Optimizer, schedule: Schedule, loader: Loader
) -> tuple[Position, list[Epoch]]:
    """Put a saved run's state into a model, optimizer and schedule that were built as they were.

    Raises
        FormatError : the file is broken, or belongs to another run; nothing has been changed then
    """
    tensors, metadata = read_tensors(path)
    generators, own = model.generators(), _tensors(model, optimizer)
    remedy = "build model, optimizer, schedule and loader as they were"
    try:
        if metadata["kind"] != "checkpoint":
            raise FormatError(str(path), "a checkpoint", f"a file of kind {metadata['kind']!r}")
        run = _description(optimizer, schedule, loader)
        for name, value in run.items():
            if metadata["run"][name] != value:
                raise FormatError(str(path), f"a run with {name} {value}", str(metadata["run"][name]), remedy)
        position = Position(**metadata["position"])
        history = [Epoch(**{key: _number(value) for key, value in row.items()}) for row in metadata["history"]]
        steps, lr = int(metadata["optimizer"]["steps"]), float(metadata["optimizer"]["lr"])
        states = metadata["generators"]
        if states.keys() != generators.keys() or tensors.keys() != own.keys():
            raise FormatError(str(path), "this model's and optimizer's arrays", "others", remedy)
        schedule.load_state_dict(metadata["schedule"])
        copy_into(own, tensors, str(path))
        for name, rng in generators.items():
            rng.bit_generator.state = states[name]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(str(path), "a checkpoint of this run", f"{type(error).__name__}: {error}", remedy) from error
    optimizer.steps, optimizer.lr = steps, lr
    return position, history


def _description(optimizer: Optimizer, schedule: Schedule, loader: Loader) -> dict[str, Any]:
    """What must be the same for a run to go on as it would have."""
    return {
        "optimizer": type(optimizer).__name__,
        "schedule": type(schedule).__name__,
        "images": len(loader.split),
        "batch size": loader.batch_size,
        "shuffling": [loader.shuffle, loader.seed, loader.drop_last],
    }


def _tensors(model: Layer, optimizer: Optimizer) -> dict[str, Array]:
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    return tensors | {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}


def _jsonable(value: float) -> float | None:
    return None if value != value else value  # JSON has no NaN


def _number(value: Any) -> Any:
    return float("nan") if value is None else value
