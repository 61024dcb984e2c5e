"""Makes an `Explanation` from a network, a layer's name and an input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import DataError, OptionError, ShapeError, one_line, printable
from ..nn import (
    Add,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Dropout1d,
    Dropout2d,
    Layer,
    Linear,
    Multiply,
    PReLU,
    StochasticDepth,
)
from ..nn.activation import Activation, Identity
from ..nn.classification_loss import CrossEntropyLoss
from ..nn.hooks import find_layer, leaf_layers
from ..nn.layer import check_layer
from ..nn.loss import Loss
from ..nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from ..nn.normalize import Normalize
from ..nn.pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from ..nn.sequences import SequenceLayer
from ..nn.shape import Flatten, Unflatten, ZeroPad2d, ZeroPadChannels
from ..nn.softmax import LogSoftmax, Softmax
from ..nn.upsample import Upsample
from ..ops.check import check_array, check_floats
from ..ops.softmax import softmax_forward
from ..options import as_names
from ..typing import Array, NDArray
from .activation import activation, dropout, prelu
from .convolution import convolution, transposed
from .explanation import Explanation, Index
from .generic import other
from .join import join
from .layer_norm import set_norm
from .linear import linear
from .loss import cross_entropy
from .norm import batch_norm, normalize
from .pooling import adaptive_average_pooling, average_pooling, global_average_pooling, global_max_pooling, max_pooling
from .run import Pass, Visit, run
from .shape import flatten, identity, unflatten, upsampling, zero_padding
from .softmax import softmax

LOSS = "loss"

# The function that explains exactly this class of layer, and the module of `xpcnn.ops` with its equations.
EXPLAINERS: dict[type[Layer], tuple[Callable[..., None], str]] = {
    Conv2d: (convolution, "conv"),
    ConvTranspose2d: (transposed, "conv_transpose"),
    Linear: (linear, "linear"),
    MaxPool2d: (max_pooling, "pool"),
    AvgPool2d: (average_pooling, "pool"),
    GlobalMaxPool2d: (global_max_pooling, "global_pool"),
    GlobalAvgPool2d: (global_average_pooling, "global_pool"),
    AdaptiveAvgPool2d: (adaptive_average_pooling, "adaptive_pool"),
    BatchNorm1d: (batch_norm, "batch_norm"),
    BatchNorm2d: (batch_norm, "batch_norm"),
    LayerNorm: (set_norm, "norm"),
    GroupNorm: (set_norm, "norm"),
    Normalize: (normalize, "normalize"),
    Flatten: (flatten, ""),
    Unflatten: (unflatten, ""),
    Identity: (identity, ""),
    ZeroPad2d: (zero_padding, "pad"),
    ZeroPadChannels: (zero_padding, "pad"),
    Upsample: (upsampling, "upsample"),
    Softmax: (softmax, "softmax"),
    LogSoftmax: (softmax, "softmax"),
    Dropout: (dropout, "dropout"),
    Dropout1d: (dropout, "dropout"),
    Dropout2d: (dropout, "dropout"),
    StochasticDepth: (dropout, "dropout"),
    PReLU: (prelu, "rectifier"),
    **{kind: (activation, kind.formula.module) for kind in Activation.__subclasses__() if "formula" in vars(kind)},
}

# The same for layers that read several values.
JOINS: dict[type[Layer], tuple[Callable[..., None], str]] = dict.fromkeys((Add, Multiply, Concat), (join, "join"))


def explain(
    model: Layer,
    layer: str | int,
    x: Array,
    *,
    target: Any = None,
    dy: Array | None = None,
    at: Iterable[int] | None = None,
    classes: Iterable[str] = (),
) -> Explanation:
    """Real numbers through one layer of a network, forward and backward, next to its formulas.

    They come from one training step on `x`: forward through the whole network, the cross-entropy with `target` (its
    mean over the batch), and backward. The network stays unchanged.

    Parameters
        model : a network, or a single layer
        layer : the dotted name of a layer that is not a container ("" for a model that is a single layer), or "loss"
        x : Array (N, …), float, of the model's dtype
        target : class of each row of the output, or one for all; None takes the class with the highest output
        dy : Array of the output's shape, ∂L/∂output, instead of a loss
        at : the element of the layer's output to work out, with or without the batch index; None takes the
            largest of the first item
        classes : names of the network's outputs
    Returns
        explanation : for `text` and `html`
    Raises
        OptionError : there is no such layer or element, or target and dy are both given
        ShapeError, DTypeError, DataError

    >>> from xpcnn import nn
    >>> layer = nn.Conv2d(1, 1, (1, 2), bias=False)
    >>> _ = layer.load_state_dict({"weight": np.array([[[[3.0], [-1.0]]]])})
    >>> x = np.array([[[[1.0], [2.0], [5.0]]]], "float32")
    >>> page = explain(layer, "", x, dy=np.ones((1, 1, 2, 1), "float32"))
    >>> [step.makes for step in page.steps], page.arrays["y"].values.ravel().tolist()
    (['y', 'Y', 'dw', 'dx'], [1.0, 1.0])
    """
    check_layer("explain", model)
    names = as_names("explain", "classes", classes)
    name = LOSS if str(layer) == LOSS else find_layer("explain", model, layer, also=f", or {LOSS}")[0]
    check_input("explain", x)
    done = run(model, name, x, target=target, dy=dy)  # no layer is called "loss"
    page = Explanation("CrossEntropyLoss()", printable(name))
    page.path = [(printable(each), type(own).__name__) for each, own in leaf_layers(model).items()]
    page.path += [] if done.loss is None else [(LOSS, "CrossEntropyLoss")]
    if name == LOSS:
        if done.target is None:
            raise OptionError("explain", "a target, to explain the loss", "dy", "leave dy out")
        page.source = "xpcnn.ops.loss_classification"
        focus = (0, int(done.target[0])) if at is None else _position(at, done.output)
        describe(page, done, x, tuple(map(one_line, names)), focus[0])
        cross_entropy(page, done, focus)
        return page
    visit = done.visits[0]
    focus = largest_output(visit.y) if at is None else _position(at, visit.y)
    page.title = repr(visit.layer)
    describe(page, done, x, tuple(map(one_line, names)), focus[0])
    if len(done.visits) > 1:
        page.notes.append(f"The layer stands in {len(done.visits)} places of the network; this is the first.")
    if isinstance(visit.layer, (BatchNorm1d, BatchNorm2d)):
        items = f"this batch of {x.shape[0]}" if x.shape[0] > 1 else "this one item"
        page.notes.append(
            f"Mean and variance are those of {items}, as in training; inference uses the running ones, which stay."
        )
    show(page, visit, focus)
    return page


def check_input(who: str, x: Array) -> None:
    """Refuse what is no batch of finite numbers.

    Raises
        ShapeError, DTypeError, DataError
    """
    check_array(who, x)
    check_floats(who, x)
    if x.ndim < 2 or 0 in x.shape:
        raise ShapeError(who, "x: a batch (N, …) of one item or more", str(tuple(x.shape)), "x[None, ...]")
    if not np.isfinite(to_numpy(x)).all():
        raise DataError(who, "finite numbers in x", "NaN or infinity")


def show(page: Explanation, visit: Visit, focus: Index) -> None:
    """Add the arrays and steps of a layer's call, with this element of its output worked out."""
    if isinstance(visit.layer, SequenceLayer):
        page.notes.append("Sequences (N, L, C) are shown as the images of height 1 that they are, (N, 1, L, C).")
        visit, focus = visit.of_images(), (focus[0], 0, *focus[1:]) if len(focus) == 3 else focus
    explainer, module = {**EXPLAINERS, **JOINS}.get(type(visit.layer), (other, ""))
    if visit.layer.infers:
        page.notes.append("This layer is frozen: it runs as in inference, and is not trained.")
        if isinstance(visit.layer, BatchNorm1d | BatchNorm2d | Dropout | PReLU):  # whose formulas are those of training
            explainer, module = other, ""
    page.source = f"xpcnn.ops.{module}" if module else type(visit.layer).__module__
    page.layer = visit.layer
    explainer(page, visit, visit.layer, focus)


