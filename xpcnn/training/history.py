"""What each epoch came to: a row of numbers, a CSV file, and a picture of the curves."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..io.atomic import write_atomically


@dataclass(frozen=True)
class Epoch:
    """One epoch; losses are means over the images, accuracies shares, NaN where there is no validation."""

    epoch: int  # from 1
    lr: float  # of the epoch's last step
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def __str__(self) -> str:
        """Loss and accuracy of both, in a line that fits 80 columns."""
        line = f"epoch {self.epoch:3d}  train {self.train_loss:.4f} {self.train_accuracy:7.2%}"
        if self.validation_loss == self.validation_loss:
            line += f"  validation {self.validation_loss:.4f} {self.validation_accuracy:7.2%}"
        return line + f"  lr {self.lr:.1e}  {self.seconds:.1f} s"


def write_csv(path: Path, history: list[Epoch]) -> None:
    """One line an epoch, with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_atomically(path, text.getvalue().encode())


def plot(path: Path, history: list[Epoch]) -> bool:
    """Loss and accuracy over the epochs as a PNG; False where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return False
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    epochs = [row.epoch for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, style in (("train", "-"), ("validation", "--")):
            values = [getattr(row, f"{part}_{name}") for row in history]
            if any(value == value for value in values):  # not all NaN
                axes.plot(epochs, values, style, marker="o", markersize=3, label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    picture = io.BytesIO()
    canvas.print_png(picture)
    write_atomically(path, picture.getvalue())
    return True
