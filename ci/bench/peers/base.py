"""What a peer does: train, infer, and (some) one convolution.

Images come as (N, H, W, C); a peer brings them into its own layout once, before anything is timed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import Net


class Training(ABC):
    """A net, its loss and SGD with momentum, on one fixed batch."""

    @abstractmethod
    def parameter_count(self) -> int:
        """Numbers that are trained, as the peer itself counts them."""

    @abstractmethod
    def restart(self) -> None:
        """Initial weights and zero momentum again: bursts late in a run train as early ones do."""

    @abstractmethod
    def step(self) -> float:
        """Forward, cross-entropy, backward and update; the loss before the update, when all is done."""

    def note(self) -> str | None:
        """What a reader must know about the figures, once steps have run."""
        return None


class Peer(ABC):
    """One library in one process, told by its environment how many threads to use."""

    package: str  # whose version is reported

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @abstractmethod
    def training(self, net: Net) -> Training: ...

    @abstractmethod
    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        """A function that computes logits (N, K) of the net's x and waits for them."""

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        """A function that computes y, dx, dw, db of one convolution, in any layout, and waits for them."""
        raise NotPossible("not part of the sweep")
