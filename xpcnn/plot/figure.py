"""The common parts of all pictures: a figure drawn in memory, and its file.

Figures are Matplotlib objects made without pyplot: no window, no global state. You can change a returned figure
(`figure.axes[0].set_title(…)`) before `save`. As the value of a notebook's cell, it is shown.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import to_numpy
from ..errors import DTypeError, NonFiniteError, OptionError, ShapeError, one_line
from ..extras import need
from ..io.atomic import write_atomically
from ..options import as_path
from ..typing import Array, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"  # both suit the colour-blind
FIRST, SECOND = "#0072b2", "#d55e00"  # blue and vermilion of M. Okabe and K. Ito, Color universal design, 2008
DOTS = 150  # per inch


def new_figure(width: float, height: float, title: str = "", *, arranged: bool = True) -> Figure:
    """A figure with nothing on it but a title.

    Parameters
        width, height : inches
        title : plain text
        arranged : let Matplotlib place everything
    Raises
        MissingExtraError : Matplotlib is not installed
    """
    figure: Figure = matplotlib("figure").Figure((width, height), dpi=DOTS)
    matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
    if arranged:
        figure.set_layout_engine(matplotlib("layout_engine").ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    if title:
        figure.suptitle(one_line(title), fontsize=11, parse_math=False)
    figure._repr_png_ = partial(_as_png, figure)  # type: ignore[attr-defined]  # a partial can be copied and pickled
    return figure


def _as_png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """What a notebook shows, and the size at which it does; if pyplot is in use, the notebook draws it itself."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    width, height = (round(inches * 96) for inches in figure.get_size_inches())  # CSS has 96 pixels an inch
    return picture.getvalue(), {"width": width, "height": height}


def matplotlib(module: str) -> Any:
    """The named module of Matplotlib, such as "colors"."""
    return need(f"matplotlib.{module}", "plot", "to draw pictures")


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture to a file, completely or not at all.

    Parameters
        path : ends in .png, .svg or .pdf
    Raises
        OptionError : it ends in something else
        FileError : it cannot be written; an older file is untouched

    >>> import tempfile
    >>> from xpcnn.plot import confusion
    >>> save(confusion([[3, 1], [0, 2]]), tempfile.mkdtemp() + "/confusion.png")
    """
    path = as_path("plot.save", path)
    if not hasattr(figure, "savefig"):
        raise OptionError("plot.save", "a figure", type(figure).__name__, "the figure comes first, then the file")
    format = check_format(path)
    picture = io.BytesIO()
    figure.savefig(picture, format=format)
    write_atomically(path, picture.getvalue())


def check_format(path: str | os.PathLike[str]) -> str:
    """The file format that the path's suffix stands for: "png", "svg" or "pdf"."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OptionError("plot", "a file that ends in " + ", ".join(FORMATS), str(path))
    return suffix[1:]


def as_images(who: str, x: Array) -> tuple[NDArray, str]:
    """Convert images to pixels that can be drawn, on the host, with a note if that changes them.

    Parameters
        x : Array (N, H, W, C), float
    Returns
        pixels : (N, H, W, 3), or grey (N, H, W), in [0, 1]
        note : "" or an explanation of the colours
    Raises
        ShapeError, DTypeError;  NonFiniteError : NaN or infinity among the pixels
    """
    pixels = to_numpy(x)
    if pixels.ndim != 4 or 0 in pixels.shape:
        remedy = "add the batch axis: x[None, ...]" if pixels.ndim == 3 else ""
        raise ShapeError(who, "images (N, H, W, C), at least one", str(pixels.shape), remedy)
    if pixels.dtype.kind != "f":
        remedy = "xpcnn.asarray(x, dtype='float32'), and for images of 0 … 255 also / 255"
        raise DTypeError(who, "images of float32 or float64", str(pixels.dtype), remedy)
    low, high = check_finite(who, "pixels", pixels)
    notes = []
    if pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    elif pixels.shape[3] != 3:
        notes.append(f"grey: the mean of {pixels.shape[3]} channels")
        pixels = pixels.mean(axis=3)
    if low < 0 or high > 1:
        notes.append(f"black is {low:z.3g}, white {high:z.3g}")
        pixels = (pixels - low) / (high - low)
    return np.clip(pixels, 0, 1), "; ".join(notes)


def one_image(who: str, image: Array) -> Array:
    """The image (H, W, C) as a batch of one, (1, H, W, C)."""
    if getattr(image, "ndim", None) != 3:
        got = str(tuple(image.shape)) if hasattr(image, "shape") else type(image).__name__
        raise ShapeError(who, "one image (H, W, C)", got, "of a batch, pass x[0]; of grey images, add the channel axis")
    return image[None, ...]


def check_finite(who: str, what: str, values: NDArray) -> tuple[float, float]:
    """Check that the values are finite; return the smallest and the largest."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NonFiniteError(
            who, f"finite {what}", "NaN or infinity", "look at the image, and at how the model trained"
        )
    return low, high


def show(axes: Any, pixels: NDArray, title: str = "") -> None:
    """Draw one image, (H, W, 3) or grey (H, W), in [0, 1]."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bare(axes, title)


def bare(axes: Any, title: str = "") -> None:
    """Remove ticks and frame."""
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)


def whole_numbers(axis: Any) -> None:
    """Put the axis's ticks at integers only."""
    axis.set_major_locator(matplotlib("ticker").MaxNLocator(integer=True, min_n_ticks=1))


def short(name: str, most: int = 18) -> str:
    """The name in one line of at most `most` characters."""
    name = one_line(str(name))
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def class_name(index: int, classes: Sequence[str], most: int = 18) -> str:
    """The class's name, or its number if it has none."""
    return short(classes[index], most) if index < len(classes) else str(index)


def output_name(index: int, classes: Sequence[str]) -> str:
    """The network's output of that number, for a title: the name of its class, if it has one."""
    return f"class {class_name(index, classes, 40)}" if index < len(classes) else f"output {index}"


def overlay(pixels: NDArray, heat: NDArray, title: str, values: str, note: str = "") -> Figure:
    """An image, the image with its map as brightness, and the map.

    Parameters
        pixels : (H, W, 3) or (H, W), in [0, 1]
        heat : (H, W), ≥ 0
        values : the label of the map's colour bar
    """
    height, width = pixels.shape[:2]
    side = min(max(2.6 * height / width, 1.2), 6.0)
    figure = new_figure(9.4, side + 0.9, title)
    plain, lit, alone = figure.subplots(1, 3)
    most = float(heat.max()) or 1.0
    show(plain, pixels, "image")
    strength = (heat / most)[..., None]  # (H, W, 1)
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    show(lit, colours * (0.15 + 0.85 * strength), "lit by the map")
    drawn = alone.imshow(heat, cmap=SEQUENTIAL, vmin=0, vmax=most, interpolation="nearest")
    bare(alone, "map")
    figure.colorbar(drawn, ax=alone, label=values, shrink=0.9)
    if note:
        figure.supxlabel(note, fontsize=8)
    return figure
