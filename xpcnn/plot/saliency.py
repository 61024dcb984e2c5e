"""Saliency: the pixels on which a class's score depends most.

With S_c(x) the score of class c (the network's c-th output for the image x, before softmax), the map is

    M[n,i,j] = max_k |∂S_c/∂x[n,i,j,k]|                        (1)

the largest change of the score with the pixel, among the channels k.

Source: K. Simonyan, A. Vedaldi and A. Zisserman, Deep inside convolutional networks, 2013, section 3.1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..backend import array_namespace, to_numpy
from ..nn.layer import Layer
from ..options import as_names
from ..typing import Array
from .figure import as_images, check_finite, one_image, output_name, overlay
from .scores import score_gradients

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def saliency_map(model: Layer, x: Array, target: int | Array | None = None) -> Array:
    """The change of a class's score with each pixel, (1).

    The gradients are those of inference, model(x): batch norm uses its running statistics, and nothing is dropped.

    Parameters
        model : a classifier, (N, H, W, C) → (N, K); without softmax at its end, which would mix the classes
        x : Array (N, H, W, C), float
        target : one class for all, labels (N,), or None for the class that the model predicts for each image
    Returns
        Array (N, H, W), ≥ 0
    Raises
        ShapeError, DTypeError, OptionError;  DataError : no such class

    >>> import numpy as np
    >>> from xpcnn.nn import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(4, 1, rng=0))
    >>> saliency = saliency_map(model, np.zeros((1, 2, 2, 1), np.float32))
    >>> bool((saliency.ravel() == abs(model[1].weight[0])).all())
    True
    """
    return _map("saliency_map", model, x, target)[0]


def saliency(model: Layer, image: Array, target: int | None = None, *, classes: Sequence[str] = ()) -> Figure:
    """An image beside its saliency map.

    Parameters
        model : a classifier
        image : Array (H, W, C), float in [0, 1]
        target : a class, or None for the one that the model predicts
        classes : names of the classes
    Raises
        as in `saliency_map`;  NonFiniteError : NaN in the image or the map;  MissingExtraError

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> image = digits().test.images[0].astype("float32") / 255
    >>> [axes.get_title() for axes in saliency(model, image, 3).axes]
    ['image', 'lit by the map', 'map', '']
    """
    classes = as_names("saliency", "classes", classes)
    who = "saliency"
    x = one_image(who, image)
    pixels, note = as_images(who, x)
    heat, chosen = _map(who, model, x, target)
    values = to_numpy(heat)[0]  # (H, W)
    check_finite(who, "gradients", values)
    return overlay(
        pixels[0], values, f"Saliency for {output_name(int(chosen[0]), classes)}", "|∂ score / ∂ pixel|", note
    )


def _map(who: str, model: Layer, x: Array, target: int | Array | None) -> tuple[Array, Array]:
    dx, classes = score_gradients(who, model, x, target)
    xp = array_namespace(dx)
    return xp.max(xp.abs(dx), axis=-1), classes  # (N, H, W)  (1)
