"""A CSV file that grows by a line a step, or a line an epoch, while a training runs."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ..errors import FileError, FormatError, OptionError
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
    that was cut off, is taken away first.

    Parameters
        path : the file; its folder is made where it is missing
    Raises
        OptionError : when a new run is to begin with a file that is there; or one log is used for steps and epochs
        FormatError : when a run is resumed with a file that is no such log
        FileError : the file cannot be written
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_path("CSVLog", path)
        self._kind: type[Step] | type[Epoch] | None = None

    def __call__(self, trainer: Trainer, happened: Step | Epoch) -> None:
        """Write a line; in a trainer that only tries things out, do nothing."""
        if trainer.fast_dev_run:
            return
        if self._kind is None:
            self._begin(happened)
            self._kind = type(happened)
        elif self._kind is not type(happened):
            raise OptionError("CSVLog", "steps or epochs", "both", "make a log for each")
        try:
            with self.path.open("ab") as file:
                file.write(_line(asdict(happened).values()))
        except OSError as error:
            raise FileError(str(self.path), "to write a line", error.strerror or str(error)) from error

    def _begin(self, first: Step | Epoch) -> None:
        """Make the file, or leave in it what stands before that step or epoch."""
        columns = [field.name for field in fields(first)]
        heading, key = _line(columns), "step" if isinstance(first, Step) else "epoch"
        number = getattr(first, key)
        if not self.path.exists():
            write_atomically(self.path, heading, make_folder=True)
            return
        if number == 1:
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
        if len(kept) < len(lines) - 1:
            write_atomically(self.path, heading + b"".join(kept))

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
