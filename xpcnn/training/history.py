"""The results of each epoch: a row of numbers, and a CSV file of all rows. `xpcnn.plot.curves` draws it."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .. import html
from ..errors import FileError, FormatError, OptionError
from ..io.atomic import write_atomically
from ..options import as_count, as_number
from ..table import screenful

HISTORY = "history.csv"  # in a run's folder


@dataclass(frozen=True)
class Epoch:
    """One epoch; losses are means over the items (see `Loss.items`), accuracies are fractions; NaN where missing.

    >>> print(Epoch(3, 0.1, 0.25, 0.9, 0.3, 0.88, 1.5))
    epoch   3  train 0.2500  90.00%  validation 0.3000  88.00%  lr 1.0e-01  1.5 s
    """

    epoch: int  # from 1
    lr: float  # of the epoch's last step
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def score(self, classifies: bool) -> list[float] | None:
        """What epochs are compared by, larger is better; None without validation."""
        if math.isnan(self.validation_loss):
            return None
        return [*([self.validation_accuracy] if classifies else []), -self.validation_loss]

    def __str__(self) -> str:
        """The losses and accuracies that exist, in a line that fits 80 columns."""
        line = f"epoch {self.epoch:3d}  train {self.train_loss:z.4f}{_share(self.train_accuracy)}"
        if not math.isnan(self.validation_loss):
            line += f"  validation {self.validation_loss:z.4f}{_share(self.validation_accuracy)}"
        return line + f"  lr {self.lr:.1e}  {self.seconds:.1f} s"


class History(list[Epoch]):
    """The epochs of a training, in order: a list that is shown as lines, and in a notebook with its curves."""

    def __repr__(self) -> str:
        return screenful([str(row) for row in self]) or "no epoch yet"

    def _repr_html_(self) -> str:
        return html.panel(f"{len(self)} epochs" if self else "no epoch yet", *self.shown())

    def shown(self) -> list[html.Html]:
        """Curves of loss and accuracy, and the epochs' lines."""
        if not self:
            return []
        epochs = [row.epoch for row in self]
        drawn = [
            html.curves(name, epochs, {part: [getattr(row, f"{part}_{name}") for row in self] for part in _PARTS})
            for name in ("loss", "accuracy")
        ]
        return [html.beside(*drawn), html.lines(repr(self))]


_PARTS = ("train", "validation")
_NAN = {"train_accuracy", "validation_loss", "validation_accuracy"}
_INTERVALS = {
    "lr": "[0, inf)",
    "train_loss": "(-inf, inf)",
    "train_accuracy": "[0, 1]",
    "validation_loss": "(-inf, inf)",
    "validation_accuracy": "[0, 1]",
    "seconds": "[0, inf)",
}


def _share(accuracy: float) -> str:
    return "" if math.isnan(accuracy) else f" {accuracy:7.2%}"


def to_document(history: list[Epoch]) -> list[dict[str, float | None]]:
    """The rows as JSON values; JSON has no NaN, so None stands for it."""
    return [{key: None if value != value else value for key, value in asdict(row).items()} for row in history]


def from_document(who: str, document: Any) -> History:
    """The inverse of `to_document`.

    Raises
        FormatError : a value is missing, has another type, or cannot occur in an epoch
    """
    if not isinstance(document, list):
        raise FormatError(who, "history: a list of epochs", type(document).__name__)
    return History(_row(f"{who}: history, epoch {number}", number, row) for number, row in enumerate(document, 1))


def _row(who: str, number: int, row: Any) -> Epoch:
    names = [field.name for field in fields(Epoch)]
    if not isinstance(row, dict) or row.keys() != set(names):
        raise FormatError(who, ", ".join(names), ", ".join(row) if isinstance(row, dict) else type(row).__name__)
    try:
        values = {
            name: math.nan if row[name] is None and name in _NAN else as_number(who, name, row[name], interval)
            for name, interval in _INTERVALS.items()
        }
        as_count(who, "epoch", row["epoch"], least=number, most=number)
    except OptionError as error:
        raise FormatError(error.who, error.expected, error.got) from None
    return Epoch(number, **values)


def write_csv(path: Path, history: list[Epoch]) -> None:
    """Write one line per epoch, with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_atomically(path, text.getvalue().encode())


def read_csv(path: Path) -> History:
    """The rows that `write_csv` wrote.

    Raises
        FileError : it cannot be read;  FormatError : it is no such file
    """
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise FormatError(str(path), "a run's history", str(error)) from None
    except OSError as error:
        raise FileError(
            str(path), "a run's history", error.strerror or str(error), "name the folder of a run"
        ) from None
    rows = History()
    try:
        for line in csv.DictReader(io.StringIO(text), strict=True):
            numbers = {field.name: float(line[field.name]) for field in fields(Epoch)}
            rows.append(Epoch(**{**numbers, "epoch": int(line["epoch"])}))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(
            f"{path}, row {len(rows) + 1}", "a row of numbers", f"{type(error).__name__}: {error}"
        ) from None
    return rows
