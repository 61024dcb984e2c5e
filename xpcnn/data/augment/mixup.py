"""Mixtures of two images, and of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import OptionError, ShapeError
from ...ops.check import check_floats
from ...ops.one_hot import one_hot
from ...options import as_count, as_number
from ...typing import Array
from .base import check_images


@dataclass(frozen=True)
class Mixup:
    """Mixes each image and its label with another one of the batch.

        x̃ₙ = λₙ xₙ + (1 − λₙ) xₘ,   ỹₙ = λₙ yₙ + (1 − λₙ) yₘ           λₙ ~ Beta(alpha, alpha),   m = π(n)

    with a random permutation π. Classes become probabilities (N, K), which `CrossEntropyLoss` takes; the targets of a
    regression, and probabilities, are mixed as they are.

    Parameters
        alpha : > 0; the smaller it is, the more images stay nearly unchanged
        num_classes : K, required for integer labels
    Raises
        OptionError; when called also ShapeError, DTypeError, DataError
    Source
        H. Zhang et al., mixup: beyond empirical risk minimization, 2017, equation (1); there a batch shares one λ

    >>> mixup = Mixup(0.2, num_classes=3)
    >>> x, y = mixup(np.ones((2, 4, 4, 1)), np.array([0, 2]), np.random.default_rng(1))
    >>> y.shape, y.sum(axis=1).round(6).tolist()
    ((2, 3), [1.0, 1.0])
    """

    alpha: float
    num_classes: int | None = None

    def __post_init__(self) -> None:
        as_number("Mixup", "alpha", self.alpha, "(0, inf)")
        if self.num_classes is not None:
            as_count("Mixup", "num_classes", self.num_classes)

    def __call__(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        xp = check_images("Mixup", x, rng)
        n = x.shape[0]
        if xp.isdtype(y.dtype, "integral") and y.ndim < 3:
            if self.num_classes is None:
                remedy = "Mixup(alpha, classes), or parse(text, classes)"
                raise OptionError("Mixup", "num_classes, as the labels are integers", "None", remedy)
            y = one_hot("Mixup", y, xp.zeros((n, self.num_classes), dtype=x.dtype, device=x.device))  # (N, K)
        elif y.ndim not in (1, 2) or y.shape[0] != n:
            raise ShapeError("Mixup", f"targets ({n},) or ({n}, D)", str(tuple(y.shape)))
        check_floats("Mixup", y)
        shares = rng.beta(self.alpha, self.alpha, n)
        others = xp.asarray(rng.permutation(n), device=x.device)

        def mixed(array: Array) -> Array:
            share = xp.asarray(shares, dtype=array.dtype, device=array.device)
            share = xp.reshape(share, (n, *(1,) * (array.ndim - 1)))
            mixture: Array = share * array + (1 - share) * xp.take(array, others, axis=0)
            return mixture

        return mixed(x), mixed(y)
