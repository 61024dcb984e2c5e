"""Log the numbers of steps and epochs for TensorBoard, as curves over the steps. Needs tensorboardX.

tensorboardX's `EventsWriter` writes the events, not its `SummaryWriter`. The latter writes in a thread: if the disk is
full, that thread ends, and the call that logs the tenth number after it waits forever.
"""

from __future__ import annotations

import os
import secrets
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import FileError
from ..extras import need
from ..options import as_path
from .callback import Step
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer

WAIT = 10.0  # seconds between two syncs to the disk


class TensorBoardLog:
    """Logs for TensorBoard: `log = TensorBoardLog("runs/a")`, on_step=[log] and on_epoch=[log].

    `tensorboard --logdir runs` then shows `step/loss`, `epoch/validation_accuracy` and so on, over the steps of the
    optimizer. NaN is left out. A resumed run continues in a new file, which tells TensorBoard to forget the steps that
    are repeated. Numbers reach the system at once, and the disk every ten seconds, after each epoch, and at the
    program's end or `close`. If numbers cannot be written, as on a full disk, the training ends; when it is resumed,
    the trainer logs that step again.

    Parameters
        folder : for the files; it is created if it is missing
    Raises
        MissingExtraError : tensorboardX is not installed
        FileError : a number cannot be written to the folder

    >>> log = TensorBoardLog("runs/a")  # the folder is made when there is something to write
    >>> log.folder.name
    'a'
    """

    only_reads = True  # it changes nothing in the trainer

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = as_path("TensorBoardLog", folder)
        need("tensorboardX", "TensorBoardLog", "to write its files")
        self._writer: Any = None
        self._close: weakref.finalize[[Any], TensorBoardLog] | None = None
        self._flushed = 0.0

    def __call__(self, trainer: Trainer, happened: Step | Epoch) -> None:
        """Write its numbers; do nothing in a trial run."""
        if trainer.fast_dev_run:
            return
        kind, place = ("step", ("step", "epoch", "batch")) if isinstance(happened, Step) else ("epoch", ("epoch",))
        numbers = {
            f"{kind}/{name}": value
            for name, value in happened.numbers().items()
            if name not in place and value == value  # false for NaN
        }
        try:
            self._write(numbers, trainer.optimizer.steps)
            self._writer._py_recordio_writer._writer.flush()  # its own flush also calls fsync, which takes too long
            if kind == "epoch" or time.monotonic() - self._flushed > WAIT:
                self._writer.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            with suppress(FileError):  # nothing after half an event in a file can be read
                self.close()
            raise FileError(str(self.folder), "a folder to write to", error.strerror or str(error)) from error

    def close(self) -> None:
        """Sync to the disk and close the file; the next number begins another file.

        Raises
            FileError : the folder cannot be written to
        """
        writer, self._writer = self._writer, None
        if self._close is not None:
            self._close.detach()
            self._close = None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                raise FileError(str(self.folder), "a folder to write to", error.strerror or str(error)) from error

    def _write(self, numbers: dict[str, float], step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        if self._writer is None:
            self._writer = self._open()
            if step > 1:  # forget this and later steps of earlier files
                start = SessionLog(status=SessionLog.START)
                self._writer.write_event(Event(wall_time=time.time(), step=step, session_log=start))
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        self._writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _open(self) -> Any:
        from tensorboardX.event_file_writer import EventsWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = f".{os.getpid()}-{secrets.token_hex(4)}"  # else two logs in one second would share a file
        writer = EventsWriter(str(self.folder / "events"), suffix)
        self._close = weakref.finalize(self, _close_at_the_end, writer)
        return writer


def _close_at_the_end(writer: Any) -> None:
    with suppress(OSError):  # a full disk has been reported already
        writer.close()
