"""Grad-CAM: the regions of an image in which a convolutional layer finds evidence for a class.

With S_c the score of class c and A[n,i,j,k] the activations of a layer, (N, h, w, K), the weight of channel k is the
mean of the score's gradients, and the map keeps the evidence for the class:

    α[n,k] = 1/(h·w) Σ_ij ∂S_c/∂A[n,i,j,k]                     (1)
    L[n,i,j] = max(0, Σ_k α[n,k] A[n,i,j,k])                   (2)

Bilinear interpolation then gives the map the image's size (`xpcnn.ops.bilinear`).

Source: R. Selvaraju et al., Grad-CAM: visual explanations from deep networks, 2017, equations 1 and 2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..backend import array_namespace, to_numpy
from ..errors import OptionError, ShapeError
from ..nn import Conv2d, ConvTranspose2d
from ..nn.hooks import find_layer
from ..nn.inference import Inference
from ..nn.layer import Layer
from ..ops.bilinear import bilinear2d_forward
from ..options import as_names
from ..typing import Array, Cache
from .figure import as_images, check_finite, one_image, output_name, overlay
from .scores import score_gradients

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grad_cam_map(model: Layer, x: Array, target: int | Array | None = None, layer: str | int | None = None) -> Array:
    """The evidence for a class at each pixel of the image, (1) and (2), in the image's size.

    The gradients are those of inference, model(x): batch norm uses its running statistics, and nothing is dropped.

    Parameters
        model : a classifier, (N, H, W, C) → (N, classes); without softmax at its end, which would mix the classes
        x : Array (N, H, W, C), float
        target : one class for all, labels (N,), or None for the class that the model predicts for each image
        layer : dotted name of the layer whose output is A. None for the activations of the last convolution: the
            output of the last layer after it with the same height and width (its ReLU, or the one after the sum in a
            residual network)
    Returns
        Array (N, H, W), ≥ 0; all 0 if there is no evidence for the class
    Raises
        ShapeError, DTypeError;  OptionError : no such layer;  DataError : no such class

    >>> import numpy as np
    >>> from xpcnn.nn.init import constant
    >>> from xpcnn.nn import Conv2d, GlobalAvgPool2d, ReLU, Sequential
    >>> model = Sequential(Conv2d(1, 1, 1, weight_init=constant(1.0)), ReLU(), GlobalAvgPool2d())
    >>> grad_cam_map(model, np.array([[[[3.0], [-1.0]]]], np.float32))
    array([[[1.5, 0. ]]], dtype=float32)
    """
    return _map("grad_cam_map", model, x, target, layer)[0]


def grad_cam(
    model: Layer,
    image: Array,
    target: int | None = None,
    layer: str | int | None = None,
    *,
    classes: Sequence[str] = (),
) -> Figure:
    """An image beside its Grad-CAM map.

    Parameters
        model : a classifier
        image : Array (H, W, C), float in [0, 1]
        target : a class, or None for the one that the model predicts
        layer : as in `grad_cam_map`
        classes : names of the classes
    Raises
        as in `grad_cam_map`;  NonFiniteError : NaN in the image or the map;  MissingExtraError

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> image = digits().test.images[0].astype("float32") / 255
    >>> [axes.get_title() for axes in grad_cam(model, image, 3).axes]
    ['image', 'lit by the map', 'map', '']
    """
    classes = as_names("grad_cam", "classes", classes)
    who = "grad_cam"
    x = one_image(who, image)
    pixels, note = as_images(who, x)
    heat, chosen, name = _map(who, model, x, target, layer)
    values = to_numpy(heat)[0]  # (H, W)
    check_finite(who, "gradients", values)
    if not values.any():
        note = "; ".join(filter(None, ["nothing speaks for this class here", note]))
    title = f"Grad-CAM for {output_name(int(chosen[0]), classes)}, layer {name}"
    return overlay(pixels[0], values, title, "evidence for the class", note)


@dataclass(eq=False)
class _Call:
    """One call of one layer: its output, and later the gradient of it."""

    name: str
    layer: Layer
    y: Array
    dy: Array | None = None


class _Recorder(Inference):
    """Keeps every layer's output and its gradient, in the order in which the layers ran."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        y, cache = super().forward(name, layer, x)
        self.calls.append(_Call(name, layer, y))
        return y, (cache, self.calls[-1])

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        cache, call = cache
        call.dy = dy
        return super().backward(name, layer, dy, cache, input_grad=input_grad)


def _map(
    who: str, model: Layer, x: Array, target: int | Array | None, layer: str | int | None
) -> tuple[Array, Array, str]:
    """The map, the classes, and the layer's name."""
    name = None if layer is None else find_layer(who, model, layer)[0]
    recorder = _Recorder()
    _, classes = score_gradients(who, model, x, target, recorder)
    call = _last_features(who, recorder.calls) if name is None else _last_of_that_name(who, recorder.calls, name)
    a, da = call.y, call.dy  # (N, h, w, K)
    if a.ndim != 4:
        raise ShapeError(f"{who}: layer {call.name}", "an output (N, h, w, channels)", str(tuple(a.shape)))
    assert da is not None
    xp = array_namespace(a)
    alpha = xp.mean(da, axis=(1, 2), keepdims=True)  # (N, 1, 1, K)  (1)
    heat = xp.sum(alpha * a, axis=3, keepdims=True)  # (N, h, w, 1)
    heat = xp.where(heat < 0, xp.zeros_like(heat), heat)  # NaN stays (2)
    resized = bilinear2d_forward(heat, size=(x.shape[1], x.shape[2]))[0]  # (N, H, W, 1)
    return resized[..., 0], classes, call.name


def _last_features(who: str, calls: list[_Call]) -> _Call:
    """The activations of the last convolution, see `grad_cam_map`."""
    last: _Call | None = None
    for call in calls:
        follows = last is not None and tuple(call.y.shape[:3]) == tuple(last.y.shape[:3])
        if isinstance(call.layer, Conv2d | ConvTranspose2d) or (follows and call.y.ndim == 4):
            last = call
    if last is None:
        raise OptionError(who, "a network with a convolution", "none", "name a layer")
    return last


def _last_of_that_name(who: str, calls: list[_Call], name: str) -> _Call:
    found = [call for call in calls if call.name == name]
    if not found:
        raise OptionError(who, "a layer that the network runs", f"{name}, which it does not")
    return found[-1]
