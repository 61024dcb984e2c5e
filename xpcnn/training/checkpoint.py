"""Checkpoints: one safetensors file holds everything that a run needs to continue as if it had not stopped.

Tensors: `model.*`, `optimizer.*` and, with a moving average, `average.*`. The rest (epoch, batch, schedule,
generators, sums, history) is JSON in the metadata. JSON keeps Python floats and the generators' integers exactly,
so the run continues bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backend import dtype_name
from ..data.loader import Loader
from ..data.split import Split
from ..errors import DataError, FormatError, OptionError, warn
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..nn.loss import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..random import check_states, set_states, states
from ..state import copy_into
from ..typing import Array, NDArray
from .gradients import not_finite
from .history import Epoch, History, from_document, to_document
from .moving_average import MovingAverage
from .position import REMEDY, Position
from .trained_on import what_changed
from .untold import Untold

CHECKPOINT = "checkpoint.safetensors"
# not in those of xpcnn 0.1
_OLDER = {"augmentation": "None", "accumulate": 1, "shards": 1, "ema": None, "unfreeze_at": None} | {
    "buffer": None,
    "monitor": "",
    "min_delta": 0.0,
}
# Identify the data by number and by digests; older checkpoints lack the digests.
_DATA = {"images": "training", "data": "training", "validation data": "validation"}


@dataclass(frozen=True)
class Checkpointed:
    """The parts of a run whose state a checkpoint holds."""

    model: Layer
    optimizer: Optimizer
    criterion: Loss
    schedule: Schedule
    loader: Loader
    average: MovingAverage | None = None
    accumulate: int = 1  # batches per step
    validation: Split | None = None
    unfreeze_at: int | None = None  # the epoch from which frozen parameters are trained
    unfreeze: Callable[[], Checkpointed] | None = None  # begins to train them
    shards: int = 1  # of a batch
    monitor: str = ""  # the number by which epochs are compared
    min_delta: float = 0.0

    def description(self) -> dict[str, Any]:
        """The settings that must be the same for a run to continue exactly."""
        return {
            "optimizer": type(self.optimizer).__name__,
            "criterion": without_addresses(self.criterion),
            "schedule": type(self.schedule).__name__,
            "images": len(self.loader.split),
            "batch size": self.loader.batch_size,
            "shuffling": [self.loader.shuffle, self.loader.seed, self.loader.drop_last],
            "buffer": self.loader.buffer if self.loader.shuffle else None,
            "augmentation": without_addresses(self.loader.augment),
            "accumulate": self.accumulate,
            "shards": self.shards,
            "ema": None if self.average is None else self.average.decay,
            "unfreeze_at": self.unfreeze_at,
            "monitor": self.monitor,
            "min_delta": self.min_delta,
            "data": self.loader.split.digest,
            "validation data": None if self.validation is None else self.validation.digest,
        }

    def tensors(self) -> dict[str, Array]:
        """All arrays, by their names in a checkpoint; no copies."""
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
        "history": to_document(history),
        "optimizer": run.optimizer.scalars(),
        "schedule": run.schedule.state_dict(),
        "generators": states(run.model.generators()),
    }
    write_tensors(path, run.tensors(), metadata)


def load(path: Path, run: Checkpointed) -> tuple[Position, History]:
    """Load a saved run's state into a run that was built in the same way.

    Raises
        FormatError : the file is broken, or belongs to another run; in this case nothing is changed
    """
    tensors, metadata = read_tensors(path)
    who = str(path)
    if metadata.get("kind") != "checkpoint":
        raise FormatError(who, "a checkpoint", f"a file of kind {metadata.get('kind')!r}"[:80])
    _check_description(who, run, metadata.get("run"))
    scalars = metadata.get("optimizer")
    if run.unfreeze is not None and isinstance(scalars, dict) and "begun" in scalars:
        run = run.unfreeze()
    own = run.tensors()
    check_arrays(who, own, tensors)
    _check_finite(who, own, tensors)
    history = from_document(who, metadata.get("history"))
    try:
        position = Position.read(f"{who}: position", metadata.get("position"))
        if "items" not in metadata["position"]:
            position.items = float(position.images)
        position.untold = Untold.read(f"{who}: untold", metadata.get("untold"))
        _check_position(f"{who}: position", position, run, history)
        scalars = _scalars(f"{who}: optimizer", scalars, run.optimizer)
    except OptionError as error:
        raise FormatError(error.who, error.expected, error.got, REMEDY) from None
    _try_schedule(f"{who}: schedule", run.schedule, metadata.get("schedule"))
    check_states(f"{who}: generators", run.model.generators(), metadata.get("generators"))
    if "data" not in metadata["run"]:
        what = "the checkpoint is of an older xpcnn, and does not say which images it was trained on"
        warn(who, what, "be sure that they are the same; what was held out of them is chosen otherwise now")
    if "items" not in metadata["position"]:
        _warn_of_images(position, run.criterion)
    copy_into(own, tensors, who, apart=True)  # nothing is refused from here on
    run.schedule.load_state_dict(metadata["schedule"])
    set_states(run.model.generators(), metadata["generators"])
    run.optimizer.load_scalars(who, **scalars)
    return position, history


def resume(folder: Path | None, run: Checkpointed) -> tuple[Position, History]:
    """`load` the checkpoint in the run's folder.

    Raises
        OptionError : the folder is None;  DataError : there is no checkpoint;  FormatError : as in `load`
    """
    if folder is None:
        raise OptionError("Trainer.fit", "a folder to resume from", "folder=None", "pass folder= to Trainer")
    path = folder / CHECKPOINT
    if not path.exists():
        raise DataError("resume", f"a checkpoint at {path}", "no such file", "name the folder of a run")
    try:
        return load(path, run)
    except FormatError as error:
        if "images" in error.expected and (told := what_changed(folder, run.loader.split)):
            error.got += f"; {told}"
        raise


def _check_data(who: str, part: str, saved: Any, given: Any) -> None:
    """Refuse images or labels that differ from the run's; `saved` and `given` are numbers of images or digests."""
    if saved == given:
        return
    number = f"{saved} " if isinstance(saved, int) else ""
    expected = f"the {number}{part} images that the run began with" if saved else f"no {part} images, as the run began"
    got = str(given) if number else "other images, labels or another order" if given else "none"
    raise FormatError(who, expected, got, "give it the same ones, or begin another run in another folder")


