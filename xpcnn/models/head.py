"""A new last layer for a network that has learned something else."""

from __future__ import annotations

from ..backend import dtype_name
from ..errors import OptionError
from ..nn import Container, Conv2d, Identity, Layer, Linear, Softmax, all_parameters
from ..nn.last_layer import last_layer
from ..nn.layer import check_layer
from ..options import as_count
from ..random import Seed


def new_head(model: Layer, outputs: int, *, rng: Seed = None) -> Layer:
    """The network with a new last layer of that many outputs; all other layers are shared, not copied.

    The last layer with parameters is replaced: a `Linear`, or a `Conv2d` where each pixel has outputs. Layers without
    parameters may follow it.

    Parameters
        model : a network, such as `load_model(path).model` or `import_onnx(path).model`
        outputs : classes, or values of a regression
        rng : seed or generator of the new weights
    Raises
        OptionError : the network ends in another layer, or its last layer also stands elsewhere

    >>> from xpcnn.nn import ReLU, Sequential
    >>> new_head(Sequential(Linear(8, 4), ReLU(), Linear(4, 1000)), 3, rng=0)
    Sequential(
      (0) Linear(in_features=8, out_features=4, bias=True)
      (1) ReLU()
      (2) Linear(in_features=4, out_features=3, bias=True)
    )
    """
    check_layer("new_head", model)
    outputs = as_count("new_head", "outputs", outputs)
    path = _last(model)
    layer = path[-1][1] if path else model
    name = ".".join(each for each, _ in path)
    if not isinstance(layer, Linear | Conv2d) or (isinstance(layer, Conv2d) and layer.groups > 1):
        remedy = "build the last layers yourself"
        raise OptionError(
            "new_head", "a network that ends in Linear or Conv2d", f"{type(layer).__name__} {name}", remedy
        )
    if _uses(model, layer) > 1:
        raise OptionError("new_head", "a last layer that stands nowhere else", f"{name}, which is used again")
    made: Layer
    if isinstance(layer, Linear):
        made = Linear(layer.in_features, outputs, weight_init="glorot_uniform", rng=rng)
    else:
        options = {key: value for key, value in layer.config().items() if key != "out_channels"}
        made = Conv2d(out_channels=outputs, **options, weight_init="glorot_uniform", rng=rng)
    made.astype(dtype_name(layer.weight))
    return _replaced(model, path, made)


def without_softmax(model: Layer) -> Layer:
    """The network without a softmax at its end, as losses of logits want it; else the same network.

    >>> from xpcnn.nn import Sequential, Softmax
    >>> without_softmax(Sequential(Linear(8, 4), Softmax()))
    Sequential(
      (0) Linear(in_features=8, out_features=4, bias=True)
      (1) Identity()
    )
    """
    path = last_layer(model)
    if not path or not isinstance(path[-1][1], Softmax):
        return model
    return _replaced(model, path, Identity())


def _replaced(model: Layer, path: list[tuple[str, Layer]], made: Layer) -> Layer:
    """The network with another layer at the end of the path."""
    parents = [model, *(each for _, each in path)][: len(path)]
    for parent, (name, _) in zip(reversed(parents), reversed(path), strict=True):
        assert isinstance(parent, Container)
        made = parent.with_children(parent.children() | {name: made})
    return made


def head_name(model: Layer) -> str:
    """The dotted name of the last layer with parameters, which `new_head` replaces; "" is the network itself.

    >>> from xpcnn.nn import ReLU, Sequential
    >>> head_name(Sequential(Linear(8, 4), ReLU(), Linear(4, 1000)))
    '2'
    """
    return ".".join(name for name, _ in _last(model))


def _last(layer: Layer) -> list[tuple[str, Layer]]:
    """The way to the last layer with parameters: names of children, and the children."""
    for name, child in reversed(layer.children().items()) if isinstance(layer, Container) else ():
        if all_parameters(child):
            return [(name, child), *_last(child)]
    return []


def _uses(within: Layer, layer: Layer) -> int:
    """The number of places in which the layer stands."""
    return (within is layer) + sum(_uses(child, layer) for child in within.children().values())
