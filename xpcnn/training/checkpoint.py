"""Everything that a run needs to go on as if it had not stopped, in one safetensors file.

Tensors: `model.*` and `optimizer.*`. The rest (epoch, batch, schedule, generators, sums, history) is JSON in
the metadata; Python floats and the generators' integers survive JSON exactly, so the run continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
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
    best_score: list[float] | None = None  # validation accuracy, then −loss
    best_epoch: int = 0  # from 1; 0 is none


def save(
    path: Path,
    model: Layer,
    optimizer: Optimizer,
    schedule: Schedule,
    position: Position,
    history: list[Epoch],
) -> None:
    """Write the run's state, atomically."""
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    tensors |= {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}
    metadata = {
        "kind": "checkpoint",
        "position": asdict(position),
        "history": [{key: _jsonable(value) for key, value in asdict(row).items()} for row in history],
        "optimizer_steps": optimizer.steps,
        "schedule": schedule.state_dict(),
        "generators": {name: rng.bit_generator.state for name, rng in _generators(model).items()},
    }
    write_tensors(path, tensors, metadata)


def load(path: Path, model: Layer, optimizer: Optimizer, schedule: Schedule) -> tuple[Position, list[Epoch]]:
    """Put a saved run's state into a model, optimizer and schedule that were built as they were.

    Raises
        FormatError : the file is broken, or belongs to another model or optimizer
    """
    tensors, metadata = read_tensors(path)
    generators = _generators(model)
    try:
        if metadata["kind"] != "checkpoint":
            raise KeyError("kind")
        position = Position(**metadata["position"])
        history = [Epoch(**{key: _number(value) for key, value in row.items()}) for row in metadata["history"]]
        states = metadata["generators"]
        if states.keys() != generators.keys():
            raise KeyError("generators")
        model.load_state_dict(_under("model.", tensors))
        optimizer.load_state_dict(_under("optimizer.", tensors), steps=metadata["optimizer_steps"])
        schedule.load_state_dict(metadata["schedule"])
        for name, rng in generators.items():
            rng.bit_generator.state = states[name]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(str(path), "a checkpoint of this model", f"{type(error).__name__}: {error}") from error
    return position, history


def _generators(model: Layer) -> dict[str, np.random.Generator]:
    found = ((name, getattr(layer, "rng", None)) for name, layer in model.named_layers())
    return {name: rng for name, rng in found if isinstance(rng, np.random.Generator)}


def _under(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _jsonable(value: float) -> float | None:
    return None if value != value else value  # JSON has no NaN


def _number(value: Any) -> Any:
    return float("nan") if value is None else value
