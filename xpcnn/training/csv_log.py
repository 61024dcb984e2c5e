"""A CSV file that grows by a line a step, or a line an epoch, while a training runs."""

from __future__ import annotations

import csv
import errno
import io
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ..errors import FileError, FormatError, OptionError, warn
from ..io.atomic import write_atomically
from ..options import as_path
from .callback import Step
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer

_MOST = 2**30  # bytes of a log that is gone on with


class CSVLog:
    """Writes what it is told to a file: `Trainer(…, on_step=[CSVLog("steps.csv")])`, or on_epoch.

    Each line reaches the file at once, so that a process that is killed leaves all but the line at hand, and `tail -f`
    shows it. A run that is resumed goes on with the file: what stands in it of steps that are made again, or of a line
    that was cut off, is taken away first. A line that cannot be written, as on a full disk, ends the training; when it
    goes on, the trainer tells of that step again.

    Parameters
        path : the file; its folder is made where it is missing
    Raises
        OptionError : when a new run is to begin with a file that is there; or one log is used for steps and epochs
        FormatError : when a run is resumed with a file that is no such log
        FileError : the file cannot be written
    Warns
        when somebody else changes the file meanwhile, or lines are missing where a run goes on
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_path("CSVLog", path)
        self._kind: type[Step] | type[Epoch] | None = None
        self._size = 0  # bytes of whole lines
        self._is_torn = False  # whether a line may stand there in part

    def __call__(self, trainer: Trainer, happened: Step | Epoch) -> None:
        """Write a line; in a trainer that only tries things out, do nothing."""
        if trainer.fast_dev_run:
            return
        if self._kind is None:
            self._begin(happened, is_new=trainer.position.untold is None)
            self._kind = type(happened)
        elif self._kind is not type(happened):
            raise OptionError("CSVLog", "steps or epochs", "both", "make a log for each")
        try:
            self._append(_line(asdict(happened).values()))
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
            while rest:  # the system may take a part
                rest = rest[file.write(rest) :]
        self._size, self._is_torn = size + len(line), False

    def _begin(self, first: Step | Epoch, *, is_new: bool) -> None:
        """Make the file, or leave in it what stands before that step or epoch, of which it may be told again."""
        columns = [field.name for field in fields(first)]
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
        """Make the file, if there is none; of several runs that try, one does."""
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
