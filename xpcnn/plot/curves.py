"""Training curves over the epochs, and the loss over the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import DataError
from .figure import FIRST, SECOND, new_figure, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Rates(Protocol):
    """The numbers that `learning_rates` draws, such as the result of `xpcnn.training.lr_find`."""

    @property
    def rates(self) -> Sequence[float]: ...
    @property
    def losses(self) -> Sequence[float]: ...
    @property
    def smoothed(self) -> Sequence[float]: ...
    @property
    def suggestion(self) -> float | None: ...


def curves(history: Sequence[Any]) -> Figure:
    """Loss and accuracy over the epochs, in training and validation.

    A curve that is NaN in every epoch, such as the accuracy of a regression, is left out.

    Parameters
        history : rows of `Trainer.fit`, with epoch, train_loss, train_accuracy, validation_loss, validation_accuracy
    Raises
        DataError : there is no epoch;  MissingExtraError

    >>> from xpcnn.training.history import Epoch
    >>> figure = curves([Epoch(1, 0.1, 2.0, 0.3, 1.8, 0.4, 5.0), Epoch(2, 0.1, 1.0, 0.7, 1.1, 0.6, 5.0)])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    if not history:
        raise DataError("curves", "at least one epoch", "an empty history", "train first")
    epochs = [row.epoch for row in history]
    values = {
        name: {part: [getattr(row, f"{part}_{name}") for row in history] for part in ("train", "validation")}
        for name in ("loss", "accuracy")
    }
    shown = [name for name in values if any(value == value for part in values[name].values() for value in part)]
    shown = shown or ["loss"]
    figure = new_figure(4.5 * len(shown), 3.6)
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for part, style, colour in (("train", "-", FIRST), ("validation", "--", SECOND)):
            if any(value == value for value in values[name][part]):
                axes.plot(epochs, values[name][part], style, color=colour, marker="o", markersize=3, label=part)
        axes.set_title(name if name == "loss" else "accuracy (share of images)", fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        whole_numbers(axes.xaxis)
        axes.grid(alpha=0.3)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        if axes.lines:
            axes.legend()
        else:
            axes.text(0.5, 0.5, "NaN in every epoch", ha="center", transform=axes.transAxes)
    return figure


def learning_rates(result: Rates) -> Figure:
    """The loss at each learning rate of a sweep, raw and smoothed, and the suggested rate.

    Parameters
        result : rates, their losses and the smoothed losses, all of the same length; and a suggestion, or None
    Raises
        DataError : nothing to draw;  MissingExtraError
    Source
        L. Smith, Cyclical learning rates for training neural networks, 2015, section 3.3

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> from xpcnn.optim import SGD
    >>> from xpcnn.training import lr_find
    >>> model = mlp((8, 8, 1), 10, rng=0)
    >>> found = lr_find(model, SGD(model.parameters(), lr=0.1), Loader(digits().train, 32), steps=10)
    >>> learning_rates(found).axes[0].get_xlabel()
    'learning rate'
    """
    rates, losses, smoothed = (np.asarray(each, float) for each in (result.rates, result.losses, result.smoothed))
    known = smoothed[np.isfinite(smoothed)]
    if not (rates.ndim == 1 and rates.shape == losses.shape == smoothed.shape and known.size and (rates > 0).all()):
        expected = "rates > 0, and as many losses and smoothed losses, some of them finite"
        raise DataError("learning_rates", expected, f"{rates.shape}, {losses.shape} and {smoothed.shape}")
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    axes.semilogx(rates, losses, "o", color=FIRST, markersize=2.5, alpha=0.5, label="each batch")
    axes.semilogx(rates, smoothed, color=FIRST, linewidth=1.5, label="smoothed")
    # an exploding loss would flatten the rest of the curve
    low, start = min(known.min(), losses[np.isfinite(losses)].min(initial=np.inf)), known[: -(-known.size // 4)].max()
    span = max(start - low, 1e-3 * abs(low), 1e-12)
    axes.set_ylim(low - 0.1 * span, start + 0.3 * span)
    if result.suggestion is not None and np.isfinite(result.suggestion):
        axes.axvline(result.suggestion, color=SECOND, linestyle="--", label=f"suggested: {result.suggestion:.2g}")
    axes.legend(loc="lower left")
    axes.set_title("Learning rate sweep", fontsize=11)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    return figure
