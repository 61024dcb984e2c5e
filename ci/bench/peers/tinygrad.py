"""tinygrad, jit-compiled on the CPU; it compiles with clang."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from tinygrad import Context, Tensor, TinyJit, nn

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Document, Net, channels_first
from ..wiring import Wiring
from .base import Peer, Training


class Tinygrad(Peer):
    package = "tinygrad"

    def __init__(self, threads: int, device: str) -> None:
        super().__init__(threads, device)
        names = ("clang", *(f"clang-{version}" for version in range(22, 13, -1)))
        clang = next(filter(shutil.which, names), None)
        if clang is None:
            raise NotPossible("there is no clang for it")
        os.environ["CC"] = clang

    def training(self, net: Net) -> Training:
        return _Training(net)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model, x = _Model(net), _images(net)
        run = TinyJit(lambda x: model(x).realize())

        def infer() -> np.ndarray:
            logits: np.ndarray = run(x).numpy()
            return logits

        return infer

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        raise NotPossible("networks only")


class _Training(Training):
    def __init__(self, net: Net) -> None:
        self.model, self.x = _Model(net), _images(net)
        self.y = Tensor(net.y.astype(np.int32)).realize()
        self.optimizer = nn.optim.SGD(self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

        def step(x: Tensor, y: Tensor) -> Tensor:
            self.optimizer.zero_grad()
            loss = self.model(x).sparse_categorical_crossentropy(y).backward()
            return loss.realize(*self.optimizer.schedule_step(), *self.model.statistics())

        self.compiled = TinyJit(step)

    def parameter_count(self) -> int:
        return sum(math.prod(parameter.shape) for parameter in self.model.parameters())

    def restart(self) -> None:
        self.model.load()  # in place: the compiled step knows these buffers
        for velocity in self.optimizer.b:
            velocity.assign(Tensor.zeros(*velocity.shape)).realize()

    def step(self) -> float:
        with Context(TRAINING=1):
            return float(self.compiled(self.x, self.y).item())


class _Model:
    def __init__(self, net: Net) -> None:
        self.initial = channels_first(net)
        self.layers: dict[str, Any] = {}
        self.function = self._build(net.document)
        self.load()

    def load(self) -> None:
        for name, array in self.initial.items():
            layer, key = name.rsplit(".", 1)
            getattr(self.layers[layer], key).assign(Tensor(array)).realize()

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = self.function(x)
        return y

    def parameters(self) -> list[Tensor]:
        return [tensor for layer in self.layers.values() for tensor in (layer.weight, layer.bias) if tensor is not None]

    def statistics(self) -> list[Tensor]:
        norms = [layer for layer in self.layers.values() if hasattr(layer, "running_mean")]
        return [tensor for norm in norms for tensor in (norm.running_mean, norm.running_var)]

    def _build(self, d: Document) -> Callable[[Any], Tensor]:
        children = {name: self._build(child) for name, child in d.get("children", {}).items()}
        match d["type"]:
            case "Sequential":
                return lambda x: x.sequential(list(children.values()))
            case "Residual":
                around = children.get("shortcut") or (lambda x: x)
                return lambda x: children["body"](x) + around(x)
            case "Conv2d":
                sizes = (d["in_channels"], d["out_channels"], tuple(d["kernel_size"]), tuple(d["stride"]))
                layer: Any = nn.Conv2d(*sizes, d["padding"], tuple(d["dilation"]), d["groups"], d["bias"])
            case "Linear":
                layer = nn.Linear(d["in_features"], d["out_features"], d["bias"])
            case "BatchNorm2d":
                layer = nn.BatchNorm2d(d["num_features"], d["eps"], momentum=d["momentum"])
            case "Graph":
                wiring = Wiring(d)
                return lambda x: wiring.run(x, lambda name, value: children[name](value))  # type: ignore[no-any-return]
            case "Add":
                return lambda x: x[0] + x[1]
            case "ReLU":
                return Tensor.relu
            case "ReLU6":
                return Tensor.relu6
            case "Dropout" if d["p"] == 0:
                return lambda x: x
            case "MaxPool2d":
                return lambda x: x.max_pool2d(tuple(d["kernel_size"]), tuple(d["stride"]), padding=d["padding"])
            case "AvgPool2d" if d["kernel_size"] == [1, 1] and not d["padding"]:
                rows, columns = d["stride"]
                return lambda x: x[:, :, ::rows, ::columns]
            case "GlobalAvgPool2d":
                return lambda x: x.mean((2, 3))
            case "ZeroPadChannels":
                return lambda x: x.pad((None, (d["before"], d["after"]), None, None))
            case "Flatten":
                return lambda x: x.flatten(1)
            case other:
                raise NotPossible(f"no {other} in this benchmark's tinygrad")
        self.layers[d["name"]] = layer
        return layer  # type: ignore[no-any-return]


def _images(net: Net) -> Tensor:
    return Tensor(np.ascontiguousarray(net.x.transpose(0, 3, 1, 2))).realize()
