"""All processes of a training begin with the same program and data, and with rank 0's weights and state."""

from __future__ import annotations

import platform
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import __version__
from ..backend import current_backend, to_numpy
from ..data.loader import Loader
from ..errors import OptionError, XpcnnError
from ..random import set_states, states
from .checkpoint import without_addresses


@dataclass(frozen=True)
class Shared:
    """Whether rank 0's state is given to all after its callbacks, as these may change it."""

    after_step: bool = False
    after_epoch: bool = False

    @classmethod
    def by(cls, trainer: Any) -> Shared:
        """What the callbacks of rank 0 require."""
        group = trainer.sharding.group
        if group.size == 1:
            return cls()
        after: Shared = group.first(lambda: cls(_change(trainer.on_step), _change(trainer.on_epoch)))
        return after


def _change(callbacks: Any) -> bool:
    return any(not getattr(callback, "only_reads", False) for callback in callbacks)


def check_same(trainer: Any, loader: Loader, epochs: int, step: Any) -> None:
    """Refuse processes with other versions, data or options than rank 0's.

    Parameters
        step : the trainer's `train_step`, unless the user has another, which knows no shards
    Raises
        OptionError : on all of them
    """
    group = trainer.sharding.group
    if not trainer.sharding.is_whole and getattr(trainer.train_step, "__func__", None) is not step:
        what = "xpcnn's own train_step, as batches have shards"
        raise OptionError("Trainer.fit", what, type(trainer).__name__, "pass shards=1, on one process")
    if group.size == 1:
        return
    options = ("accumulate", "clip_norm", "patience", "overfit_batches", "fast_dev_run", "schedule")
    facts: dict[str, Any] = {
        "xpcnn": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "backend": current_backend().name,
        "network": without_addresses(trainer.model),
        "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in trainer.model.state_dict().items()},
        "optimizer": without_addresses(trainer.optimizer),
        **{f"rate and decay of {name}": _rates(trainer.optimizer, name) for name in trainer.optimizer.parameters},
        "epochs": epochs,
        **{name: without_addresses(getattr(trainer, name)) for name in options},
        **trainer.checkpointed(loader).description(),
    }
    group.check_same("Trainer.fit", facts)


def _rates(optimizer: Any, name: str) -> tuple[float, float]:
    own = optimizer.of_parameter(name)
    return own.lr, own.weight_decay


def check_alike(trainer: Any, loader: Loader) -> None:
    """Refuse to go on where a process has come to other numbers, as by a schedule of its own or another processor.

    Without shards, MPI's order of sums decides, and nothing is promised.

    Raises
        OptionError : on all of them
    """
    sharding, crc = trainer.sharding, 0
    if sharding.group.size > 1 and sharding.shards:
        for array in trainer.checkpointed(loader).tensors().values():
            crc = zlib.crc32(np.ascontiguousarray(to_numpy(array)).tobytes(), crc)
        sharding.group.check_same("Trainer.fit", {"weights and optimizer of checksum": f"{crc:08x}"})


def share_state(trainer: Any, loader: Loader) -> None:
    """Give all processes what a step or a callback of rank 0 may have changed: arrays, numbers, generators."""
    group = trainer.sharding.group
    if group.size == 1:
        return
    run = trainer.checkpointed(loader)
    group.share(run.tensors())
    state = run.optimizer.scalars(), run.schedule.state_dict(), states(run.model.generators())
    scalars, schedule, generators = group.first(lambda: state)
    if group.rank:
        run.optimizer.steps, run.optimizer.lr = scalars["steps"], scalars["lr"]
        run.schedule.load_state_dict(schedule)
        set_states(run.model.generators(), generators)


def share_run(trainer: Any, loader: Loader) -> None:
    """Give all processes the state of rank 0 before the first step, and its position, history and best model."""
    group = trainer.sharding.group
    if group.size > 1 and group.first(lambda: len(trainer.optimizer.parameters)) > len(trainer.optimizer.parameters):
        trainer.unfreeze()  # as rank 0 did, which has resumed
    share_state(trainer, loader)
    if group.size > 1:
        run = group.first(lambda: (trainer.position, trainer.history, _best(trainer)))
        if group.rank:
            trainer.position, trainer.history, trainer.best_arrays = run


def _best(trainer: Any) -> dict[str, Any] | None:
    if not trainer.position.best_epoch:
        return None
    with suppress(XpcnnError):  # its file is missing, and the run goes on without it
        return {name: to_numpy(array) for name, array in trainer.best_model.state_dict().items()}
    return None
