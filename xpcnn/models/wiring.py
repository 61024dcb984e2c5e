"""The parts from which the large architectures are wired, with torchvision's names for their layers.

A name such as `layer1.0.conv1.weight` is a path: each container adds a part. So weights that were trained with
torchvision go over by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..nn import AdaptiveAvgPool2d, Add, BatchNorm2d, Conv2d, Graph, Layer, Multiply, ReLU, Sequential, Sigmoid
from ..random import Seed

Entries: TypeAlias = dict[str, tuple[Layer | str, ...]]  # of a `Graph`


def wired(layers: Mapping[str, Layer], reads: str = "x") -> Entries:
    """The entries of a graph in which each of the layers reads the one before it, and the first reads `reads`."""
    entries: Entries = {}
    for name, layer in layers.items():
        entries[name] = (layer, reads)
        reads = name
    return entries


def chain(layers: Mapping[str, Layer]) -> Graph:
    """One layer after another, with these names; in a `Sequential`, names are numbers."""
    return Graph(wired(layers))


def residual(entries: Entries, shortcut: str = "x", *after: Layer) -> Graph:
    """y = last entry + shortcut, which is another entry or the input, and the layers after the sum."""
    total = {"add": (Add(), list(entries)[-1], shortcut)}
    return Graph(entries | total | wired({f"after{i}": layer for i, layer in enumerate(after)}, "add"))


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    eps: float = 1e-5,
    momentum: float = 0.1,
    activation: Callable[[], Layer] | None = ReLU,
    rng: Seed,
) -> Sequential:
    """A convolution that keeps the size up to its stride, batch norm, and an activation: "0", "1" and "2"."""
    conv = Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=(kernel_size - 1) // 2,
        groups=groups,
        bias=False,
        rng=rng,
    )
    layers: list[Layer] = [conv, BatchNorm2d(out_channels, eps=eps, momentum=momentum)]
    return Sequential(*layers, *([] if activation is None else [activation()]))


def squeeze_excitation(
    channels: int,
    squeezed: int,
    *,
    activation: Callable[[], Layer] = ReLU,
    gate: Callable[[], Layer] = Sigmoid,
    rng: Seed,
) -> Graph:
    """y = x · gate(fc2(activation(fc1(mean of each channel)))): a factor for each channel, from the whole image.

    Source: J. Hu et al., Squeeze-and-excitation networks, 2017, equations 2 to 4.
    """
    layers = {
        "avgpool": AdaptiveAvgPool2d(1),
        "fc1": Conv2d(channels, squeezed, 1, rng=rng),
        "activation": activation(),
        "fc2": Conv2d(squeezed, channels, 1, weight_init="glorot_uniform", rng=rng),
        "scale_activation": gate(),
    }
    return Graph(wired(layers) | {"scaled": (Multiply(), "x", "scale_activation")})


def divisible(width: float, by: int = 8) -> int:
    """The multiple of `by` nearest to the width, but not below nine tenths of it.

    Source: torchvision, `_make_divisible`, after TensorFlow's MobileNets.
    """
    nearest = max(by, int(width + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * width else nearest
