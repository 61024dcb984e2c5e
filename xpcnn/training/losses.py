"""The losses of an epoch's steps, summed up; on a device they are read late, as reading one waits for the device."""

from __future__ import annotations

import math

from ..backend import is_numpy
from ..errors import NonFiniteError
from ..nn.loss import Loss
from ..typing import Array
from .callback import Step
from .checkpoint import Position

REMEDY = "lower the learning rate, clip gradients (clip_norm), or look for NaN in the images"  # of a loss that is NaN


class Losses:
    """What the steps of an epoch came to.

    Parameters
        position : whose sums they are added to
        criterion : says whether they are means or sums
    """

    def __init__(self, position: Position, criterion: Loss) -> None:
        self.position, self.criterion = position, criterion
        self.unread: list[tuple[Array, Array, int, int]] = []  # loss, correct, images, batch

    def add(self, loss: Array, correct: Array, images: int) -> None:
        """Take in the last step's, without reading it."""
        self.unread.append((loss, correct, images, self.position.batch))

    def read(self) -> None:
        """Add all that wait to the position's sums.

        Raises
            NonFiniteError : one of them is NaN or infinite
        """
        at = self.position
        for loss, correct, images, batch in self.unread:
            value = self._sum(loss, images)
            if not math.isfinite(value):
                where = f"{value} in epoch {at.epoch + 1}, batch {batch}"
                remedy = REMEDY
                if not is_numpy(loss):
                    remedy += "; resumed with read_every=1, the run ends before NaN is written, and names its layer"
                raise NonFiniteError("Trainer", "a finite loss", where, remedy)
            at.loss_sum += value
            at.correct += int(correct)
            at.images += images
        self.unread.clear()

    def step(self, loss: Array, correct: Array, images: int, steps: int, lr: float) -> Step:
        """The last step, for callbacks; this waits for a device."""
        at = self.position
        accuracy = int(correct) / images if self.criterion.classifies else math.nan
        return Step(steps, at.epoch + 1, at.batch, images, self._sum(loss, images) / images, accuracy, lr)

    def _sum(self, loss: Array, images: int) -> float:
        return float(loss) * images if self.criterion.reduction == "mean" else float(loss)