def largest_output(y: Array) -> Index:
    """The index of the largest number of the first item."""
    first = to_numpy(y)[0]
    place = np.unravel_index(int(np.where(np.isnan(first), -np.inf, first).argmax()), first.shape)
    return (0, *(int(k) for k in place))


def _position(at: Iterable[int], y: Array) -> Index:
    if not isinstance(at, Iterable) or getattr(at, "ndim", 1) != 1:
        raise OptionError("explain", "at: indices, such as (2, 3, 0)", repr(at)[:80])
    given, shape = tuple(at), tuple(y.shape)
    index = given
    if len(index) == len(shape) - 1:
        index = (0, *index)
    whole = all(isinstance(k, Integral) for k in index)
    if not (whole and len(index) == len(shape) and all(0 <= k < size for k, size in zip(index, shape, strict=True))):
        raise OptionError("explain", f"at: an element of the layer's output {shape[1:]}", str(given)[:80])
    return tuple(int(k) for k in index)


def describe(
    page: Explanation, done: Pass, x: Array, classes: tuple[str, ...], n: int, criterion: Loss | None = None
) -> None:
    """Add what was run to the page's notes, and its image."""
    page.image = _image(x, n)
    items = "one item" if x.shape[0] == 1 else f"a batch of {x.shape[0]} items, of which item {n} is shown"
    page.notes.append(f"A training pass of {items}, forward and backward; the network is left as it was.")
    if done.target is None:
        page.notes.append("Backward begins with the gradient of the output that was given.")
        return
    if not isinstance(criterion, CrossEntropyLoss | None) or np.ndim(to_numpy(done.target)) != 1:
        page.notes.append(f"Loss: {criterion!r}, {done.loss:z.4g}.")
        return

    def named(k: int) -> str:
        return f"{k} ({classes[k]})" if k < len(classes) and classes[k] != str(k) else str(k)

    p = to_numpy(softmax_forward(to_numpy(done.output).astype(np.float64))[0])[n]
    true, best = int(done.target[n]), int(p.argmax())
    mean = ", the mean over the batch" if x.shape[0] > 1 else ""
    page.notes.append(
        f"Loss: cross-entropy {done.loss:z.4g}{mean}. Probability of the target {named(true)}: {p[true]:.4g}; "
        f"in this pass, the network says {named(best)} with {p[best]:.4g}."
    )


def _image(x: Array, n: int) -> NDArray | None:
    """Item n, if it can be shown as an image."""
    host = to_numpy(x)[n]
    looks = host.ndim == 3 and host.shape[2] in (1, 3) and host.min() >= 0 and host.max() <= 1
    return host if looks and max(host.shape) > 1 else None
