"""The implementations of operations: the references, and where the faster ones are.

Every operation has a reference implementation in this folder, in plain array-API code. Those listed here also have
faster ones in `xpcnn.kernels`; `xpcnn.ops.dispatch` chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import (
    activation,
    batch_norm,
    conv,
    gather,
    gelu,
    global_pool,
    hard_activation,
    join,
    linear,
    loss_classification,
    pad,
    pool,
    rectifier,
    soft_activation,
)
from .add import add


@dataclass(frozen=True)
class Implementation:
    """A forward/backward pair under the contract of the operation's reference."""

    name: str
    refuses: Callable[..., str | None]  # called with forward's arguments; a reason, or None to accept
    forward: Callable[..., Any]  # (y, cache), and any other value that the reference returns
    backward: Callable[..., Any] | None  # None if the operation has no cache


def _never(*args: Any, **options: Any) -> None:
    return None


ACTIVATIONS = {  # and the module of each
    "leaky_relu": rectifier, "elu": rectifier, "selu": rectifier,
    "sigmoid": activation, "tanh": activation, "gelu_tanh": activation, "silu": activation, "softplus": activation,
    "clip": hard_activation, "relu6": hard_activation, "hard_sigmoid": hard_activation, "hard_swish": hard_activation,
    "mish": soft_activation, "softsign": soft_activation, "celu": soft_activation, "gelu": gelu,
}  # fmt: skip
REFERENCE = {
    op: Implementation("reference", _never, forward, backward)
    for op, forward, backward in (
        ("conv2d", conv.conv2d_forward, conv.conv2d_backward),
        ("conv2d_inference", conv.conv2d_inference, None),
        ("linear", linear.linear_forward, linear.linear_backward),
        ("relu", rectifier.relu_forward, rectifier.relu_backward),
        ("max_pool2d", pool.max_pool2d_forward, pool.max_pool2d_backward),
        ("max_pool2d_inference", pool.max_pool2d_inference, None),
        ("avg_pool2d", pool.avg_pool2d_forward, pool.avg_pool2d_backward),
        ("global_avg_pool2d", global_pool.global_avg_pool2d_forward, global_pool.global_avg_pool2d_backward),
        ("batch_norm", batch_norm.batch_norm_forward, batch_norm.batch_norm_backward),
        ("batch_norm_relu", batch_norm.batch_norm_relu_forward, batch_norm.batch_norm_relu_backward),
        ("batch_norm_add", batch_norm.batch_norm_add_forward, batch_norm.batch_norm_add_backward),
        ("batch_norm_inference", batch_norm.batch_norm_inference, None),
        ("batch_norm_affine", batch_norm.batch_norm_affine, None),
        ("running_statistics", batch_norm.running_statistics, None),
        ("cross_entropy", loss_classification.cross_entropy_forward, loss_classification.cross_entropy_backward),
        ("gather_images", gather.gather_images, None),
        ("shift_images", gather.shift_images, None),
        ("zero_pad", pad.zero_pad_forward, pad.zero_pad_backward),
        ("add", add, None),
        ("add_join", join.add_forward, join.add_backward),
        ("multiply", join.multiply_forward, join.multiply_backward),
        ("maximum", join.maximum_forward, join.maximum_backward),
        ("minimum", join.minimum_forward, join.minimum_backward),
        ("prelu", rectifier.prelu_forward, rectifier.prelu_backward),
        *((op, getattr(own, f"{op}_forward"), getattr(own, f"{op}_backward")) for op, own in ACTIVATIONS.items()),
    )
}
FASTER = {  # module and name in xpcnn.kernels, the preferred one first
    "conv2d": (
        "compiled.depthwise.IMPLEMENTATION",
        "compiled.winograd.IMPLEMENTATION",
        "compiled.conv.IMPLEMENTATION",
        "depthwise.IMPLEMENTATION",
        "pointwise.IMPLEMENTATION",
        "tiles.IMPLEMENTATION",
        "taps.IMPLEMENTATION",
        "winograd.IMPLEMENTATION",
        "rows.IMPLEMENTATION",
        "im2col.IMPLEMENTATION",
        "cuda.conv.IMPLEMENTATION",
    ),
    "conv2d_inference": (
        "compiled.depthwise.INFERENCE",
        "compiled.winograd.INFERENCE",
        "compiled.conv.INFERENCE",
        "depthwise.INFERENCE",
        "pointwise.INFERENCE",
        "tiles.INFERENCE",
        "taps.INFERENCE",
        "winograd.INFERENCE",
        "rows.INFERENCE",
        "im2col.INFERENCE",
        "cuda.conv.INFERENCE",
    ),
    "linear": ("linear.IMPLEMENTATION",),
    "relu": ("compiled.activation.RELU", "relu.IMPLEMENTATION", "cuda.activation.RELU"),
    "max_pool2d": ("compiled.pool.MAX", "max_pool.IMPLEMENTATION", "cuda.pool.MAX"),
    "max_pool2d_inference": ("compiled.pool.MAX_INFERENCE", "max_pool.INFERENCE", "cuda.pool.MAX_INFERENCE"),
    "avg_pool2d": ("compiled.pool.AVG", "avg_pool.IMPLEMENTATION", "cuda.pool.AVG"),
    "global_avg_pool2d": ("global_pool.IMPLEMENTATION", "cuda.pool.GLOBAL_AVG"),
    "batch_norm": ("compiled.batch_norm.IMPLEMENTATION", "batch_norm.IMPLEMENTATION", "cuda.batch_norm.IMPLEMENTATION"),
    "batch_norm_relu": ("compiled.batch_norm.WITH_RELU", "batch_norm.WITH_RELU", "cuda.batch_norm.WITH_RELU"),
    "batch_norm_add": ("cuda.batch_norm.WITH_SUM",),
    "batch_norm_inference": ("compiled.batch_norm.INFERENCE", "batch_norm.INFERENCE", "cuda.batch_norm.INFERENCE"),
    "zero_pad": ("zero_pad.IMPLEMENTATION", "cuda.pad.IMPLEMENTATION"),
    "batch_norm_affine": ("cuda.batch_norm.AFFINE_MAP",),
    "running_statistics": ("cuda.batch_norm.STATISTICS",),
    "cross_entropy": (
        "compiled.cross_entropy.IMPLEMENTATION",
        "cuda.cross_entropy.IMPLEMENTATION",
    ),
    "gather_images": ("cuda.gather.IMPLEMENTATION",),
    "shift_images": ("cuda.gather.SHIFTED",),
    "add": ("compiled.join.SUM", "add.IMPLEMENTATION"),
    "add_join": ("add.JOIN", "cuda.join.ADD"),
    "multiply": ("cuda.join.MULTIPLY",),
    "maximum": ("compiled.join.MAXIMUM", "cuda.join.MAXIMUM"),
    "minimum": ("compiled.join.MINIMUM", "cuda.join.MINIMUM"),
    "prelu": ("compiled.prelu.IMPLEMENTATION", "cuda.activation.PRELU"),
    **{op: (f"compiled.activation.{op.upper()}", f"cuda.activation.{op.upper()}") for op in ACTIVATIONS},
    "relu6": ("compiled.activation.RELU6", "relu.RELU6", "cuda.activation.RELU6"),
    "tanh": ("cuda.activation.TANH",),
}
