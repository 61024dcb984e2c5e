"""Fuse or swap neighbouring layers of a `Sequential`, or of a chain in a `Graph`, to save passes over memory.

Training: ReLU and max pooling commute, bit for bit, and so do their gradients. Pooling first leaves less work for ReLU.

    max(0, max x) = max max(0, x)               (1)

Batch norm and a ReLU or ReLU6 that then still follows it run as one operation; so do, on CuPy, the batch norm at the
end of a `Residual`, its sum and a ReLU after it.

Inference: batch norm with running statistics is an affine map of each channel. After a convolution x ∗ w + b it is

    y = s (x ∗ w) + b′,   b′ = s (b − μ) + β    (2)
    s = γ / √(σ² + ε)                           (3)

This, or the same convolution with the filters s w, and the ReLU after it run while the numbers are in a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeGuard, TypeVar

from ..ops import dispatch
from ..ops.norm import check_shape
from ..typing import Array
from .activation import ReLU
from .container import Container
from .conv import Conv1d, Conv2d
from .hard_activation import ReLU6
from .layer import Layer
from .norm import BatchNorm1d, BatchNorm2d
from .pool import MaxPool1d, MaxPool2d

Kind = TypeVar("Kind", bound=Layer)
_NORM: dict[type[Layer], type[BatchNorm1d | BatchNorm2d]] = {Conv1d: BatchNorm1d, Conv2d: BatchNorm2d}
TrainingStep: TypeAlias = tuple[str, dict[str, Any]]
InferenceStep: TypeAlias = tuple[str, Callable[[Array], Array]]  # the name of its first layer


def training_steps(children: Mapping[str, Layer], *, sums: bool = False) -> list[TrainingStep]:
    """The children's names in the order in which they run, with the options of their forward; `sums` as in dispatch."""
    names = list(children)
    for i in range(len(names) - 1):
        if type(children[names[i]]) is ReLU and type(children[names[i + 1]]) in (MaxPool1d, MaxPool2d):
            names[i], names[i + 1] = names[i + 1], names[i]  # (1)
    steps: list[TrainingStep] = []
    for name in names:
        before = children[steps[-1][0]] if steps else None
        takes_relu = is_norm(before) or (sums and isinstance(before, Container) and before.takes_relu)
        if type(children[name]) is ReLU and takes_relu:
            steps[-1] = (steps[-1][0], steps[-1][1] or {"relu": True})  # after another, it changes nothing
        elif type(children[name]) is ReLU6 and is_norm(before) and not steps[-1][1]:
            steps[-1] = (steps[-1][0], {"relu6": True})
        else:
            steps.append((name, {}))
    return steps


def is_norm(layer: Layer | None) -> TypeGuard[BatchNorm1d | BatchNorm2d]:
    """Whether it is a batch norm that normalises with the statistics of the batch."""
    return layer is not None and type(layer) in _NORM.values() and not layer.infers


def inference_steps(children: Mapping[str, Layer]) -> list[InferenceStep]:
    """The children in their order; a convolution and the batch norm and ReLU after it are one step."""
    steps: list[InferenceStep] = []
    rest = list(children.items())
    while rest:
        name, layer = rest.pop(0)
        step: Callable[[Array], Array] = layer
        if isinstance(layer, Conv1d | Conv2d) and type(layer) in _NORM:
            norm, relu = _take(rest, _NORM[type(layer)]), _take(rest, ReLU)
            if norm is not None or relu is not None:
                step = FusedConvolution(layer, norm, relu is not None)
        steps.append((name, step))
    return steps


class FusedConvolution:
    """A convolution in inference, with or without the batch norm and the ReLU after it."""

    def __init__(self, conv: Conv1d | Conv2d, norm: BatchNorm1d | BatchNorm2d | None, relu: bool) -> None:
        self.conv, self.norm, self.relu = conv, norm, relu

    def __call__(self, x: Array) -> Array:
        conv = self.conv
        scale, b = None, conv.bias  # (F,)
        if self.norm is not None:
            who = f"{type(self.norm).__name__} after {type(conv).__name__}"
            check_shape(who, "running_mean", self.norm.running_mean, (conv.out_channels,))
            scale, b = affine(self.norm, b)
        return conv.infer(x, b, scale=scale, relu=self.relu)


def affine(norm: BatchNorm1d | BatchNorm2d, b: Array | None = None) -> tuple[Array, Array]:
    """s and b′ of a batch norm in inference, (C,) each; b is the bias of the convolution before it.  (2), (3)"""
    statistics = (norm.running_mean, norm.running_var)
    s_b: Any = dispatch.output("batch_norm_affine", norm.weight, norm.bias, *statistics, b, eps=norm.eps)
    scale, shift = s_b
    return scale, shift


def _take(rest: list[tuple[str, Layer]], kind: type[Kind]) -> Kind | None:
    """Remove and return the next layer if it is exactly of that class, else return None."""
    if not rest or not isinstance(layer := rest[0][1], kind) or type(layer) is not kind:
        return None
    rest.pop(0)
    return layer
