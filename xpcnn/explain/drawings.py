"""The drawings of the documentation: of every operation, and of every derivation, by the operation's module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from .. import nn
from ..backend import asarray
from ..nn import Layer
from ..nn.activation import Activation
from ..ops.window import Window
from ..optim import SGD, Adam
from ..typing import Shape
from .curves import activation_curve, curves_of, loss_curve, paths
from .drawing import Drawing, draw, picture
from .explain_layer import show
from .explanation import Explanation
from .run import Visit

Make: TypeAlias = Callable[[], Drawing]
LARGEST_REACH = 9  # of a window that is drawn


def _conv(cin: int, cout: int, kernel: int, shape: Shape, *steps: str, **options: Any) -> Make:
    return lambda: draw(nn.Conv2d(cin, cout, kernel, rng=0, **options), shape, steps=steps)


def _of(make: Callable[[], Layer], shape: Shape, *steps: str, **options: Any) -> Make:
    return lambda: draw(make(), shape, steps=steps, **options)


def _join(layer: Layer, *shapes: Shape) -> Drawing:
    """A join of arrays of these shapes."""
    x: Any = tuple(asarray(np.arange(1.0, 1 + np.prod(shape)).reshape(1, *shape).astype("float32")) for shape in shapes)
    y, cache = layer.forward(x)
    dx, _ = layer.backward(y, cache)
    page = Explanation("", "")
    show(page, Visit(layer, x, y, cache, y, dx), (0, *(size // 2 for size in y.shape[1:])))
    return picture(page, type(layer).__name__)


def _difference() -> Drawing:
    """The error of a difference quotient against the slope itself, as in a gradient check."""
    x = np.linspace(-1.5, 2.0, 121)
    h = 0.8
    secant = np.array([0.5 - h, 0.5 + h])
    slope = (np.tanh(0.5 + h) - np.tanh(0.5 - h)) / (2 * h)
    line = np.tanh(0.5 - h) + slope * (secant - secant[0])
    tangent = np.tanh(0.5) + (1 - np.tanh(0.5) ** 2) * (x - 0.5)
    curves = {"f": (x, np.tanh(x)), "quotient": (secant, line), "slope": (x, tangent)}
    return curves_of(curves, "(f(x + h) − f(x − h)) / 2h")


def _paths() -> Drawing:
    def p() -> Any:
        return {"p": np.zeros(2, "float32")}

    ways = {
        "SGD": SGD(p(), lr=0.15),
        "momentum": SGD(p(), lr=0.03, momentum=0.8),
        "Adam": Adam(p(), lr=0.2),
    }
    return paths(ways, (-3.0, 1.0))


def _loss(criterion: nn.Loss, low: float = -3.0, high: float = 3.0) -> Drawing:
    """Of a criterion that compares numbers, for the target 0; of one for classes, for two outputs of which one is 0."""
    y = np.linspace(low, high, 121, dtype="float32")
    if criterion.classifies:
        rows = np.stack([y, np.zeros_like(y)], axis=1)
        return loss_curve(criterion, np.array([0]), rows, y)
    return loss_curve(criterion, np.zeros((1, 1), "float32"), y[:, None], y)


def _curves(*layers: Layer, low: float = -4.0) -> list[Make]:
    return [partial(activation_curve, layer, low) for layer in layers]


def _dice() -> Drawing:
    """Of one pixel in the region, as its output varies."""
    y = np.linspace(-4, 4, 121, dtype="float32")
    return loss_curve(nn.DiceLoss(sigmoid=True), np.ones((1, 1, 1, 1), "float32"), y.reshape(-1, 1, 1, 1), y)


# By the name of the operation's module in `xpcnn.ops`, or of the derivation.
DRAWINGS: dict[str, list[Make]] = {
    "window": [lambda: draw(Window(3, stride=2, padding=1), (5, 5, 1), steps=("y",))],
    "conv": [
        _conv(1, 1, 3, (5, 5, 1), "y", "dw", "dx", stride=2, padding=1),
        _conv(1, 1, 3, (5, 5, 1), "y", "dx", dilation=2, padding=2),
    ],
    "groups": [_conv(4, 4, 3, (3, 3, 4), "y", "dx", groups=2, padding=1)],
    "separable": [_of(lambda: nn.Resample((4, 4), (2, 2)), (4, 4, 1), "y", "dx")],
    "conv_transpose": [
        _of(lambda: nn.ConvTranspose2d(1, 1, 3, stride=2, rng=0), (3, 3, 1), "y", "dw", "dx"),
    ],
    "linear": [_of(lambda: nn.Linear(5, 3, rng=0), (5,))],
    "pool": [
        _of(lambda: nn.MaxPool2d(3, stride=2, padding=1), (5, 5, 1), numbers=True),
        _of(lambda: nn.AvgPool2d(2), (4, 4, 1)),
    ],
    "global_pool": [
        _of(nn.GlobalMaxPool2d, (3, 3, 2), numbers=True),
        _of(nn.GlobalAvgPool2d, (3, 3, 2)),
    ],
    "adaptive_pool": [_of(lambda: nn.AdaptiveAvgPool2d((2, 3)), (5, 6, 1), "y", "dx")],
    "batch_norm": [_of(lambda: nn.BatchNorm2d(2), (3, 3, 2), "μ", "y", "dγ", "dx")],
    "norm": [
        _of(lambda: nn.LayerNorm(4), (4,), "μ", "x̂", "y", "dx"),
        _of(lambda: nn.GroupNorm(2, 4), (2, 2, 4), "μ", "dx"),
    ],
    "normalize": [_of(lambda: nn.Normalize((0.5, 0.4), (0.25, 0.5)), (3, 3, 2))],
    "softmax": [_of(nn.Softmax, (5,)), _of(nn.LogSoftmax, (5,), "y", "dx")],
    "l2_normalize": [_of(nn.L2Normalize, (4,), "y", "dx")],
    "response_norm": [_of(lambda: nn.LocalResponseNorm(3), (2, 2, 4), "y", "dx")],
    "dropout": [_of(lambda: nn.Dropout(0.5, rng=1), (3, 4, 1), "y", "dx")],
    "scale": [_of(lambda: nn.Scale(2), (2, 2, 2), "y", "dx")],
    "pad": [_of(lambda: nn.ZeroPad2d((1, 0, 2, 1)), (3, 3, 1))],
    "edge_pad": [
        _of(lambda: nn.ReflectionPad2d(2), (4, 4, 1), "y", "dx", at=(0, 0, 1, 0)),
        _of(lambda: nn.ReplicationPad2d(2), (4, 4, 1), "y", "dx", at=(0, 0, 1, 0)),
    ],
    "upsample": [_of(lambda: nn.Upsample(2), (3, 3, 1))],
    "bilinear": [_of(lambda: nn.Upsample(2, mode="bilinear"), (3, 3, 1), "y", "dx")],
    "shuffle": [
        _of(lambda: nn.PixelShuffle(2), (2, 2, 4), "y", "dx"),
        _of(lambda: nn.ChannelShuffle(2), (2, 2, 4), "y", "dx"),
    ],
    "reduce": [_of(lambda: nn.Mean((1, 2)), (3, 3, 2), "y", "dx")],
    "add": [lambda: _join(nn.Add(), (3, 3, 1), (3, 3, 1))],
    "broadcast": [lambda: _join(nn.Add(), (2, 2, 2), (1, 1, 2))],
    "join": [
        lambda: _join(nn.Multiply(), (2, 2, 2), (1, 1, 2)),
        lambda: _join(nn.Concat(), (2, 2, 1), (2, 2, 2)),
    ],
    "rectifier": _curves(nn.ReLU(), nn.LeakyReLU(0.1), nn.ReLU6(), nn.ELU(), nn.SELU()),
    "activation": _curves(nn.Sigmoid(), nn.Tanh(), nn.SiLU()),
    "soft_activation": _curves(nn.Softplus(), nn.Mish(), nn.Softsign()),
    "hard_activation": _curves(nn.HardSigmoid(), nn.HardSwish()),
    "gelu": _curves(nn.GELU()),
    "clip": _curves(nn.Clip(-1, 2)),
    "elementary": [*_curves(nn.Abs(), nn.Exp()), *_curves(nn.Log(), nn.Power(-1.5), low=0.1)],
    "loss_elementwise": [
        *(partial(_loss, each) for each in (nn.MSELoss(), nn.L1Loss(), nn.HuberLoss())),
        partial(_loss, nn.BCEWithLogitsLoss()),
    ],
    "loss_classification": [partial(_loss, nn.CrossEntropyLoss()), partial(_loss, nn.HingeLoss())],
    "loss_focal": [partial(_loss, nn.FocalLoss(gamma=2.0)), partial(_loss, nn.FocalLoss(gamma=0.5))],
    "loss_dice": [_dice],
    "fast_convolution": [_conv(1, 1, 3, (4, 4, 1), "Y")],
    "optimizers": [_paths],
    "checking": [_difference],
}


def drawings(name: str) -> list[Drawing]:
    """The drawings of an operation or derivation; none if there are none.

    >>> drawings("linear")
    [Drawing(Linear: y, dw, db, dx)]
    """
    return [make() for make in DRAWINGS.get(name, ())]


def drawing_of(layer: Layer) -> Drawing | None:
    """The geometry of a layer, on an image as small as shows it; the curve of an activation; None for others.

    >>> drawing_of(nn.Conv2d(64, 128, 3, stride=2, padding=1))
    Drawing(Conv2d: y, dw, dx)
    """
    if isinstance(layer, Activation):
        return activation_curve(layer)
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.MaxPool2d | nn.AvgPool2d):
        return None
    window = layer.window
    reach = [d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]
    if max(reach) > LARGEST_REACH:
        return None
    if isinstance(layer, nn.ConvTranspose2d):
        small: Layer = nn.ConvTranspose2d(
            1, 1, window.kernel, stride=window.stride, padding=layer.padding, dilation=window.dilation, rng=0
        )
        return draw(small, (3, 3, 1), steps=("y", "dw", "dx"))
    pads = (0, 0, 0, 0) if isinstance(window.padding, str) else window.padding
    height, width = (
        max(reach[axis] + 2 * window.stride[axis] - pads[2 * axis] - pads[2 * axis + 1], 2) for axis in (0, 1)
    )
    if isinstance(layer, nn.Conv2d):
        groups = min(layer.groups, 2)
        own: Any = {"stride": window.stride, "padding": layer.padding, "dilation": window.dilation, "groups": groups}
        small = nn.Conv2d(groups, groups, window.kernel, rng=0, **own)
        return draw(small, (height, width, groups), steps=("y", "dw", "dx"))
    return draw(layer, (height, width, 1), steps=("y", "t", "dx") if isinstance(layer, nn.MaxPool2d) else ("y", "dx"))
