"""Small trainings that only try something out: on a few batches, and in a place that is then removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory

from ..data.loader import Loader
from . import checkpoint
from .checkpoint import Checkpointed, Position


def first_batches(loader: Loader, batches: int) -> Loader:
    """The same loader on the split's first so many batches, in the split's order."""
    few = copy(loader)
    few.split = loader.split.take(min(batches * loader.batch_size, len(loader.split)))
    few.shuffle = False
    return few


@contextmanager
def put_back(run: Checkpointed, folder: Path | None) -> Iterator[Path]:
    """A block that trains `run` in a folder of its own; then the folder is removed, and the run is as it was.

    The state goes into a checkpoint and comes back from it. The folder stands where the run's would, so that a place
    that cannot be written to is noticed.
    """
    place = None if folder is None else next(each for each in (folder, *folder.parents) if each.is_dir())
    with TemporaryDirectory(prefix=".xpcnn-", dir=place) as temporary:
        before = Path(temporary) / "before.safetensors"
        checkpoint.save(before, run, Position(), [])
        try:
            yield Path(temporary) / "run"
        finally:
            checkpoint.load(before, run)
