"""xpcnn, through its public interface."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import xpcnn
from xpcnn import nn, optim
from xpcnn.backend import synchronize

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Net, build
from .base import Peer, Training


class Xpcnn(Peer):
    """On the backend that XPCNN_BACKEND names, with plans, as `Trainer`, `xpcnn predict` and `xpcnn serve` use them."""

    planned = frozen = True
    package = "xpcnn"
    devices: tuple[str, ...] = ("cpu", "cuda")

    def __init__(self, threads: int, device: str) -> None:
        super().__init__(threads, device)
        xpcnn.asarray(np.ones((8, 8), np.float32)) @ xpcnn.asarray(np.ones((8, 8), np.float32))  # loads its libraries

    def about(self) -> str | None:
        if self.device == "cpu":
            return None
        import cupy

        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
        name, tf32 = properties["name"].decode(), os.environ.get("CUPY_TF32") == "1"
        return f"{name}, CUDA {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}, CuPy " + (
            f"{cupy.__version__}, products in {'TF32' if tf32 else 'float32'}"
        )

    def synchronize(self) -> None:
        synchronize()

    def device_memory(self) -> int:
        import cupy

        free, total = cupy.cuda.runtime.memGetInfo()
        return int(total - free)

    def training(self, net: Net) -> Training:
        return XpcnnTraining(net, self.planned)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        x, model = xpcnn.asarray(net.x), model_of(net)
        call: Any = nn.plan(model, tuple(x.shape[1:]), frozen=self.frozen) if self.planned else model
        return lambda: xpcnn.to_numpy(call(x))

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        g, arrays = geometry, geometry.arrays()
        layer = nn.Conv2d(
            g.cin, g.cout, g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation, groups=g.groups, rng=0
        ).load_state_dict({"weight": arrays["w"], "bias": arrays["b"]})
        x, dy = xpcnn.asarray(arrays["x"]), xpcnn.asarray(arrays["dy"])

        def run() -> dict[str, Any]:
            y, cache = layer.forward(x)
            dx, grads = layer.backward(dy, cache)
            found = {"y": y, "dx": dx, "dw": grads["weight"], "db": grads["bias"]}
            return {name: xpcnn.to_numpy(array) for name, array in found.items()}

        return run


class XpcnnLive(Xpcnn):
    """With plans that see weights that change."""

    frozen = False
    devices = ("cpu",)

    def training(self, net: Net) -> Training:
        raise NotPossible("for inference only")


class XpcnnLayers(Xpcnn):
    """The network as it is called: `model(x)`, and forward and backward of its layers."""

    planned = False
    devices = ("cpu",)


class XpcnnCompiled(Xpcnn):
    """With plans, and with the loops that numba compiles."""

    devices = ("cpu",)

    def __init__(self, threads: int, device: str) -> None:
        os.environ["XPCNN_NUMBA"] = "1"
        super().__init__(threads, device)
        layer = nn.BatchNorm2d(8)
        layer.forward(
            np.ones((64, 8, 8, 8), np.float32)
        )  # imports numba; the warm-up compiles the other loops, or reads them


def model_of(net: Net) -> Any:
    return build(net.name, net.x.shape[1:]).load_state_dict(net.weights)


class XpcnnTraining(Training):
    def __init__(self, net: Net, planned: bool) -> None:
        self.model, self.criterion = model_of(net), nn.CrossEntropyLoss()
        self.plan: Any = nn.plan_training(self.model) if planned else self.model
        self.weights, self.x, self.y = net.weights, xpcnn.asarray(net.x), xpcnn.asarray(net.y)
        self.restart()

    def parameter_count(self) -> int:
        return sum(math.prod(array.shape) for array in self.model.parameters().values())

    def restart(self) -> None:
        self.model.load_state_dict(self.weights)
        self.optimizer = optim.SGD(self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def step(self) -> Any:
        logits, cache = self.plan.forward(self.x)
        loss, loss_cache = self.criterion.forward(logits, self.y)
        _, grads = self.plan.backward(self.criterion.backward(loss_cache), cache, input_grad=False)
        self.optimizer.step(grads)
        return loss
