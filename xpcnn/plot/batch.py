"""Show a batch as the network sees it, with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import to_numpy
from ..data.mask_file import colours
from ..errors import ShapeError
from ..options import as_names
from ..typing import Array, NDArray
from .figure import as_images, class_name, new_figure, show
from .mosaic import square

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IMAGES = 64
WRONG = "darkred"  # the caption says so, too, for the colour-blind


def batch(x: Array, y: Array | None = None, *, classes: Sequence[str] = ()) -> Figure:
    """The first 64 images of a batch, each with its label.

    Parameters
        x : Array (N, H, W, C), float; with one or three channels unchanged, else the mean of the channels
        y : labels (N,), probabilities of the classes (N, K), targets of a regression (N,) or (N, D) (floats), or None;
            or masks (N, H, W) of classes, which are drawn beside the images
        classes : names of the classes
    Raises
        ShapeError, DTypeError;  NonFiniteError : NaN in the images;  MissingExtraError

    >>> import numpy as np
    >>> figure = batch(np.zeros((2, 8, 8, 1), np.float32), np.array([1, 0]), classes=("cat", "dog"))
    >>> [axes.get_title() for axes in figure.axes]
    ['dog', 'cat']
    """
    classes = as_names("batch", "classes", classes)
    pixels, note = as_images("batch", x)
    n = len(pixels)
    labels = None if y is None else to_numpy(y)
    if labels is not None and labels.dtype.kind in "iu" and labels.shape == x.shape[:3]:
        pixels, labels = _beside(pixels, labels), None
    if labels is not None and (labels.shape[:1] != (n,) or labels.ndim not in (1, 2)):
        raise ShapeError("batch", f"one label for each of {n} images", str(labels.shape))
    captions = [
        "" if labels is None else _caption(label, classes) for label in (labels if labels is not None else pixels)
    ]
    title = f"Batch of {n} images {x.shape[1]}×{x.shape[2]}×{x.shape[3]}"
    title += f", the first {MOST_IMAGES}" if n > MOST_IMAGES else ""
    return pictures(pixels[:MOST_IMAGES], captions[:MOST_IMAGES], title, "", note)


def pictures(
    pixels: NDArray, captions: Sequence[str], title: str, key: str = "", note: str = "", wrong: Sequence[bool] = ()
) -> Figure:
    """Images in a grid, each with a caption above it.

    Parameters
        pixels : (N, H, W, 3) or (N, H, W), in [0, 1]
        captions : all with the same number of lines
        key, note : a line below the title, and one below the images
        wrong : for each caption, whether to highlight it; empty for none
    """
    n, height, width = pixels.shape[:3]
    columns = n if n < 6 else square(n)
    rows = -(-n // columns)
    lines = max(caption.count("\n") + 1 for caption in captions)
    wide = 1.5
    high = min(max(1.3 * height / width, 0.4), 3.0) + 0.18 * lines  # inches
    top, bottom, side = 0.4 + 0.2 * bool(key), 0.1 + 0.2 * bool(note), 0.1
    total_width, total_height = max(columns * wide + 2 * side, 4.4), rows * high + top + bottom
    figure = new_figure(total_width, total_height, arranged=False)
    figure.text(0.5, 1 - 0.1 / total_height, title, ha="center", va="top", fontsize=11)
    if key:
        figure.text(0.5, 1 - 0.33 / total_height, key, ha="center", va="top", fontsize=8)
    if note:
        figure.text(0.5, 0.08 / total_height, note, ha="center", va="bottom", fontsize=8)
    left = (total_width - columns * wide) / 2
    for i, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        x = left + i % columns * wide + 0.1
        y = total_height - top - (i // columns + 1) * high + 0.05
        place = (
            x / total_width,
            y / total_height,
            (wide - 0.2) / total_width,
            (high - 0.18 * lines - 0.1) / total_height,
        )
        axes = figure.add_axes(place)
        show(axes, image)
        colour = WRONG if wrong and wrong[i] else "black"
        axes.set_title(caption, fontsize=8, pad=3, parse_math=False, color=colour)
    return figure


def _beside(pixels: NDArray, masks: NDArray) -> NDArray:
    """Images, each with its mask in colours to the right of it; the class 0 is black."""
    if pixels.ndim == 3:
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    line = np.ones((*pixels.shape[:2], 1, 3))
    return np.concatenate([pixels, line, colours()[np.clip(masks, 0, 255)] / 255], axis=2)


def _caption(label: Any, classes: Sequence[str]) -> str:
    if label.ndim == 0:
        return class_name(int(label), classes) if label.dtype.kind in "iu" else f"{float(label):z.4g}"
    if label.dtype.kind == "f" and classes and len(classes) == len(label):
        best = (-label).argsort(kind="stable")[:2]
        return "\n".join(f"{class_name(int(i), classes, 13)}: {label[i]:.0%}" for i in best if label[i] > 0)
    return ", ".join(f"{value:z.3g}" for value in label[:3]) + (", …" if len(label) > 3 else "")
