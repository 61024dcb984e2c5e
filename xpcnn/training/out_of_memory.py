"""If a training runs out of memory, tell the user in one line how to continue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.loader import Loader
from ..errors import OutOfMemoryError
from .checkpoint import CHECKPOINT


@contextmanager
def enough_memory(loader: Loader, folder: Path | None) -> Iterator[None]:
    """Convert a `MemoryError` in this block to an error of xpcnn.

    Parameters
        folder : of the run; its last checkpoint is unchanged
    Raises
        OutOfMemoryError
    """
    try:
        yield
    except MemoryError as error:
        if isinstance(error, OutOfMemoryError):
            raise
        remedy = "make batches smaller; accumulate=2 makes the same steps of halves"
        if folder is not None and (folder / CHECKPOINT).exists():
            remedy += "; or go on from the last checkpoint with resume=True where there is more memory"
        got = str(error) or "no more"
        raise OutOfMemoryError("Trainer.fit", f"memory for batches of {loader.batch_size}", got, remedy) from error
