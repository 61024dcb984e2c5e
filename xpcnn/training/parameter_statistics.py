"""Statistics of weights and gradients: sizes, zeros, and how far a step moves each parameter.

    rms(a) = √(Σ a² / size)                                                             (1)
    update = rms(p after the step − p before it) / rms(p before it)                     (2)

An update of about a thousandth is usual. If it is far smaller, a parameter hardly learns; if far larger, it jumps.

Source: A. Karpathy, Neural networks: zero to hero, 2022, lecture 4                     → (2)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import NonFiniteError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..optim.optimizer import Optimizer, check_optimizer
from ..table import Table, Tabular, columns
from ..typing import Array, NDArray, Shape
from .gradients import batch_gradients, step_gradients
from .training_state import unchanged


@dataclass(frozen=True)
class ParameterStatistics:
    """A parameter p and its gradient g on one batch.

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> (x, y), *_ = Loader(digits().train, 64)
    >>> row = gradient_statistics(mlp((8, 8, 1), 10, rng=0), x, y).parameters[0]
    >>> row.name, row.shape
    ('1.weight', (128, 64))
    """

    name: str
    shape: Shape
    weight_mean: float  # of |p|
    weight_rms: float
    gradient_mean: float  # of |g|
    gradient_rms: float
    gradient_max: float  # of |g|
    gradient_zeros: float  # fraction of g that is exactly 0
    update: float  # (2); NaN without an optimizer, or if it refuses the step


@dataclass(frozen=True, repr=False)
class GradientStatistics(Tabular):
    """One row per parameter; it prints as a table.

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> (x, y), *_ = Loader(digits().train, 64)
    >>> print(str(gradient_statistics(mlp((8, 8, 1), 10, rng=0), x, y)).split("  ")[0])
    Parameter
    """

    parameters: tuple[ParameterStatistics, ...]

    def table(self) -> Table:
        """One row per parameter."""
        header = ("Parameter", "Shape", "mean |w|", "rms w", "mean |g|", "rms g", "max |g|", "zero g", "update")
        body = [
            (
                row.name,
                str(row.shape),
                *(f"{number:.2e}" for number in (row.weight_mean, row.weight_rms, row.gradient_mean)),
                *(f"{number:.2e}" for number in (row.gradient_rms, row.gradient_max)),
                f"{row.gradient_zeros:.1%}",
                "—" if math.isnan(row.update) else f"{row.update:.1e}",
            )
            for row in self.parameters
        ]
        return columns(header, body, left=(0, 1))


def gradient_statistics(
    model: Layer, x: Array, y: Array, criterion: Loss | None = None, *, optimizer: Optimizer | None = None
) -> GradientStatistics:
    """Measure the gradients of a batch and, with an optimizer, its next step; nothing is changed afterwards.

    Parameters
        x, y : a batch from a loader
        criterion : None for cross-entropy
        optimizer : of the model's parameters, or of some; it keeps its learning rate
    Raises
        OptionError : the optimizer belongs to another model

    >>> from xpcnn import data, nn
    >>> (x, y), *_ = data.Loader(data.digits().train, 64)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, rng=0))
    >>> weight, bias = gradient_statistics(model, x, y).parameters
    >>> weight.gradient_zeros > 0.1     # corners of the images that are always black
    True
    """
    check_layer("gradient_statistics", model)
    if optimizer is not None:
        check_optimizer("gradient_statistics", optimizer, model.parameters())
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("gradient_statistics", criterion)
    with unchanged(model, optimizer), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        grads = step_gradients(batch_gradients(model, criterion, x, y), criterion.reduction)
        before = {name: _host(array).copy() for name, array in model.parameters().items()}
        if optimizer is not None:
            try:
                optimizer.step(optimizer.select(grads))
            except NonFiniteError:
                optimizer = None  # it refuses the step, so there is no update
        after = {name: _host(array) for name, array in model.parameters().items()}
        rows = [_statistics(name, p, _host(grads[name]), after[name], optimizer) for name, p in before.items()]
    return GradientStatistics(tuple(rows))


def _statistics(name: str, p: Any, g: Any, after: Any, optimizer: Optimizer | None) -> ParameterStatistics:
    return ParameterStatistics(
        name=name,
        shape=tuple(p.shape),
        weight_mean=float(np.abs(p).mean()),
        weight_rms=_rms(p),
        gradient_mean=float(np.abs(g).mean()),
        gradient_rms=_rms(g),
        gradient_max=float(np.abs(g).max()),
        gradient_zeros=float((g == 0).mean()),
        update=math.nan if optimizer is None else _ratio(_rms(after - p), _rms(p)),  # (2)
    )


def _rms(array: Any) -> float:
    largest = float(np.abs(array).max())
    scale = largest if 0 < largest < math.inf else 1.0  # so that no square overflows or underflows
    return scale * float(np.sqrt(np.mean((array / scale) ** 2)))  # (1)


def _ratio(moved: float, size: float) -> float:
    """moved / size; infinite if a parameter of zeros moves, as biases do in their first step."""
    return moved / size if size else math.inf if moved else 0.0


def _host(array: Array) -> NDArray:
    return np.asarray(to_numpy(array), np.float64)
