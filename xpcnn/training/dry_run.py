"""Trial runs: short trainings on a few batches, in a folder that is then removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory

from ..data.loader import Loader
from . import checkpoint
from .checkpoint import Checkpointed
from .position import Position


def first_batches(loader: Loader, batches: int) -> Loader:
    """The same loader for the split's first batches alone, in the split's order."""
    few = copy(loader)
    few.split = loader.split.take(min(batches * loader.batch_size, len(loader.split)))
    few.shuffle = False
    return few


@contextmanager
def put_back(run: Checkpointed, folder: Path | None) -> Iterator[Path]:
    """Train `run` within a block, in a temporary folder; afterwards remove the folder and restore the run.

    The state is saved in a checkpoint and restored from it. The temporary folder is next to that of the run, so that
    a location that cannot be written to is noticed.
    """
    place = None if folder is None else next(each for each in (folder, *folder.parents) if each.is_dir())
    with TemporaryDirectory(prefix=".xpcnn-", dir=place) as temporary:
        before = Path(temporary) / "before.safetensors"
        checkpoint.save(before, run, Position(), [])
        try:
            yield Path(temporary) / "run"
        finally:
            checkpoint.load(before, run)
