"""The gradients of inference, which are those of model(x). (`model.forward` gives those of training.)

    y, cache  = eval_mode(model).forward(x)          y = model(x)
    dx, grads = eval_mode(model).backward(dy, cache)

Most layers compute the same in both. Dropout and batch norm do not: their forward and backward are those of inference
in the layer that `in_inference` returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from ..errors import OptionError
from ..typing import Array, Cache
from .container import Container
from .dropout import Dropout
from .frozen_part import computes_as_ours
from .hooks import Hooks, with_hooks
from .layer import Layer, check_layer
from .norm import BatchNorm1d, BatchNorm2d

_DIFFERENT = (Dropout, BatchNorm1d, BatchNorm2d)  # in inference


class Inference(Hooks):
    """Hooks that run each layer's forward and backward as in inference. Running statistics do not change.

    >>> import numpy as np
    >>> from xpcnn.nn import BatchNorm1d
    >>> y, cache = eval_mode(BatchNorm1d(2), Inference()).forward(np.ones((1, 2), np.float32))
    >>> y.round(3)
    array([[1., 1.]], dtype=float32)
    """

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        return in_inference(layer).forward(x)

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        return in_inference(layer).backward(dy, cache, input_grad=input_grad)


def eval_mode(model: Layer, hooks: Inference | None = None) -> Layer:
    """The network in inference, with gradients: its forward returns model(x), its backward the gradients of model(x).

    It has the same layers, not copies. `forward` changes no running statistics and draws no dropout masks.

    Parameters
        model : any network
        hooks : your own subclass of `Inference`, to observe what passes through the layers
    Raises
        OptionError : a layer from outside xpcnn defines its own inference, whose gradients are unknown

    >>> import numpy as np
    >>> from xpcnn.nn import Dropout, Linear, Sequential
    >>> model = Sequential(Dropout(0.9, rng=0), Linear(2, 1, rng=0))
    >>> y, cache = eval_mode(model).forward(np.ones((1, 2), np.float32))
    >>> dx, _ = eval_mode(model).backward(np.ones_like(y), cache)
    >>> bool((dx == model[1].weight).all())
    True
    """
    check_layer("eval_mode", model)
    for name, layer in model.named_layers():
        check_inference(name, layer)
    return with_hooks(model, Inference() if hooks is None else hooks)


def in_inference(layer: Layer, frozen: Iterable[str] | None = None, *, infers: bool = True) -> Layer:
    """The layer as it is in inference: the same attributes (one `__dict__`), so that each sees what the other changes.

    Parameters
        frozen : names of its parameters that are not trained; None for those that are not already
        infers : False for the layer as it is in training
    """
    other = copy(layer)
    other.__dict__ = layer.__dict__
    other._infers, other._frozen = infers, layer.frozen if frozen is None else frozenset(frozen)
    return other


def check_inference(name: str, layer: Layer) -> None:
    """Raise an error if the gradients of the layer's inference are unknown.

    Raises
        OptionError
    """
    methods = ("__call__", "forward", "backward") if isinstance(layer, _DIFFERENT) else ("__call__",)
    if not computes_as_ours(layer, *methods) or (not isinstance(layer, Container) and _has_others_within(layer)):
        raise OptionError(
            f"layer {name}: gradients of inference",
            "layers whose inference is that of xpcnn's layers",
            type(layer).__name__,
            "let a layer made of layers derive from Container, without a __call__ of its own",
        )


def _has_others_within(layer: Layer) -> bool:
    """True if the layer contains layers that compute something else in training; its own forward would do so, too."""
    return any(isinstance(each, _DIFFERENT) for _, each in layer.named_layers() if each is not layer)
