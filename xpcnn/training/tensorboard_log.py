"""What TensorBoard shows: the numbers of steps and epochs, as curves over the steps. Needs tensorboardX."""

from __future__ import annotations

import os
import secrets
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError
from ..extras import need
from .callback import Step
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer


class TensorBoardLog:
    """Writes what it is told for TensorBoard: `log = TensorBoardLog("runs/a")`, on_step=[log] and on_epoch=[log].

    `tensorboard --logdir runs` then shows `step/loss`, `epoch/validation_accuracy` and so on; numbers that are NaN
    are left out. All stand over the steps of the optimizer. A run that is resumed goes on in a file of its own, in
    which TensorBoard is told to forget the steps that are made again. A background thread of tensorboardX writes the
    files; `close`, which else happens at the program's end, waits for it.

    Parameters
        folder : where the files go; it is made where it is missing
    Raises
        MissingExtraError : tensorboardX is not installed
        FileError : the folder cannot be written to, when the first number comes
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._library = need("tensorboardX", "TensorBoardLog", "to write its files")
        self._writer: Any = None
        self._close: weakref.finalize[[], TensorBoardLog] | None = None

    def __call__(self, trainer: Trainer, happened: Step | Epoch) -> None:
        """Write its numbers; in a trainer that only tries things out, do nothing."""
        if trainer.fast_dev_run:
            return
        step = trainer.optimizer.steps
        if self._writer is None:
            self._open(step)
        kind, place = ("step", ("step", "epoch", "batch")) if isinstance(happened, Step) else ("epoch", ("epoch",))
        for name, value in asdict(happened).items():
            if name not in place and value == value:
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Wait until all is written, and close the file; the next number begins another."""
        if self._close is not None:
            self._close()
        self._writer = self._close = None

    def _open(self, step: int) -> None:
        suffix = f".{os.getpid()}-{secrets.token_hex(4)}"  # else two in one second would be one file
        try:
            self._writer = self._library.SummaryWriter(
                str(self.folder), purge_step=step if step > 1 else None, filename_suffix=suffix
            )
        except OSError as error:
            raise FileError(str(self.folder), "a folder to write to", error.strerror or str(error)) from error
        self._close = weakref.finalize(self, self._writer.close)
