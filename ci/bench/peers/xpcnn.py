"""xpcnn, through its public interface."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xpcnn import models, nn, optim

from ..geometry import Geometry
from ..nets import CLASSES, LEARNING_RATE, MOMENTUM, Net
from .base import Peer, Training


class Xpcnn(Peer):
    package = "xpcnn"

    def training(self, net: Net) -> Training:
        return XpcnnTraining(net)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model = model_of(net)
        return lambda: np.asarray(model(net.x))

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        g, arrays = geometry, geometry.arrays()
        layer = nn.Conv2d(
            g.cin, g.cout, g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation, groups=g.groups, rng=0
        ).load_state_dict({"weight": arrays["w"], "bias": arrays["b"]})
        x, dy = arrays["x"], arrays["dy"]

        def run() -> dict[str, Any]:
            y, cache = layer.forward(x)
            dx, grads = layer.backward(dy, cache)
            return {"y": y, "dx": dx, "dw": grads["weight"], "db": grads["bias"]}

        return run


def model_of(net: Net) -> nn.Sequential:
    return models.build(net.name, net.x.shape[1:], CLASSES, rng=0).load_state_dict(net.weights)


class XpcnnTraining(Training):
    def __init__(self, net: Net) -> None:
        self.model, self.criterion = model_of(net), nn.CrossEntropyLoss()
        self.net = net
        self.restart()

    def parameter_count(self) -> int:
        return sum(math.prod(array.shape) for array in self.model.parameters().values())

    def restart(self) -> None:
        self.model.load_state_dict(self.net.weights)
        self.optimizer = optim.SGD(self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def step(self) -> float:
        logits, cache = self.model.forward(self.net.x)
        loss, loss_cache = self.criterion.forward(logits, self.net.y)
        _, grads = self.model.backward(self.criterion.backward(loss_cache), cache, input_grad=False)
        self.optimizer.step(grads)
        return float(loss)
