"""The confusion matrix: which classes are mistaken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import to_numpy
from ..errors import DataError, OptionError, ShapeError
from ..options import as_names
from .figure import class_name, matplotlib, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERS = 25  # classes whose counts are written into the cells
MOST_NAMES = 100  # classes whose names are all written at the axes


def shares(matrix: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Divide each row of counts by its sum; rows of zeros become NaN.

    Parameters
        matrix : counts (K, K): row = true class, column = predicted
    Raises
        ShapeError : it is not square;  DataError : not counts, or all 0

    >>> shares([[3, 1], [0, 0]])
    array([[0.75, 0.25],
           [ nan,  nan]])
    """
    counts = to_numpy(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError("confusion", "a matrix (K, K) of counts", str(counts.shape))
    if counts.dtype.kind not in "iuf":
        raise DataError("confusion", "counts ≥ 0, not all of them 0", str(counts.dtype))
    counts = counts.astype(np.float64)  # sums of narrower types overflow, or lose counts
    if not ((counts >= 0).all() and 0 < counts.sum() < np.inf):
        raise DataError("confusion", "counts ≥ 0, not all of them 0", f"{counts.min():g} … {counts.max():g}")
    totals = counts.sum(axis=1, keepdims=True)  # (K, 1)
    totals[totals == 0] = np.nan
    result: np.ndarray[Any, np.dtype[np.float64]] = counts / totals
    return result


def confusion(matrix: Any, *, classes: Sequence[str] = ()) -> Figure:
    """A confusion matrix: a cell's colour shows its share of the row, its number is the count.

    Colours follow the square root of the share, so that rare mistakes are visible. With more than 25 classes there are
    no numbers, with more than 100 only some of the names.

    Parameters
        matrix : counts (K, K): row = true class, column = predicted
        classes : K names; or none, for numbers
    Raises
        as in `shares`;  OptionError : the number of names is not K;  MissingExtraError

    >>> [axes.get_ylabel() for axes in confusion([[3, 1], [0, 2]]).axes[:1]]
    ['true']
    """
    classes = as_names("confusion", "classes", classes)
    rows = shares(matrix)
    counts, k = to_numpy(matrix).astype(np.float64), len(rows)
    if classes and len(classes) != k:
        raise OptionError("confusion", f"{k} names of classes", str(len(classes)))
    names = [class_name(i, classes, 16) for i in range(k)]
    side = min(max(3.0, 0.45 * k), 14.0)  # inches
    cell = 72 * side / k  # points, as the sizes of letters
    title = f"Confusion matrix: {np.trace(counts) / counts.sum():.2%} of {counts.sum():.0f} right"
    figure = new_figure(side + 1.9, side + 1.0, title)
    axes = figure.subplots()
    axes.set_facecolor("0.85")  # rows without images
    root = matplotlib("colors").PowerNorm(0.5, vmin=0, vmax=1)
    drawn = axes.imshow(rows, cmap="Blues", norm=root, interpolation="nearest")
    bar = figure.colorbar(drawn, ax=axes, label="share of the true class", shrink=0.8)
    bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1], labels=["0", "1%", "5%", "20%", "50%", "100%"])
    if k <= MOST_NUMBERS:
        size = min(9.0, 1.3 * cell / len(f"{counts.max():.0f}"))
        for i, j in np.ndindex(k, k):
            if counts[i, j]:
                colour = "white" if rows[i, j] > 0.35 else "black"
                axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", fontsize=size, color=colour)
    every = -(-k // MOST_NAMES)
    size = min(9.0, 0.75 * cell * every)
    fits = 0.65 * size * max(map(len, names)) < cell * every
    places, shown = range(0, k, every), names[::every]
    axes.set_xticks(places, shown, rotation=0 if fits else 90, fontsize=size, parse_math=False)
    axes.set_yticks(places, shown, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure
