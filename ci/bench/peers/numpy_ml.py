"""numpy-ml, whose layers are explanations rather than fast: its pooling is four nested Python loops."""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable
from typing import Any

import numpy as np

if not hasattr(collections, "Hashable"):
    setattr(collections, "Hashable", collections.abc.Hashable)  # noqa: B010  # numpy-ml looks where it was before 3.10

from numpy_ml.neural_nets import layers
from numpy_ml.neural_nets.losses import CrossEntropy
from numpy_ml.neural_nets.optimizers import SGD

from ..errors import NotPossible
from ..nets import CLASSES, LEARNING_RATE, MOMENTUM, Document, Net
from .base import Peer, Training


class NumpyMl(Peer):
    package = "numpy-ml"

    def training(self, net: Net) -> Training:
        return _Training(net)

    def inference(self, net: Net) -> Callable[[], np.ndarray]:
        model = _Model(net)
        return lambda: model.forward(net.x, keep=False)


class _Training(Training):
    def __init__(self, net: Net) -> None:
        self.net, self.loss = net, CrossEntropy()
        self.targets = np.eye(CLASSES, dtype=np.float32)[net.y]
        self.restart()

    def parameter_count(self) -> int:
        return sum(array.size for layer in self.model.trained for array in layer.parameters.values())

    def note(self) -> str | None:
        return "arithmetic in float64 where the library itself makes arrays"

    def restart(self) -> None:
        self.model = _Model(self.net)

    def step(self) -> float:
        probabilities = _softmax(self.model.forward(self.net.x, keep=True))
        loss = self.loss.loss(self.targets, probabilities) / len(self.targets)  # the library's is a sum
        dy = self.loss.grad(self.targets, probabilities) / np.float32(len(self.targets))
        for layer in reversed(self.model.layers):
            dy = layer.backward(dy)
        for layer in self.model.layers:
            layer.update() if layer in self.model.trained else layer.flush_gradients()
        return float(loss)


class _Model:
    def __init__(self, net: Net) -> None:
        self.layers: list[Any] = []
        self.trained: list[Any] = []
        for d in net.document["children"].values():
            self._add(d, net)

    def forward(self, x: Any, *, keep: bool) -> Any:
        for layer in self.layers:
            x = layer.forward(x, retain_derived=keep)
        return x

    def _add(self, d: Document, net: Net) -> None:
        match d["type"]:
            case "Conv2d" if d["groups"] == 1 and d["dilation"] == [1, 1] and d["bias"]:
                layer = layers.Conv2D(d["out_channels"], tuple(d["kernel_size"]), d["padding"], d["stride"][0])
                layer.in_ch = d["in_channels"]
                self._train(layer, d, net, (1, 2, 3, 0), (1, 1, 1, -1))
            case "Linear" if d["bias"]:
                layer = layers.FullyConnected(d["out_features"])
                layer.n_in = d["in_features"]
                self._train(layer, d, net, (1, 0), (1, -1))
            case "MaxPool2d":
                self.layers.append(layers.Pool2D(tuple(d["kernel_size"]), d["stride"][0], d["padding"], "max"))
            case "ReLU":
                self.layers[-1].act_fn = _relu()  # a part of the layer before it
            case "Flatten":
                self.layers.append(layers.Flatten())
            case "Conv2d" if not d["bias"]:
                raise NotPossible("its convolutions always have a bias")
            case other:
                raise NotPossible(f"no {other} in this benchmark's numpy-ml")

    def _train(self, layer: Any, d: Document, net: Net, axes: tuple[int, ...], bias: tuple[int, ...]) -> None:
        layer.optimizer = SGD(lr=LEARNING_RATE, momentum=MOMENTUM)
        layer._init_params()
        weight, b = net.weights[f"{d['name']}.weight"], net.weights[f"{d['name']}.bias"]
        layer.parameters = {"W": np.ascontiguousarray(weight.transpose(axes)), "b": b.reshape(bias).copy()}
        layer.gradients = {name: np.zeros_like(array) for name, array in layer.parameters.items()}
        self.layers.append(layer)
        self.trained.append(layer)


def _relu() -> Any:
    from numpy_ml.neural_nets.activations import ReLU

    return ReLU()


def _softmax(logits: Any) -> Any:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
