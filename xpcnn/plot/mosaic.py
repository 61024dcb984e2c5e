"""Many small maps in one image: a grid of tiles with gaps between them, and a common colour bar."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import NDArray
from .figure import DIVERGING, SEQUENTIAL, bare, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tiles(maps: NDArray, columns: int) -> NDArray:
    """The maps row by row in a grid, with one pixel of NaN between them.

    Parameters
        maps : (N, H, W) or (N, H, W, 3)
    Returns
        grid : (R·(H+1) − 1, columns·(W+1) − 1[, 3]), R = ⌈N / columns⌉

    >>> tiles(np.array([[[1.0]], [[2.0]], [[3.0]]]), columns=2)
    array([[ 1., nan,  2.],
           [nan, nan, nan],
           [ 3., nan, nan]])
    """
    n, h, w, *colours = maps.shape
    rows = math.ceil(n / columns)
    grid = np.full((rows, h + 1, columns, w + 1, *colours), np.nan)
    for i in range(n):
        grid[i // columns, :h, i % columns, :w] = maps[i]
    return grid.reshape(rows * (h + 1), columns * (w + 1), *colours)[:-1, :-1]


def mosaic(maps: NDArray, columns: int, title: str, values: str) -> Figure:
    """A picture of a grid of tiles.

    Parameters
        maps : (N, H, W), drawn with a colour bar, which is centred at 0 if there are negative values;
            or colours (N, H, W, 3), in [0, 1]
        values : the label of the colour bar
    """
    grid = tiles(maps, columns)
    height, width = grid.shape[:2]
    scale = min(7.5 / width, 7.5 / height)  # inches per pixel
    has_bar = maps.ndim == 3
    figure = new_figure(max(width * scale + 1.3, 4.4), max(height * scale, 1.2) + 0.8, title)
    axes = figure.subplots()
    if has_bar:
        most = float(np.abs(maps).max()) or 1.0
        low, colours = (0.0, SEQUENTIAL) if maps.min() >= 0 else (-most, DIVERGING)
        drawn = axes.imshow(grid, cmap=colours, vmin=low, vmax=most, interpolation="nearest")
        figure.colorbar(drawn, ax=axes, label=values, shrink=0.8, aspect=25)
    else:
        axes.imshow(np.where(np.isnan(grid), 1.0, grid), interpolation="nearest")
    bare(axes)
    return figure


def square(n: int) -> int:
    """The number of columns of a roughly square grid of n tiles, a little wider than high."""
    return math.ceil(math.sqrt(n))


def first(maps: Any, most: int) -> tuple[Any, str]:
    """The first maps, and "all 32" or "the first 64 of 512"."""
    n = len(maps)
    return maps[:most], f"all {n}" if n <= most else f"the first {most} of {n}"
