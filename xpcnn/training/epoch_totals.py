"""The sums of the losses of an epoch's steps; on a device they are read late, because reading waits for the device."""

from __future__ import annotations

import math
from typing import Any

from ..backend import array_namespace, is_numpy, to_numpy
from ..errors import NonFiniteError
from ..nn.loss import Loss
from ..typing import Array
from .callback import Step
from .evaluation import Evaluation
from .gradients import StepResult, addends
from .history import Epoch
from .position import Position

REMEDY = "lower the learning rate, clip gradients (clip_norm), or look for NaN in the images"  # for a loss that is NaN


class EpochTotals:
    """The totals of the steps of an epoch.

    Parameters
        position : its sums are increased
        criterion : its reduction, mean or sum, is that of the losses
        read_every : on a device, the number of steps between two readings; a NumPy loss is read at once
    """

    def __init__(self, position: Position, criterion: Loss, read_every: int = 1) -> None:
        self.position, self.criterion, self.read_every = position, criterion, read_every
        self.counts = criterion.classifies or criterion.binary  # right answers
        self.unread: list[tuple[StepResult, int, int]] = []  # with the images, and the batch

    def add(self, done: StepResult, images: int) -> None:
        """Add the numbers of the last step."""
        self.unread.append((done, images, self.position.batch))
        if is_numpy(done.loss) or len(self.unread) >= self.read_every:
            self.read()

    def read(self, also: Array | None = None) -> float:
        """Add all unread numbers to the position's sums.

        Parameters
            also : an array () that is read with them, so that a device is waited for once
        Returns
            its value; NaN without it
        Raises
            NonFiniteError : one of them is NaN or infinite
        """
        at = self.position
        results, value_of_also = read_back([done for done, *_ in self.unread], also)
        for (loss, correct, items), (done, images, batch) in zip(results, self.unread, strict=True):
            value, count = addends(self.criterion.reduction, loss, items, images)
            if not math.isfinite(value):
                where = f"{value} in epoch {at.epoch + 1}, batch {batch}"
                remedy = REMEDY
                if not is_numpy(done.loss):
                    remedy += "; resumed with read_every=1, the run ends before NaN is written, and names its layer"
                raise NonFiniteError("Trainer", "a finite loss", where, remedy)
            at.loss_sum += value
            at.items += count
            at.correct += float(correct)
            at.images += images
        self.unread.clear()
        return value_of_also

    def said(self) -> str:
        """Loss and accuracy of the epoch so far, as far as they have been read."""
        at = self.position
        if not at.items:
            return ""
        share = f" {at.correct / at.images:7.2%}" if self.counts else ""
        return f"train {at.loss_sum / at.items:z.4f}{share}"

    def step(self, done: StepResult, images: int, steps: int, lr: float) -> Step:
        """The last step, for callbacks; waits for a device."""
        at = self.position
        value, count = addends(self.criterion.reduction, done.loss, done.items, images)
        accuracy = float(done.correct) / images if self.counts else math.nan
        return Step(steps, at.epoch + 1, at.batch, images, value / count if count else math.nan, accuracy, lr)

    def row(self, checked: Evaluation | None, lr: float, seconds: float) -> Epoch:
        """The row of the epoch, with its validation, once everything is read.

        Raises
            NonFiniteError : the class weights of all its images are 0, so that there is no mean loss
        """
        at = self.position
        if not at.items:
            got = f"class weights of 0 for all images of epoch {at.epoch + 1}"
            raise NonFiniteError("Trainer", "a mean loss", got, "give weight to a class that is trained on")
        return Epoch(
            epoch=at.epoch + 1,
            lr=lr,
            train_loss=at.loss_sum / at.items,
            train_accuracy=at.correct / at.images if self.counts else math.nan,
            validation_loss=checked.loss if checked else math.nan,
            validation_accuracy=checked.accuracy if checked else math.nan,
            seconds=seconds,
            metrics={name: value for name, value in checked.metrics.items() if name != "accuracy"} if checked else {},
        )


def read_back(steps: list[StepResult], also: Array | None = None) -> tuple[list[Any], float]:
    """Loss, correct and items of each step, and `also`, on the host; from a device they come as one array."""
    first: Any = steps[0].loss if steps else also
    if first is None or is_numpy(first):
        return [*steps], math.nan if also is None else float(also)
    xp, columns = array_namespace(first), [list(column) for column in zip(*steps, strict=True)]
    on_device = [column for column in columns if hasattr(column[0], "dtype")]
    parts = [xp.astype(xp.stack(each), xp.float64) for each in [*on_device, *([] if also is None else [[also]])]]
    host = to_numpy(xp.concat(parts)).tolist()
    for column in on_device:
        column[:], host = host[: len(steps)], host[len(steps) :]
    return list(zip(*columns, strict=True)), math.nan if also is None else float(host[0])
