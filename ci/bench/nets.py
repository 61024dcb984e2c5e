"""The networks, as documents and arrays from which every peer builds the same net.

The parent describes xpcnn's model through its public attributes, so that there is one definition of each architecture,
and writes the initial weights and a fixed batch into a file that all workers read:

    {"type": "Conv2d", "name": "0", "in_channels": 1, …}                       a layer
    {"type": "Sequential", "name": "", "children": {"0": {…}, "1": {…}}}       a layer made of layers

Weights are in xpcnn's layout: convolutions (Cout, KH, KW, Cin/groups), dense ones (out, in), images (N, H, W, C).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Document = dict[str, Any]

CLASSES = 10
LEARNING_RATE = 0.001  # small, so that the loss of all nets falls from the first step
MOMENTUM = 0.9


@dataclass(frozen=True)
class Case:
    """A network, its images, and a batch of them."""

    net: str
    image: tuple[int, int, int]
    batch: int


@dataclass(frozen=True)
class Sizes:
    """A network's images, and the batches that it is measured with."""

    image: tuple[int, int, int]
    trained: tuple[int, ...]
    inferred: tuple[int, ...] = (1, 256)
    on_device: tuple[int, ...] = ()  # trained on a GPU, if others


NETS = {
    "lenet5": Sizes((28, 28, 1), (64,), on_device=(64, 512)),
    "mnist_cnn": Sizes((28, 28, 1), (128,), on_device=(128, 1024)),
    "vgg_small": Sizes((32, 32, 3), (64,), on_device=(128, 1024)),
    "resnet20": Sizes((32, 32, 3), (128, 16), on_device=(128, 1024)),
    "resnet18": Sizes((224, 224, 3), (8,), (1, 32)),
    "mobilenet_v2": Sizes((224, 224, 3), (8,), (1, 32)),
    "vgg16": Sizes((224, 224, 3), (64,)),
}
ON_CPU = ("lenet5", "mnist_cnn", "vgg_small", "resnet20", "resnet18", "mobilenet_v2")
ON_DEVICE = ("lenet5", "mnist_cnn", "vgg_small", "resnet20", "vgg16")


@dataclass
class Net:
    """A peer's input: the architecture, the initial weights and one batch."""

    name: str
    document: Document
    weights: Arrays  # parameters and buffers, by xpcnn's dotted names
    x: np.ndarray  # (N, H, W, C) float32
    y: np.ndarray  # (N,) int64

    @classmethod
    def read(cls, name: str, document: Document, path: str) -> Net:
        with np.load(path) as file:
            arrays = dict(file)
        x, y = arrays.pop(" x"), arrays.pop(" y")
        return cls(name, document, arrays, x, y)


def build(net: str, image: tuple[int, ...]) -> Any:
    """xpcnn's model, with the same initial weights each time; nothing is dropped, so that peers compute the same."""
    from xpcnn import models, nn

    model = models.build(net, image, CLASSES, rng=0)
    for _, layer in model.named_layers():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return model


def describe(model: Any, image: tuple[int, ...]) -> Document:
    """The document of an xpcnn model. That of a Flatten also states the shape that it flattens."""
    from xpcnn.nn import Container

    shapes: dict[int, list[int]] = {}

    def run(name: str, layer: Any, x: Any) -> Any:
        if not isinstance(x, tuple):  # of a join
            shapes[id(layer)] = list(x.shape[1:])
        return layer.run_children(x, run) if isinstance(layer, Container) else layer(x)

    run("", model, model.zeros(image))

    def walk(layer: Any, name: str) -> Document:
        children = {key: walk(child, f"{name}.{key}" if name else key) for key, child in layer.children().items()}
        document = {"type": type(layer).__name__, "name": name, **layer.config()}
        if document["type"] == "Flatten":
            document["shape"] = shapes[id(layer)]
        return document | ({"children": children} if children else {})

    return walk(model, "")


def multiply_adds(model: Any, image: tuple[int, ...]) -> int:
    """Multiply-adds of one image forward."""
    from xpcnn.nn import Container

    total = 0

    def run(name: str, layer: Any, x: Any) -> Any:
        nonlocal total
        if isinstance(layer, Container):
            return layer.run_children(x, run)
        y = layer(x)
        total += work(layer, x, y)
        return y

    run("", model, model.zeros(image))
    return total


def work(layer: Any, x: Any, y: Any) -> int:
    """The multiply-adds of a layer for one image."""
    return 0 if isinstance(x, tuple) else layer.multiply_adds(tuple(x.shape[1:]), tuple(y.shape[1:]))


def write(model: Any, image: tuple[int, ...], batch: int, path: Path) -> None:
    """The file of arrays that `Net.read` reads: uniform pixels in [0, 1), labels at random."""
    rng = np.random.default_rng(1)
    x = rng.random((batch, *image), dtype=np.float32)
    y = rng.integers(CLASSES, size=batch)
    np.savez(path, **{" x": x, " y": y, **model.state_dict()})


def parameter_count(model: Any) -> int:
    return sum(math.prod(array.shape) for array in model.parameters().values())


def channels_first(net: Net) -> Arrays:
    """The weights in the layout of libraries with images (N, C, H, W): PyTorch's names and shapes."""
    weights = dict(net.weights)
    flattened: list[int] | None = None

    def walk(document: Document) -> None:
        nonlocal flattened
        kind, key = document["type"], f"{document['name']}.weight"
        if kind == "Conv2d":
            weights[key] = np.ascontiguousarray(weights[key].transpose(0, 3, 1, 2))
        elif kind == "Flatten":
            flattened = document["shape"]
        elif kind == "Linear" and flattened is not None:
            rows = weights[key].reshape(-1, *flattened)  # (out, H, W, C)
            weights[key] = np.ascontiguousarray(rows.transpose(0, 3, 1, 2).reshape(len(rows), -1))
            flattened = None
        for child in document.get("children", {}).values():
            walk(child)

    walk(net.document)
    return weights
