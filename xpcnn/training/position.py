"""The position of a run, between two steps."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..errors import FormatError
from ..options import as_count, as_number
from .untold import Untold

REMEDY = "build model, optimizer, schedule and loader as they were"
_LATER = {"items"}  # not in positions of xpcnn 0.1


@dataclass
class Position:
    """The position of a run: after `batch` batches of epoch `epoch` (from 0), with the sums of that epoch so far."""

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0  # of loss × items
    items: float = 0.0  # divisor of the mean loss: the number of images, or the sum of their class weights
    correct: float = 0.0  # of images of several positions, such as pixels, the fractions of right ones
    images: int = 0
    seconds: float = 0.0  # spent on this epoch so far
    best_score: list[float] | None = None  # see `Epoch.score`
    best_epoch: int = 0  # from 1; 0 for none
    untold: Untold | None = None

    def is_best(self, score: list[float] | None, min_delta: float = 0.0) -> bool:
        """True if the score is above the best by more than `min_delta`; without any, the last epoch is the best.

        Of equal epochs the first is kept, as in Keras and Lightning, whose comparisons are strict, too.
        """
        if score is None or self.best_score is None:
            return True
        return score > [self.best_score[0] + min_delta, *self.best_score[1:]]

    def next_epoch(self, score: list[float] | None, min_delta: float = 0.0) -> Position:
        """The position after this epoch, given its score."""
        epoch, best = self.epoch + 1, self.is_best(score, min_delta)
        best_score, best_epoch = (score, epoch) if best else (self.best_score, self.best_epoch)
        return Position(epoch, best_score=best_score, best_epoch=best_epoch)

    def is_stale(self, patience: int | None) -> bool:
        """True if validation has not improved for `patience` epochs."""
        return patience is not None and self.epoch - self.best_epoch >= patience

    @classmethod
    def read(cls, who: str, saved: Any) -> Position:
        """Check the types and ranges of the saved numbers; return them as a position, without `untold`.

        Raises
            FormatError
        """
        named = {field.name: field.type for field in fields(cls) if field.name != "untold"}
        if not isinstance(saved, dict) or not named.keys() - _LATER <= saved.keys() <= named.keys():
            got = ", ".join(saved) or "none of them" if isinstance(saved, dict) else type(saved).__name__
            raise FormatError(who, ", ".join(named), got, REMEDY)
        values: dict[str, Any] = {}
        for name, value in saved.items():
            if named[name] == "int":
                values[name] = as_count(who, name, value, least=0)
            elif named[name] == "float":
                values[name] = as_number(who, name, value, "(-inf, inf)" if name == "loss_sum" else "[0, inf)")
            elif isinstance(value, list):
                values[name] = [as_number(who, name, each) for each in value]
            elif value is not None:
                raise FormatError(who, f"{name}: a list of numbers, or none", repr(value)[:80])
        return cls(**values)
