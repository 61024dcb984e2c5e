"""The output of a layer for an image, and the filters of a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backend import to_numpy
from ..errors import OptionError, ShapeError
from ..nn import Conv2d, Hooks, with_hooks
from ..nn.hooks import find_layer, leaf_layers
from ..nn.layer import Layer, check_layer
from ..typing import Array, NDArray
from .figure import FIRST, as_images, check_finite, new_figure, one_image, whole_numbers
from .mosaic import first, mosaic, square

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MAPS = 64
MOST_FILTERS = 64
MOST_ROWS, MOST_INPUTS = 16, 16  # filters and their channels, if each channel is a separate map


class _Output(Hooks):
    def __init__(self, name: str) -> None:
        self.name = name
        self.y: Array | None = None

    def infer(self, name: str, layer: Layer, x: Array) -> Array:
        y = super().infer(name, layer, x)
        if name == self.name:
            self.y = y
        return y


def activations(model: Layer, x: Array, layer: str | int) -> Array:
    """A layer's output in inference.

    Parameters
        model : any network
        x : Array (N, …), float: the network's input
        layer : dotted name, such as "3" or "4.body.0"
    Returns
        Array (N, …): the layer's output; the last one if it runs several times
    Raises
        OptionError : no such layer;  ShapeError, DTypeError

    >>> from xpcnn.nn import Flatten, ReLU, Sequential
    >>> activations(Sequential(ReLU(), Flatten()), np.array([[[-1.0], [2.0]]]), "0").tolist()
    [[[0.0], [2.0]]]
    """
    output = _Output(find_layer("activations", model, layer)[0])
    with_hooks(model, output)(x)
    if output.y is None:
        raise OptionError("activations", "a layer that the network runs", f"{layer}, which it does not")
    return output.y


def feature_maps(model: Layer, image: Array, layer: str | int | None = None) -> Figure:
    """A layer's output for one image: each channel as a map or, without height and width, as a bar.

    Parameters
        model : any network
        image : Array (H, W, C), float in [0, 1]
        layer : dotted name; None for the first convolution
    Raises
        OptionError : no such layer;  NonFiniteError : NaN in the image or the output
        ShapeError, DTypeError, MissingExtraError

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> image = digits().test.images[0].astype("float32") / 255
    >>> len(feature_maps(model, image).axes) > 0
    True
    """
    who = "feature_maps"
    name, found = _first_convolution(who, model) if layer is None else find_layer(who, model, layer)
    x = one_image(who, image)
    as_images(who, x)
    maps = to_numpy(activations(model, x, name))[0]  # (h, w, K) or (K,)
    check_finite(who, f"outputs of layer {name}", maps)
    title = f"Layer {name}, {type(found).__name__}: " if name else f"{type(found).__name__}: "
    if maps.ndim == 1:
        return _bars(maps, f"{title}{len(maps)} outputs")
    if maps.ndim != 3:
        raise ShapeError(f"{who}: layer {name}", "an output (N, h, w, channels) or (N, outputs)", str((1, *maps.shape)))
    shown, of = first(np.moveaxis(maps, 2, 0), MOST_MAPS)
    return mosaic(shown, square(len(shown)), f"{title}{of} feature maps of {maps.shape[0]}×{maps.shape[1]}", "output")


def _first_convolution(who: str, model: Layer) -> tuple[str, Layer]:
    check_layer(who, model)
    for found in leaf_layers(model, Conv2d).items():
        return found
    raise OptionError(who, "a network with a Conv2d", "none")


def _bars(values: NDArray, title: str) -> Figure:
    figure = new_figure(7, 3.2, title)
    axes = figure.subplots()
    axes.bar(np.arange(len(values)), values, width=0.8 if len(values) <= 128 else 1.0, color=FIRST)
    axes.axhline(0, color="black", linewidth=0.8)
    whole_numbers(axes.xaxis)
    axes.set_xlabel("output")
    axes.set_ylabel("value")
    return figure


def filters(model: Layer, layer: str | int | None = None) -> Figure:
    """The kernels of a convolution.

    Filters over three channels are shown in colour, with 0 as grey. Filters over one channel form a roughly square
    grid. Others form a grid with one row per filter and one column per input channel.

    Parameters
        model : any network
        layer : dotted name of a Conv2d; None for the first
    Raises
        OptionError : no such layer;  NonFiniteError : NaN in the weights;  MissingExtraError

    >>> from xpcnn.nn import Conv2d
    >>> len(filters(Conv2d(1, 4, 3, rng=0)).axes) > 0
    True
    """
    who = "filters"
    name, found = _first_convolution(who, model) if layer is None else find_layer(who, model, layer, Conv2d)
    w = to_numpy(found.parameters()["weight"])  # (F, KH, KW, C)
    check_finite(who, f"weights of layer {name}", w)
    channels = w.shape[3]
    kernels, of = first(w, MOST_FILTERS if channels in (1, 3) else MOST_ROWS)
    title = f"{f'Layer {name}' if name else 'Conv2d'}: {of} filters {w.shape[1]}×{w.shape[2]}"
    if channels == 1:
        return mosaic(kernels[..., 0], square(len(kernels)), title, "weight")
    if channels == 3:
        most = float(np.abs(kernels).max()) or 1.0
        title += f"\nfrom −{most:.2g} (dark) to {most:.2g} (bright)"
        return mosaic(0.5 + 0.5 * kernels / most, square(len(kernels)), title, "")
    maps, of = first(np.moveaxis(kernels, 3, 0), MOST_INPUTS)  # (c, f, KH, KW)
    title += f", a row each\ncolumns: {of} channels"
    return mosaic(np.moveaxis(maps, 0, 1).reshape(-1, *w.shape[1:3]), len(maps), title, "weight")
