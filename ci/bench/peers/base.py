"""The interface of a peer: training, inference, and one convolution.

Images are (N, H, W, C); a peer converts them to its layout once, before the timing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import Net


class Training(ABC):
    """A net, its loss and SGD with momentum, on one fixed batch."""

    @abstractmethod
    def parameter_count(self) -> int:
        """The number of trained numbers, as the peer counts them."""

    @abstractmethod
    def restart(self) -> None:
        """Restore the initial weights and zero momentum, so that late bursts of a run train like early ones."""

    @abstractmethod
    def step(self) -> Any:
        """Forward, cross-entropy, backward and update; returns the loss before the update, which `float` reads."""


class Peer(ABC):
    """One library in one process; the environment sets its number of threads."""

    package: str  # whose version is reported
    devices: tuple[str, ...] = ("cpu",)

    def __init__(self, threads: int, device: str) -> None:
        self.threads, self.device = threads, device
        if device not in self.devices:
            raise NotPossible(f"not measured on {device}")

    def about(self) -> str | None:
        """The device and how it computes; None for the processor."""
        return None

    def synchronize(self) -> None:  # noqa: B027  most peers compute where they are called
        """Wait until the device has finished its work."""

    def device_memory(self) -> int:
        """Bytes of device memory in use, by this process and others."""
        raise NotPossible("no device")

    @abstractmethod
    def training(self, net: Net) -> Training: ...

    @abstractmethod
    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        """A function that computes logits (N, K) of the net's x and waits for them."""

    @abstractmethod
    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        """A function that computes y, dx, dw, db of one convolution, in any layout, and waits for them."""
