"""The gradient of a class's score with respect to the image, for `saliency_map` and `grad_cam_map`."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..backend import array_namespace
from ..errors import DataError, OptionError, ShapeError
from ..nn.inference import Inference, eval_mode
from ..nn.layer import Layer, check_layer
from ..ops.one_hot import one_hot
from ..options import as_count
from ..typing import Array


def score_gradients(
    who: str, model: Layer, x: Array, target: int | Array | None, hooks: Inference | None = None
) -> tuple[Array, Array]:
    """∂S_c/∂x for each image, where S = model(x) are scores (N, K) and each image has its own class c.

    In inference no image's scores depend on another image, so one backward gives the gradients of all.

    Parameters
        model : a classifier, (N, H, W, C) → (N, K)
        x : Array (N, H, W, C), float
        target : c: one class for all, labels (N,), or None for each image's highest score
        hooks : they run at each layer
    Returns
        dx : Array, of x's shape
        classes : c, Array (N,) of integers
    Raises
        OptionError : no network, or the gradients of its inference are unknown
        ShapeError : no batch of images, or no classifier;  DataError : no such class
    """
    check_layer(who, model)
    if getattr(x, "ndim", 4) != 4:
        raise ShapeError(who, "images (N, H, W, C)", str(tuple(x.shape)), "of one image, pass x[None, ...]")
    network = eval_mode(model, hooks)
    scores, cache = network.forward(x)
    if scores.ndim != 2:
        raise ShapeError(who, "a classifier, whose output is (N, K)", str(tuple(scores.shape)))
    xp = array_namespace(scores)
    classes: Any = target
    if target is None:
        classes = xp.argmax(scores, axis=1)
    elif isinstance(target, Integral):
        one = as_count(who, "target", target, least=0)
        if one >= scores.shape[1]:
            raise DataError(who, f"an output 0 … {scores.shape[1] - 1}", str(one))
        classes = xp.full((scores.shape[0],), one, dtype=xp.int64, device=scores.device)
    elif not hasattr(target, "shape"):
        raise OptionError(who, "target: a class, an array (N,) of classes, or None", repr(target))
    dx, _ = network.backward(one_hot(who, classes, scores), cache)
    assert dx is not None
    return dx, classes
