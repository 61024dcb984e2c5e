"""What each epoch came to: a row of numbers, and a CSV file of them. `xpcnn.plot.curves` draws it."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import FileError, FormatError
from ..io.atomic import write_atomically

HISTORY = "history.csv"  # in a run's folder


@dataclass(frozen=True)
class Epoch:
    """One epoch; losses are means over the items (see `Loss.items`), accuracies shares, NaN where there are none."""

    epoch: int  # from 1
    lr: float  # of the epoch's last step
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def __str__(self) -> str:
        """Loss and accuracy of both, as far as there are any, in a line that fits 80 columns."""
        line = f"epoch {self.epoch:3d}  train {self.train_loss:.4f}{_share(self.train_accuracy)}"
        if not math.isnan(self.validation_loss):
            line += f"  validation {self.validation_loss:.4f}{_share(self.validation_accuracy)}"
        return line + f"  lr {self.lr:.1e}  {self.seconds:.1f} s"


def _share(accuracy: float) -> str:
    return "" if math.isnan(accuracy) else f" {accuracy:7.2%}"


def write_csv(path: Path, history: list[Epoch]) -> None:
    """One line an epoch, with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_atomically(path, text.getvalue().encode())


def read_csv(path: Path) -> list[Epoch]:
    """What `write_csv` wrote.

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
    rows = []
    try:
        for line in csv.DictReader(io.StringIO(text), strict=True):
            numbers = {field.name: float(line[field.name]) for field in fields(Epoch)}
            rows.append(Epoch(**{**numbers, "epoch": int(line["epoch"])}))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(
            f"{path}, row {len(rows) + 1}", "a row of numbers", f"{type(error).__name__}: {error}"
        ) from None
    return rows
