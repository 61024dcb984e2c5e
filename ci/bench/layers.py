"""Times the parts of xpcnn's step: every leaf layer's forward and backward, within the steps of a whole net.

    GFLOP/s   2 · multiply-adds forward, and the same again for each of dw and dx that backward computes
    GB/s      bytes of x and y forward; of dy, dx and (if there are weights) x backward

A layer that runs as part of the one before it (a ReLU after batch norm) has no separate time. The rest of a step is the
loss, the optimizer, and the work of containers, such as adding a shortcut.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from .nets import Net
from .peers.xpcnn import XpcnnTraining


class _Row:
    """One leaf layer, and its work in each step."""

    def __init__(self, name: str, layer: Any) -> None:
        self.name, self.layer = name, layer
        self.forward: list[float] = []
        self.backward: list[float] = []
        self.multiply_adds = self.bytes_forward = self.bytes_backward = 0
        self.gradients = 0  # how many of dw and dx backward computes
        self.output: list[int] = []
        layer.forward = self._timed_forward(layer.forward)
        layer.backward = self._timed_backward(layer.backward)

    def _timed_forward(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(x: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            y, cache = forward(x, **options)
            self.forward.append(time.perf_counter() - begun)
            self.input_bytes = x.nbytes
            self.bytes_forward = x.nbytes + y.nbytes
            self.output = list(y.shape)
            self.multiply_adds = y.shape[0] * self.layer.multiply_adds(tuple(x.shape[1:]), tuple(y.shape[1:]))
            return y, cache

        return run

    def _timed_backward(self, backward: Callable[..., Any]) -> Callable[..., Any]:
        def run(dy: Any, cache: Any, *, input_grad: bool = True) -> Any:
            begun = time.perf_counter()
            dx, grads = backward(dy, cache, input_grad=input_grad)
            self.backward.append(time.perf_counter() - begun)
            self.gradients = bool(grads) + (dx is not None)
            self.bytes_backward = dy.nbytes + (0 if dx is None else dx.nbytes) + (self.input_bytes if grads else 0)
            return dx, grads

        return run

    def result(self, skip: int) -> dict[str, Any]:
        forward, backward = (_median(seconds[skip:]) for seconds in (self.forward, self.backward))
        return {
            "name": self.name,
            "type": type(self.layer).__name__,
            "output": self.output,
            "forward": forward,
            "backward": backward,
            "gflops_forward": _rate(2 * self.multiply_adds, forward),
            "gflops_backward": _rate(2 * self.multiply_adds * self.gradients, backward),
            "gb_per_s_forward": _rate(self.bytes_forward, forward),
            "gb_per_s_backward": _rate(self.bytes_backward, backward),
        }


def measure(net: str, document: dict[str, Any], arrays: str, seconds: float, warm_up: int) -> dict[str, Any]:
    """Median seconds of the step and of each leaf layer, in the order of the net."""
    training = XpcnnTraining(Net.read(net, document, arrays))
    rows = [_Row(name, layer) for name, layer in training.model.named_layers() if not layer.children()]
    steps: list[float] = []
    end = 0.0
    while len(steps) <= warm_up or time.perf_counter() < end:
        begun = time.perf_counter()
        training.step()
        steps.append(time.perf_counter() - begun)
        if len(steps) == warm_up:
            end = time.perf_counter() + seconds
        if len(steps) % 100 == 0:
            training.restart()
    return {"step": _median(steps[warm_up:] or steps), "rows": [row.result(warm_up) for row in rows]}


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds) if seconds else 0.0  # 0: the layer was not called separately


def _rate(amount: float, seconds: float) -> float:
    return amount / seconds / 1e9 if seconds else 0.0
