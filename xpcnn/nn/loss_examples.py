"""One small instance of every loss with suitable outputs and targets, for checks of all losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .. import nn

Numbers: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Example: TypeAlias = Callable[[], tuple[nn.Loss, Numbers, Numbers]]

_ROWS, _CLASSES = 6, 4


def _with(target: Callable[[np.random.Generator], Numbers], make: Callable[[], nn.Loss]) -> Example:
    def example() -> tuple[nn.Loss, Numbers, Numbers]:
        rng = np.random.default_rng(7)
        return make(), rng.normal(size=(_ROWS, _CLASSES)), target(rng)

    return example


def _labels(rng: np.random.Generator) -> Numbers:
    return np.arange(_ROWS) % _CLASSES


def _numbers(rng: np.random.Generator) -> Numbers:
    return rng.normal(size=(_ROWS, _CLASSES))


def _probabilities(rng: np.random.Generator) -> Numbers:
    return rng.uniform(size=(_ROWS, _CLASSES))


def _of_pixels() -> tuple[nn.Loss, Numbers, Numbers]:
    y = np.random.default_rng(7).normal(size=(_ROWS // 3, 3, _CLASSES))
    return nn.DiceLoss(), y, np.reshape(np.arange(_ROWS) % _CLASSES, (-1, 3))


EXAMPLES: dict[str, Example] = {
    "CrossEntropyLoss": _with(_labels, lambda: nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0, 0.5], label_smoothing=0.1)),
    "NLLLoss": _with(_labels, nn.NLLLoss),
    "HingeLoss": _with(_labels, nn.HingeLoss),
    "FocalLoss": _with(_labels, lambda: nn.FocalLoss(weight=[1.0, 2.0, 3.0, 0.5])),
    "DiceLoss": _of_pixels,
    "MSELoss": _with(_numbers, nn.MSELoss),
    "L1Loss": _with(_numbers, nn.L1Loss),
    "HuberLoss": _with(_numbers, nn.HuberLoss),
    "BCEWithLogitsLoss": _with(_probabilities, lambda: nn.BCEWithLogitsLoss(pos_weight=2.0)),
}
