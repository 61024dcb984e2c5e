"""The results of each epoch: a row of numbers, and a CSV file of all rows. `xpcnn.plot.curves` draws it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import html
from ..errors import FileError, FormatError, OptionError
from ..io.atomic import write_atomically
from ..options import as_count, as_number
from ..table import screenful

HISTORY = "history.csv"  # in a run's folder
VALIDATION = "validation_"  # before the names of metrics


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
    metrics: Mapping[str, float] = field(default_factory=dict)  # the others of validation, see `training.tallies`

    def numbers(self) -> dict[str, float]:
        """All of its numbers by name; those of `metrics` as in "validation_f1"."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "metrics"}
        return own | {VALIDATION + name: value for name, value in self.metrics.items()}

    def score(self, classifies: bool, monitor: str = "") -> list[float] | None:
        """What epochs are compared by, larger is better; None without validation.

        Parameters
            classifies : whether accuracy comes first, then the loss
            monitor : the one of `numbers` that alone counts
        Raises
            OptionError : the epoch has no such number, or it is not finite
        """
        if monitor:
            value = self.numbers().get(monitor, math.nan)
            if not math.isfinite(value):
                known = ", ".join(monitored(self.numbers()))
                got = f"{value}" if monitor in self.numbers() else f"no {monitor}"
                raise OptionError("Trainer monitor", f"a finite number of the epoch, such as {known}", got)
            return [-value if smaller_is_better(monitor) else value]
        if math.isnan(self.validation_loss):
            return None
        return [*([self.validation_accuracy] if classifies else []), -self.validation_loss]

    def __str__(self) -> str:
        """The losses and accuracies that exist, in a line that fits 80 columns."""
        line = f"epoch {self.epoch:3d}  train {self.train_loss:z.4f}{_share(self.train_accuracy)}"
        if not math.isnan(self.validation_loss):
            line += f"  validation {self.validation_loss:z.4f}{_share(self.validation_accuracy)}"
            line += f"  PSNR {self.metrics['psnr']:.2f}" if "psnr" in self.metrics else ""
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
_METRICS = {"mean_absolute_error": "[0, inf)"} | dict.fromkeys(("r2", "psnr", "ssim"), "(-inf, inf)")
_PRESENT = {"lr", "train_loss", "seconds"}  # never NaN
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


def smaller_is_better(name: str) -> bool:
    """Whether a smaller value of this number is better; it is for losses and mean absolute errors."""
    return name.endswith(("_loss", "mean_absolute_error"))


def monitored(names: Iterable[str]) -> list[str]:
    """Those of these numbers of an epoch that say how good it is."""
    return [name for name in names if name not in ("epoch", "lr", "seconds")]


def to_document(history: list[Epoch]) -> list[dict[str, float | None]]:
    """The rows as JSON values; JSON has neither NaN nor infinite metrics, so None stands for them."""

    def known(name: str, value: float) -> bool:
        return value == value and (name in _INTERVALS or not math.isinf(value))

    return [{name: value if known(name, value) else None for name, value in row.numbers().items()} for row in history]


def from_document(who: str, document: Any) -> History:
    """The inverse of `to_document`.

    Raises
        FormatError : a value is missing, has another type, or cannot occur in an epoch
    """
    if not isinstance(document, list):
        raise FormatError(who, "history: a list of epochs", type(document).__name__)
    return History(_row(f"{who}: history, epoch {number}", number, row) for number, row in enumerate(document, 1))


def _row(who: str, number: int, row: Any) -> Epoch:
    known = {"epoch", *_INTERVALS}
    if not isinstance(row, dict) or not _of_an_epoch(row):
        raise FormatError(who, ", ".join(known), ", ".join(row) if isinstance(row, dict) else type(row).__name__)
    try:
        values = {
            name: math.nan if row[name] is None and name not in _PRESENT else as_number(who, name, row[name], interval)
            for name in row.keys() - {"epoch"}
            for interval in (_INTERVALS.get(name) or _METRICS.get(name.removeprefix(VALIDATION), "[0, 1]"),)
        }
        as_count(who, "epoch", row["epoch"], least=number, most=number)
    except OptionError as error:
        raise FormatError(error.who, error.expected, error.got) from None
    return _epoch(values | {"epoch": number}, list(row))


def _of_an_epoch(names: Iterable[str]) -> bool:
    given, own = set(names), {"epoch", *_INTERVALS}
    return given >= own and all(isinstance(name, str) and name.startswith(VALIDATION) for name in given - own)


def _epoch(numbers: Mapping[str, float], names: Sequence[str]) -> Epoch:
    """That of these `Epoch.numbers`."""
    own = {name: numbers[name] for name in ("epoch", *_INTERVALS)}
    others = {name.removeprefix(VALIDATION): numbers[name] for name in names if name not in own}
    return Epoch(**own, metrics=others)  # type: ignore[arg-type]


def write_csv(path: Path, history: list[Epoch]) -> None:
    """Write one line per epoch, with a heading."""
    rows = [row.numbers() for row in history]
    names = dict.fromkeys([each.name for each in fields(Epoch) if each.name != "metrics"])
    names |= dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
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
        reader = csv.DictReader(io.StringIO(text), strict=True)
        names = list(reader.fieldnames or ())
        for line in reader:
            if not _of_an_epoch(names):
                raise KeyError("columns of a history")
            numbers = {name: float(line[name]) for name in names}
            rows.append(_epoch({**numbers, "epoch": int(line["epoch"])}, names))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(
            f"{path}, row {len(rows) + 1}", "a row of numbers", f"{type(error).__name__}: {error}"
        ) from None
    return rows
