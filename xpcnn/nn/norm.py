"""Normalisation layers; equations in `xpcnn.ops.batch_norm` and `xpcnn.ops.norm`.

Batch norm in inference takes μ and σ² from its running statistics, which do not depend on x. It is therefore an affine
map of each channel. Where its gradients are wanted (`nn.eval_mode`, `nn.freeze`), they are

    x̂ = r (x − μ),   r = 1 / √(σ² + ε)                  (1)
    y = γ x̂ + β                                         (2)
    dx = γ r dy                                         (3)
    dγ = Σ dy · x̂,   dβ = Σ dy                          (4)

Compare (3) with equation 5 of `xpcnn.ops.batch_norm`, in which μ and σ² are the batch's and depend on x.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from ..backend import array_namespace
from ..errors import OptionError
from ..ops import dispatch, norm
from ..ops.check import check_array, check_batch, check_floats, check_gradient
from ..options import as_count, as_flag, as_number
from ..shards import current
from ..typing import Array, Cache, Shape
from .init import constant, draw
from .weighted import WeightedLayer


class Normalization(WeightedLayer):
    """Base class: the `weight` is γ, and the `bias` β."""

    def _start(self, shape: Shape, weight: bool, bias: bool) -> None:
        self.weight = draw(constant(1.0), shape) if weight else None
        self.bias = draw(constant(0.0), shape) if bias else None


class _BatchNorm(Normalization):
    pair_backward = staticmethod(dispatch.backward)
    buffer_names = ("running_mean", "running_var")
    config_names = ("num_features", "eps", "momentum", "affine")

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        who = type(self).__name__
        self.num_features = num_features = as_count(who, "num_features", num_features)
        self.eps = as_number(who, "eps", eps, "(0, inf)")
        self.momentum = as_number(who, "momentum", momentum, "[0, 1]")
        self.affine = affine = as_flag(who, "affine", affine)
        self._start((num_features,), affine, affine)
        self.running_mean = draw(constant(0.0), (num_features,))
        self.running_var = draw(constant(1.0), (num_features,))

    def __call__(self, x: Array) -> Array:
        self._check(x)
        return dispatch.output(
            "batch_norm_inference", x, self.weight, self.bias, self.running_mean, self.running_var, eps=self.eps
        )

    def forward(self, x: Array, *, relu: bool = False, relu6: bool = False) -> tuple[Array, Cache]:
        """The forward of every layer; `relu=True` or `relu6=True` also applies that activation after this layer."""
        if self.infers:
            r = 1 / array_namespace(x).sqrt(self.running_var + self.eps)  # (C,)  (1)
            x_hat = None if "weight" in self.frozen or self.weight is None else r * (x - self.running_mean)  # (1)
            return self(x), (x_hat, r, tuple(x.shape))  # (2)
        self._check(x)
        if relu6:
            return self._forward("batch_norm_relu", x, relu6=True)
        return self._forward("batch_norm_relu" if relu else "batch_norm", x)

    def forward_sum(self, x: Array, added: Array, *, relu: bool = False) -> tuple[Array, Cache]:
        """The forward with another array added, and with `relu` the ReLU after the sum."""
        self._check(x)
        return self._forward("batch_norm_add", x, added, relu=relu)

    def backward_sum(
        self, dy: Array, cache: Cache, input_grad: bool = True
    ) -> tuple[tuple[Array | None, Array], dict[str, Array]]:
        """The gradients of `forward_sum`: dx and that of what was added, and those of the parameters."""
        dx, dadded, *both = dispatch.backward(dy, cache, input_grad=input_grad)
        named = zip(self.parameter_names, both, strict=True)
        return (dx, dadded), {name: grad for name, grad in named if grad is not None}

    def _forward(self, op: str, *arrays: Array, **more: Any) -> tuple[Array, Cache]:
        x, shard = arrays[0], current()
        options = {"eps": self.eps, "shards": shard, **more}
        y, cache, (mean, var) = dispatch.forward(op, *arrays, self.weight, self.bias, **options)
        count = math.prod(x.shape[:-1])
        if shard is not None:
            if not shard.leads:
                return y, cache
            count = shard.in_the_batch(count)
        # New arrays, never written in place: references to the old ones keep the old values.
        before = (self.running_mean, self.running_var)
        moved: Any = dispatch.output("running_statistics", *before, mean, var, momentum=self.momentum, count=count)
        self.running_mean, self.running_var = moved
        return y, cache

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        if not self.infers:
            return super().backward(dy, cache, input_grad=input_grad)
        x_hat, r, shape = cache  # (N, …, C) or None, (C,)
        check_gradient(type(self).__name__, dy, shape)
        xp, grads = array_namespace(dy), {}
        if x_hat is not None:
            grads["weight"] = norm.sum_rows(dy * x_hat, xp)  # (C,)  (4)
        if self.bias is not None and "bias" not in self.frozen:
            grads["bias"] = norm.sum_rows(dy, xp)  # (C,)  (4)
        return (r if self.weight is None else self.weight * r) * dy if input_grad else None, grads  # (3)

    def _check(self, x: Array) -> None:
        who = f"{type(self).__name__}({self.num_features})"
        check_array(who, x)
        check_batch(who, x, *self._axes(x), self.num_features)
        check_floats(who, x, self.running_mean, self.running_var)

    @abstractmethod
    def _axes(self, x: Array) -> tuple[str, ...]:
        """The names of the axes between N and C."""


class BatchNorm1d(_BatchNorm):
    """Normalises each feature over the batch.

    `forward` uses the batch's mean and variance and moves the running ones towards them:
    running = (1 − momentum) · running + momentum · batch's, with the variance over M − 1 as in PyTorch.
    `layer(x)` uses the running ones.

    Parameters
        num_features : C
        eps : added to the variance
        momentum : weight of the new batch in the running statistics, in [0, 1]
        affine : whether to have `weight` and `bias`
    Parameters that are trained
        weight : (C,), starts at 1;  bias : (C,), starts at 0
    Buffers
        running_mean, running_var : (C,)
    Shapes
        (N, C) → (N, C) or (N, L, C) → (N, L, C)
    Raises
        ShapeError : also if `forward` gets only one value per feature
        OptionError, DTypeError

    >>> import numpy as np
    >>> layer = BatchNorm1d(1)
    >>> y, cache = layer.forward(np.array([[1.0], [3.0]], np.float32))
    >>> y.round(3).tolist(), layer.running_mean.round(3).tolist(), layer.running_var.round(3).tolist()
    ([[-1.0], [1.0]], [0.20000000298023224], [1.100000023841858])
    """

    keeps_columns = True

    def _axes(self, x: Array) -> tuple[str, ...]:
        return ("L",) if x.ndim == 3 else ()


class BatchNorm2d(_BatchNorm):
    """Normalises each channel over all pixels of the batch; otherwise like `BatchNorm1d`.

    Parameters
        num_features : C
        eps : added to the variance
        momentum : weight of the new batch in the running statistics, in [0, 1]
        affine : whether to have `weight` and `bias`
    Parameters that are trained
        weight : (C,), starts at 1;  bias : (C,), starts at 0
    Buffers
        running_mean, running_var : (C,)
    Shapes
        (N, H, W, C) → (N, H, W, C)
    Raises
        ShapeError, OptionError, DTypeError

    >>> import numpy as np
    >>> BatchNorm2d(3)(np.zeros((8, 4, 4, 3), np.float32)).shape
    (8, 4, 4, 3)
    """

    def _axes(self, x: Array) -> tuple[str, ...]:
        return ("H", "W")


class LayerNorm(Normalization):
    """Normalises each item over its last axes.

    Parameters
        normalized_shape : lengths of these axes; a number for one
        eps : added to the variance
        elementwise_affine : whether to have `weight` and `bias`
        bias : False omits only `bias`
    Parameters that are trained
        weight, bias : normalized_shape, start at 1 and 0
    Shapes
        (N, …, *normalized_shape) → the same
    Raises
        ShapeError, OptionError, DTypeError

    >>> import numpy as np
    >>> LayerNorm(2)(np.array([[1.0, 3.0]], np.float32)).round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    pair_backward = staticmethod(norm.layer_norm_backward)
    config_names = ("normalized_shape", "eps", "elementwise_affine", "bias")
    keeps_columns = True

    def __init__(
        self,
        normalized_shape: int | Shape,
        *,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple(as_count("LayerNorm", "normalized_shape", size) for size in shape)
        if not shape:
            raise OptionError("LayerNorm", "normalized_shape: one axis or more", "()")
        self.eps = as_number("LayerNorm", "eps", eps, "(0, inf)")
        self.elementwise_affine = affine = as_flag("LayerNorm", "elementwise_affine", elementwise_affine)
        self._start(self.normalized_shape, affine, as_flag("LayerNorm", "bias", bias) and affine)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        check_array("LayerNorm", x)
        axes = len(self.normalized_shape)
        free = x.shape[1 : max(x.ndim - axes, 1)]  # any lengths
        check_batch(f"LayerNorm{self.normalized_shape}", x, *free, *self.normalized_shape)
        return norm.layer_norm_forward(x, self.weight, self.bias, axes=axes, eps=self.eps)


class GroupNorm(Normalization):
    """Normalises each image over its pixels and over groups of neighbouring channels.

    Parameters
        num_groups : G, which divides num_channels
        num_channels : C
        eps : added to the variance
        affine : whether to have `weight` and `bias`
    Parameters that are trained
        weight, bias : (C,), start at 1 and 0
    Shapes
        (N, …, C) → (N, …, C)
    Raises
        ShapeError, OptionError, DTypeError

    >>> import numpy as np
    >>> GroupNorm(2, 4)(np.array([[1.0, 3.0, 5.0, 9.0]], np.float32)).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    pair_backward = staticmethod(norm.group_norm_backward)
    config_names = ("num_groups", "num_channels", "eps", "affine")

    def __init__(self, num_groups: int, num_channels: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        self.num_groups = num_groups = as_count("GroupNorm", "num_groups", num_groups)
        self.num_channels = num_channels = as_count("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise OptionError("GroupNorm", f"groups that divide the {num_channels} channels", str(num_groups))
        self.eps = as_number("GroupNorm", "eps", eps, "(0, inf)")
        self.affine = affine = as_flag("GroupNorm", "affine", affine)
        self._start((num_channels,), affine, affine)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        who = f"GroupNorm({self.num_groups}, {self.num_channels})"
        check_array(who, x)
        check_batch(who, x, *x.shape[1:-1], self.num_channels)
        return norm.group_norm_forward(x, self.weight, self.bias, groups=self.num_groups, eps=self.eps)
