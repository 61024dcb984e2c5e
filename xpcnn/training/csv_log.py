"""A CSV file that grows by one line per step or per epoch during a training."""

from __future__ import annotations

import csv
import errno
import io
import os
from typing import TYPE_CHECKING, Any

from ..errors import FileError, FormatError, OptionError, warn
from ..io.atomic import write_atomically
from ..options import as_path
from .callback import Step
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer

_MOST = 2**30  # bytes of a log that a run can continue


class CSVLog:
    """Writes steps or epochs to a file: `Trainer(…, on_step=[CSVLog("steps.csv")])`, or on_epoch.

    Each line reaches the file at once: `tail -f` shows it, and a killed process loses at most the current line. A
    resumed run continues the file: it first removes lines of steps that it repeats, and a line that was cut off. If a
    line cannot be written, as on a full disk, the training ends; when it is resumed, the trainer logs that step again.

    Parameters
        path : the file; a missing folder is created
    Raises
        OptionError : a new run finds an existing file; or the same log is used for steps and epochs
        FormatError : a resumed run finds a file that is no such log
        FileError : the file cannot be written
    Warns
        if something else changes the file meanwhile, or lines are missing when a run is resumed

    >>> import tempfile
    >>> from pathlib import Path
    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> from xpcnn.optim import SGD
    >>> from xpcnn.training import Trainer
    >>> path = Path(tempfile.mkdtemp()) / "epochs.csv"
    >>> model = mlp((8, 8, 1), 10, rng=0)
    >>> trainer = Trainer(model, SGD(model.parameters(), lr=0.1), on_epoch=[CSVLog(path)], verbose=False)
    >>> _ = trainer.fit(Loader(digits().train.take(64), 32), epochs=2)
    >>> path.read_text().splitlines()[0][:17]
    'epoch,lr,train_lo'
    """

    only_reads = True  # it changes nothing in the trainer

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_path("CSVLog", path)
        self._kind: type[Step] | type[Epoch] | None = None
        self._size = 0  # bytes of whole lines
        self._is_torn = False  # True if the last line may be incomplete

    def __call__(self, trainer: Trainer, happened: Step | Epoch) -> None:
        """Write a line; do nothing in a trial run."""
        if trainer.fast_dev_run:
            return
        if self._kind is None:
            self._begin(happened, is_new=trainer.position.untold is None)
            self._kind = type(happened)
        elif self._kind is not type(happened):
            raise OptionError("CSVLog", "steps or epochs", "both", "make a log for each")
        try:
            self._append(_line(happened.numbers().values()))
        except OSError as error:
            remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise FileError(str(self.path), "to write a line", error.strerror or str(error), remedy) from error

    def _append(self, line: bytes) -> None:
        with self.path.open("r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if self._is_torn:
                size = file.seek(self._size)
                file.truncate()
            elif size != self._size:
                warn("CSVLog", f"somebody else has changed {self.path}", "give each run a file of its own")
            self._size, self._is_torn, rest = size, True, memoryview(line)
            while rest:  # the system may write only a part
                rest = rest[file.write(rest) :]
        self._size, self._is_torn = size + len(line), False

    def _begin(self, first: Step | Epoch, *, is_new: bool) -> None:
        """Create the file, or keep only the lines before that step or epoch, which may be logged again."""
        columns = list(first.numbers())
        heading, key = _line(columns), "step" if isinstance(first, Step) else "epoch"
        number = getattr(first, key)
        if self._make(heading):
            return
        if number == 1 and is_new:
            remedy = "name another file, or remove it"
            raise OptionError("CSVLog", "a new file, as the run begins", f"{self.path}, which is there", remedy)
        try:
            if self.path.stat().st_size > _MOST:
                raise FormatError(str(self.path), f"a log of at most {_MOST} bytes", "more", "name another file")
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise FileError.unreadable(self.path, error) from error
        if not lines or lines[0] != heading:
            got = lines[0][:60].decode(errors="replace").strip() if lines else "nothing"
            raise FormatError(str(self.path), f"a log that begins {heading.decode().strip()}", got, "name another file")
        column = columns.index(key)
        kept = [line for line in lines[1:] if line.endswith(b"\n") and self._number(line, column) < number]
        self._size = sum(map(len, [heading, *kept]))
        if len(kept) < len(lines) - 1:
            write_atomically(self.path, heading + b"".join(kept))
        if kept and (last := self._number(kept[-1], column)) < number - 1:
            warn("CSVLog", f"{self.path} lacks what came between {key} {last} and {number}")

    def _make(self, heading: bytes) -> bool:
        """Create the file if it does not exist; only one of several runs succeeds."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(exist_ok=False)
        except FileExistsError:
            if self.path.parent.is_dir():
                return False
            raise FileError(str(self.path), "a file in a folder", f"{self.path.parent}, which is none") from None
        except OSError as error:
            raise FileError(str(self.path), "to write the file", error.strerror or str(error)) from error
        try:
            write_atomically(self.path, heading)
        except FileError:
            self.path.unlink(missing_ok=True)
            raise
        self._size = len(heading)
        return True

    def _number(self, line: bytes, column: int) -> int:
        try:
            return int(line.split(b",")[column])
        except (ValueError, IndexError):
            got = line[:60].decode(errors="replace").strip()
            raise FormatError(str(self.path), "lines of numbers", got, "name another file") from None


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
