"""DeZero, the library of "Deep Learning from Scratch 3", on NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

if not hasattr(np, "int"):
    setattr(np, "int", int)  # noqa: B010  # DeZero's default argument np.int left NumPy in 1.24

from dezero import Parameter, as_variable, no_grad, optimizers, test_mode
from dezero import functions as F

from ..errors import NotPossible
from ..geometry import Geometry
from ..nets import LEARNING_RATE, MOMENTUM, Document, Net, channels_first
from ..wiring import Wiring
from .base import Peer, Training

Function = Callable[[Any], Any]


class DeZero(Peer):
    package = "dezero"

    def training(self, net: Net) -> Training:
        return _Training(net)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model, x = _Model(net), _images(net)

        def run() -> np.ndarray:
            with no_grad(), test_mode():
                logits: np.ndarray = model(x).data
                return logits

        return run

    def convolution(self, geometry: Geometry) -> Callable[[], dict[str, np.ndarray]]:
        raise NotPossible("networks only")


class _Training(Training):
    def __init__(self, net: Net) -> None:
        self.net, self.x = net, _images(net)
        self.model = _Model(net)
        self.restart()

    def parameter_count(self) -> int:
        return sum(parameter.data.size for parameter in self.model.params())

    def restart(self) -> None:
        self.model.load()
        self.optimizer = optimizers.MomentumSGD(LEARNING_RATE, MOMENTUM).setup(self.model)

    def step(self) -> float:
        loss = F.softmax_cross_entropy(self.model(self.x), self.net.y)
        for parameter in self.model.params():
            parameter.cleargrad()
        loss.backward()
        self.optimizer.update()
        return float(loss.data)


class _Model:
    """The net as a function, and its parameters as DeZero's optimizers want them."""

    def __init__(self, net: Net) -> None:
        self.initial = {
            name: np.ascontiguousarray(array.T) if array.ndim == 2 else array  # DeZero's dense weights are (in, out)
            for name, array in channels_first(net).items()
        }
        trained = (name for name in self.initial if not name.endswith(("running_mean", "running_var")))
        self.parameters = {name: Parameter(self.initial[name]) for name in trained}
        self.statistics: dict[str, np.ndarray] = {}
        self.function = self._build(net.document)
        self.load()

    def load(self) -> None:
        for name, array in self.initial.items():
            if name in self.parameters:
                self.parameters[name].data = array.copy()
            elif name in self.statistics:
                self.statistics[name][:] = array
            else:
                self.statistics[name] = array.copy()

    def params(self) -> Iterator[Any]:
        yield from self.parameters.values()

    def __call__(self, x: Any) -> Any:
        return self.function(as_variable(x))

    def _build(self, d: Document) -> Function:
        name, p, s = d["name"], self.parameters, self.statistics
        match d["type"]:
            case "Sequential":
                return _sequential([self._build(child) for child in d["children"].values()])
            case "Graph":
                wiring, children = Wiring(d), {key: self._build(child) for key, child in d["children"].items()}
                return lambda x: wiring.run(x, lambda entry, value: children[entry](value))
            case "Add":
                return lambda x: x[0] + x[1]
            case "Dropout" if d["p"] == 0:
                return lambda x: x
            case "Conv2d" if d["groups"] == 1 and d["dilation"] == [1, 1]:
                w, b = p[f"{name}.weight"], p.get(f"{name}.bias")
                return lambda x: F.conv2d(x, w, b, tuple(d["stride"]), d["padding"])
            case "Linear":
                return lambda x: F.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))
            case "BatchNorm2d":
                mean, var = f"{name}.running_mean", f"{name}.running_var"
                gamma, beta = p[f"{name}.weight"], p[f"{name}.bias"]
                return lambda x: F.batch_nrom(x, gamma, beta, s[mean], s[var], 1 - d["momentum"], d["eps"])
            case "ReLU":
                return F.relu
            case "ReLU6":
                return lambda x: F.clip(x, 0.0, 6.0)
            case "MaxPool2d":
                return lambda x: F.pooling(x, tuple(d["kernel_size"]), tuple(d["stride"]), d["padding"])
            case "GlobalAvgPool2d":
                return _global_average
            case "Flatten":
                return F.flatten
            case "Residual" | "AvgPool2d" | "ZeroPadChannels":
                raise NotPossible("DeZero has nothing that adds channels of zeros")
        raise NotPossible(f"DeZero has no such {d['type']}")


def _images(net: Net) -> np.ndarray:
    return np.ascontiguousarray(net.x.transpose(0, 3, 1, 2))


def _global_average(x: Any) -> Any:
    n, c, h, w = x.shape
    return F.sum(F.reshape(x, (n, c, h * w)), axis=2) * (1 / (h * w))  # backward of two axes at once fails


def _sequential(children: list[Function]) -> Function:
    def run(x: Any) -> Any:
        for child in children:
            x = child(x)
        return x

    return run
