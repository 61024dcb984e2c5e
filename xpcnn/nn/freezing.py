"""Freeze a part of a network: it is not trained, and runs as in inference.

    tuned = freeze(model, "layer[123]*")

A layer all of whose parameters are frozen runs as in inference: batch norm uses its running statistics, which stay as
they are. A container of such layers is frozen with all layers within it, so dropout there drops nothing; nor does
dropout between layers of a `Sequential` or `Graph` that are frozen from the input on. Backward ends where nothing below
is trained, and what runs there keeps nothing for it.
"""

from __future__ import annotations

from ..errors import OptionError
from ..options import Patterns, matching
from ..typing import Array
from .container import Container
from .graph import Graph
from .inference import check_inference, in_inference
from .layer import Layer, check_layer, dotted
from .sequential import Sequential


def freeze(model: Layer, patterns: Patterns) -> Layer:
    """The network with frozen parameters: a network of the same layers, not copies, in which the others are trained.

    Parameters
        model : a network of layers; what is frozen already stays so
        patterns : names of parameters, or several; `*` stands for any text, `[123]` for one of these characters
    Returns
        a network whose `parameters()` are those that are trained; its arrays and names are the model's
    Raises
        OptionError : a pattern matches no parameter, the model is no container, or the inference of a layer from
            outside xpcnn has unknown gradients

    >>> from xpcnn.nn import Linear, ReLU
    >>> model = Sequential(Linear(4, 8, rng=0), ReLU(), Linear(8, 2, rng=1))
    >>> list(freeze(model, "0.*").parameters())
    ['2.weight', '2.bias']
    """
    check_layer("freeze", model)
    if not isinstance(model, Container):
        raise OptionError("freeze", "a network made of layers", type(model).__name__, "such as Sequential(layer)")
    names = matching("freeze", "patterns", patterns, list(all_parameters(model)), "parameters")
    frozen = names | all_parameters(model).keys() - model.parameters().keys()
    return _Freezing(model, frozen).make("", model, False)


def unfreeze(model: Layer) -> Layer:
    """The network in which all parameters are trained: the reverse of `freeze`, of the same layers.

    >>> from xpcnn.nn import Linear, Sequential
    >>> model = freeze(Sequential(Linear(2, 3), Linear(3, 1)), "0.*")
    >>> len(unfreeze(model).parameters())
    4
    """
    check_layer("unfreeze", model)
    made: dict[int, Layer] = {}

    def make(layer: Layer) -> Layer:
        if id(layer) not in made:
            children = {name: make(child) for name, child in layer.children().items()}
            if isinstance(layer, Container):
                made[id(layer)] = _with_children(layer, children)
            else:
                made[id(layer)] = in_inference(layer, (), infers=False) if layer.infers or layer.frozen else layer
        return made[id(layer)]

    return make(model)


def all_parameters(model: Layer) -> dict[str, Array]:
    """The arrays that are trained where nothing is frozen, by dotted name.

    >>> from xpcnn.nn import Linear, Sequential
    >>> model = freeze(Sequential(Linear(2, 3), Linear(3, 1)), "0.*")
    >>> list(model.parameters())
    ['1.weight', '1.bias']
    >>> list(all_parameters(model))
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """
    check_layer("all_parameters", model)
    return {name: getattr(layer, key) for name, layer, key in model.named_arrays(buffers=False, frozen=True)}


class _Freezing:
    def __init__(self, model: Layer, frozen: set[str]) -> None:
        self.frozen = frozen
        self.names = {id(layer): name for name, layer in model.named_layers()}
        self.made: dict[tuple[int, bool], Layer] = {}

    def make(self, name: str, layer: Layer, inside: bool) -> Layer:
        """The layer, as it is where it stands; `inside` a frozen part or not."""
        own, frozen = self._parameters(layer)
        inside = inside or (bool(own) and len(own) == len(frozen))  # so a layer that stands in two places is one
        key = id(layer), inside
        if key not in self.made:
            if isinstance(layer, Container):
                self.made[key] = self._container(layer, inside)
            else:
                self.made[key] = self._leaf(layer, frozen, inside)
        return self.made[key]

    def _leaf(self, layer: Layer, frozen: set[str], inside: bool) -> Layer:
        if not frozen and not inside:
            return layer
        if inside:
            check_inference(self.names[id(layer)], layer)
        return in_inference(layer, frozen, infers=inside)

    def _container(self, layer: Container, inside: bool) -> Layer:
        between = set[str]() if inside else self._between(layer)
        children = {name: self.make(name, child, inside or name in between) for name, child in layer.children().items()}
        return _with_children(layer, children)

    def _parameters(self, layer: Layer) -> tuple[set[str], set[str]]:
        """The names of the layer's parameters, within the layer, and those of the frozen ones."""
        own = all_parameters(layer).keys()
        ids = {id(each): self.names[id(each)] for _, each in layer.named_layers()}
        frozen = {
            name
            for name, each, key in layer.named_arrays(buffers=False, frozen=True)
            if dotted(ids[id(each)], key) in self.frozen
        }
        return set(own), frozen

    def _between(self, layer: Container) -> set[str]:
        """The children without parameters that depend on nothing trained, and that frozen children alone read."""
        children = layer.children()
        names = list(children)
        if isinstance(layer, Graph):
            reads = layer.reads
        elif isinstance(layer, Sequential):
            reads = {name: tuple(names[i - 1 : i] if i else ()) for i, name in enumerate(names)}
        else:
            return set()
        counts = {name: tuple(map(len, self._parameters(child))) for name, child in children.items()}
        constant, found = set[str](), set[str]()
        for name in names:  # depends on nothing trained
            before = all(each in constant or each not in children for each in reads[name])
            if before and counts[name][0] == counts[name][1]:
                constant.add(name)
        for name in reversed(names):
            readers = [each for each in names if name in reads[each]]
            led = all(each in constant and (counts[each][0] or each in found) for each in readers)
            if name in constant and readers and led and not counts[name][0]:
                found.add(name)
        return found


def _with_children(layer: Container, children: dict[str, Layer]) -> Layer:
    same = all(children[name] is child for name, child in layer.children().items())
    return layer if same else layer.with_children(children)
