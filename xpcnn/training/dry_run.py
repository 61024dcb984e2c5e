"""Small trainings that only try something out: all of it with one step, or whether a few batches can be learned."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..data.dataset import Split
from ..data.loader import Loader
from . import checkpoint
from .checkpoint import Position
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer


def first_batches(loader: Loader, batches: int) -> Loader:
    """The same loader on the split's first so many batches, in the split's order."""
    few = copy(loader)
    few.split = loader.split.take(min(batches * loader.batch_size, len(loader.split)))
    few.shuffle = False
    return few


def dry_run(trainer: Trainer, loader: Loader, validation: Split | None) -> list[Epoch]:
    """Run one epoch of one step in a folder that is then removed, and put everything back as it was.

    The state goes into a checkpoint and comes back from it. The folder stands where the run's would, so that a place
    that cannot be written to is noticed.
    """
    loader = first_batches(loader, trainer.accumulate)
    folder, position, history = trainer.folder, trainer.position, trainer.history
    place = None if folder is None else next(each for each in (folder, *folder.parents) if each.is_dir())
    run = trainer.checkpointed(loader)
    with TemporaryDirectory(prefix=".xpcnn-", dir=place) as temporary:
        before = Path(temporary) / "before.safetensors"
        checkpoint.save(before, run, position, history)
        trainer.folder, trainer.position, trainer.history = Path(temporary) / "run", Position(), []
        try:
            return trainer.run_epochs(loader, validation and validation.take(min(len(validation), 256)), 1)
        finally:
            checkpoint.load(before, run)
            trainer.folder, trainer.position, trainer.history = folder, position, history