def _warn_of_images(position: Position, criterion: Loss) -> None:
    """Warn about a checkpoint by xpcnn 0.1, whose sum of losses is weighted by images."""
    if position.batch and criterion.reduction == "mean" and getattr(criterion, "weight", None) is not None:
        warn(
            "resume",
            f"the training loss of epoch {position.epoch + 1}, which xpcnn 0.1 began, is not exact: class weights",
            "those of later epochs are exact",
        )


def without_addresses(value: object) -> str:
    """The repr of the value, without memory addresses, which those of functions contain."""
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))


def _check_description(who: str, run: Checkpointed, saved: Any) -> None:
    if saved is None:
        got = "none: the checkpoint is of an older xpcnn"
        raise FormatError(who, "run: what it was made of", got, "resume it with that one, or begin another run")
    if not isinstance(saved, dict):
        raise FormatError(who, "run: what it was made of", repr(saved)[:80], REMEDY)
    if "data" not in saved:
        who = f"{who}, of an older xpcnn"
    known = _OLDER | {"criterion": without_addresses(run.criterion)} | saved  # missing in older ones
    for name, value in run.description().items():
        if name in _DATA and (name in saved or name != "images"):
            _check_data(who, _DATA[name], saved.get(name, value), value)
        elif name not in known or known[name] != value:
            got = str(known[name]) if name in known else f"none that says {name}"
            raise FormatError(who, f"a run with {name} {value}", got, REMEDY)


def _check_position(who: str, at: Position, run: Checkpointed, history: list[Epoch]) -> None:
    """Refuse a position that a run on this data, with this history, cannot have."""
    epochs, batches = len(history), len(run.loader)
    known = 1 <= at.best_epoch <= epochs
    best = history[at.best_epoch - 1].score(run.criterion.classifies, run.monitor) if known else None
    images = min(at.batch * run.loader.batch_size, len(run.loader.split))
    for what, holds in (
        (f"epoch {epochs}, as in the history", at.epoch == epochs),
        (f"batch from 0 to {batches}", at.batch <= batches),
        (f"a multiple of {run.accumulate} as batch", not at.batch % run.accumulate or at.batch == batches),
        (f"{images} images in {at.batch} batches", at.images == images),
        (f"{images} items, as no class has a weight", at.items == images or not _items_are_images(run.criterion)),
        ("no more images right than there were", at.correct <= at.images),
        ("no loss before the first batch", at.images > 0 or at.loss_sum == 0),
        (f"a best epoch among {epochs}", min(epochs, 1) <= at.best_epoch <= epochs),
        ("the best epoch's score, as in the history", at.best_score == best),
    ):
        if not holds:
            raise FormatError(who, what, str(at), REMEDY)


def _items_are_images(criterion: Loss) -> bool:
    options = [getattr(criterion, name, None) for name in ("weight", "ignore_index")]
    unweighted = type(criterion).items is Loss.items or options == [None, None]
    return criterion.reduction != "mean" or unweighted


def _scalars(who: str, saved: Any, optimizer: Optimizer) -> dict[str, Any]:
    if (
        not isinstance(saved, dict)
        or saved.keys() - {"begun"} != optimizer.scalars().keys() - {"begun"}
        or saved["lr"] is None
    ):
        raise FormatError(who, "steps and lr", repr(saved)[:80], REMEDY)
    copy(optimizer).load_scalars(who, **saved)
    return saved


def _try_schedule(who: str, schedule: Schedule, saved: Any) -> None:
    """Refuse a state that the schedule would refuse; a user's own schedule may raise any error."""
    try:
        deepcopy(schedule).load_state_dict(saved)
    except FormatError as error:
        raise FormatError(f"{who}: {error.who}", error.expected, error.got, REMEDY) from error
    except MemoryError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise FormatError(who, f"the state of this {type(schedule).__name__}", what, REMEDY) from error


def check_arrays(who: str, own: Mapping[str, Array], saved: Mapping[str, NDArray], remedy: str = REMEDY) -> None:
    """Refuse arrays whose names, shapes or types differ from those of the network and the optimizer.

    Raises
        FormatError
    """
    if own.keys() != saved.keys():
        missing, unknown = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
        raise FormatError(
            who, f"the {len(own)} arrays of this model and run", f"missing {missing[:5]}, unknown {unknown[:5]}", remedy
        )
    for name, array in own.items():
        expected, got = f"{dtype_name(array)} {tuple(array.shape)}", f"{saved[name].dtype} {saved[name].shape}"
        if expected != got:
            raise FormatError(who, f"{name}: {expected}", got, remedy)


def _check_finite(who: str, own: Mapping[str, Array], saved: Mapping[str, NDArray]) -> None:
    """Refuse NaN and infinity in arrays that had none when the run was built."""
    spoilt = not_finite(saved)
    if new := [name for name in spoilt if name not in (not_finite(own) if spoilt else ())]:
        remedy = "resume from an earlier checkpoint, or begin again with a lower learning rate"
        raise FormatError(who, f"{new[0]}: finite numbers", "NaN or infinity", remedy)
