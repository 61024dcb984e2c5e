"""The networks of this folder by name, and the parts that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A network of a paper.

    Parameters
        name : the paper's
        make : the module, with weights of PyTorch's choice
        shapes : of its inputs, one item's, channels first
    """

    name: str
    make: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]


NETWORKS: list[Network] = []


def network(name: str, *shapes: Shape) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Enters a class without arguments into the catalogue."""

    def register(kind: type[nn.Module]) -> type[nn.Module]:
        NETWORKS.append(Network(name, kind, shapes))
        return kind

    return register


def conv(cin: int, cout: int, size: int = 3, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution whose output has the input's size, divided by the stride."""
    return nn.Conv2d(cin, cout, size, stride, dilation * (size // 2), dilation, groups)


def unit(cin: int, cout: int, size: int = 3, stride: int = 1, groups: int = 1, act: type = nn.ReLU) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    bare = nn.Conv2d(cin, cout, size, stride, size // 2, 1, groups, bias=False)
    return nn.Sequential(bare, nn.BatchNorm2d(cout), act())


class Sum(nn.Module):
    """x + body(x), or shortcut(x) + body(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.body(x)


class Cat(nn.Module):
    """The outputs of several branches, channels side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Squeeze(nn.Module):
    """Squeeze and excitation: a number for each channel, from the whole image, multiplies it."""

    def __init__(self, channels: int, hidden: int, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1), gate or nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x)


class HardSigmoid(nn.Module):
    """relu6(x + 3) / 6, as in its paper; the gradient of PyTorch's own has only float32's digits of 1/6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu6(x + 3) / 6


def head(channels: int, classes: int = 10) -> nn.Sequential:
    """Global average pooling and a fully connected layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
