"""The gradients of inference, which are those of model(x). (`model.forward` gives those of training.)

    y, cache  = eval_mode(model).forward(x)          y = model(x)
    dx, grads = eval_mode(model).backward(dy, cache)

Most layers compute the same in both. In inference, dropout is the identity, with dx = dy. Batch norm takes μ and σ²
from its running statistics, which do not depend on x. It is therefore an affine map of each channel:

    x̂ = r (x − μ),   r = 1 / √(σ² + ε)                  (1)
    y = γ x̂ + β                                         (2)
    dx = γ r dy                                         (3)
    dγ = Σ dy · x̂,   dβ = Σ dy                          (4)

Compare (3) with equation 5 of `xpcnn.ops.batch_norm`, in which μ and σ² are the batch's and depend on x.
"""

from __future__ import annotations

from ..backend import array_namespace
from ..errors import OptionError
from ..ops.check import check_gradient
from ..ops.norm import sum_rows
from ..typing import Array, Cache
from .container import Container
from .dropout import Dropout
from .hooks import Hooks, with_hooks
from .layer import Layer, check_layer
from .norm import BatchNorm1d, BatchNorm2d, Normalization

_DROPOUT, _BATCH_NORM = Dropout.__call__, (BatchNorm1d.__call__, BatchNorm2d.__call__)


class Inference(Hooks):
    """Hooks that run each layer's forward and backward as in inference. Running statistics do not change."""

    def forward(self, name: str, layer: Layer, x: Array) -> tuple[Array, Cache]:
        if type(layer).__call__ is _DROPOUT:
            return x, None
        if type(layer).__call__ in _BATCH_NORM:
            assert isinstance(layer, BatchNorm1d | BatchNorm2d)
            r = 1 / array_namespace(x).sqrt(layer.running_var + layer.eps)  # (C,)  (1)
            return layer(x), (r * (x - layer.running_mean), r)  # (1), (2)
        return layer.forward(x)

    def backward(
        self, name: str, layer: Layer, dy: Array, cache: Cache, *, input_grad: bool
    ) -> tuple[Array | None, dict[str, Array]]:
        if type(layer).__call__ is _DROPOUT:
            return dy, {}
        if type(layer).__call__ in _BATCH_NORM:
            assert isinstance(layer, Normalization)
            x_hat, r = cache  # (N, …, C), (C,)
            check_gradient(type(layer).__name__, dy, x_hat.shape)
            xp = array_namespace(dy)
            grads = {}
            if layer.weight is not None:
                r = layer.weight * r
                grads["weight"] = sum_rows(dy * x_hat, xp)  # (C,)  (4)
            if layer.bias is not None:
                grads["bias"] = sum_rows(dy, xp)  # (C,)  (4)
            return r * dy if input_grad else None, grads  # (3)
        return layer.backward(dy, cache, input_grad=input_grad)


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
        own = not type(layer).__call__.__module__.startswith(__name__.partition(".")[0] + ".")
        if own or (not isinstance(layer, Container) and _has_others_within(layer)):
            raise OptionError(
                f"layer {name}: gradients of inference",
                "layers whose inference is that of xpcnn's layers",
                type(layer).__name__,
                "let a layer made of layers derive from Container, without a __call__ of its own",
            )
    return with_hooks(model, Inference() if hooks is None else hooks)


def _has_others_within(layer: Layer) -> bool:
    """True if the layer contains layers that compute something else in training; its own forward would do so, too."""
    within = (type(each).__call__ for _, each in layer.named_layers() if each is not layer)
    return any(call is _DROPOUT or call in _BATCH_NORM for call in within)
