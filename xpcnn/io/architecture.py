"""A network as a document: its layers in order, with their arguments.

    {"type": "Linear", "in_features": 4, "out_features": 2, "bias": true}         a layer
    {"type": "own:ScaleShift", "channels": 8}                                     of a class that has been registered
    {"type": "Sequential", "children": {"0": {…}, "1": {…}}}                      a layer made of layers
    {"same_as": "0.body"}                                                         the layer of that name, again

A document from a file is not trusted. Types are looked up among those of `known_layers`, and nothing is imported. Depth
and number of layers are checked before the first layer is built. No array gets a size that only the document claims: a
single zero, repeated by strides of 0, stands for each array until the file is known to have one of that shape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..backend import asarray, use_backend
from ..errors import FormatError, OptionError
from ..nn.init import stand_ins
from ..nn.layer import Layer, dotted
from ..random import Seed, generator
from ..typing import NDArray
from .known_layers import (
    as_attributes,
    checked_name,
    class_of,
    described_parts,
    in_registry,
    makes_its_layers,
    options_of,
)

MOST_LAYERS = 10_000  # each use of a layer counts
MOST_DEPTH = 64
MOST_NAME = 64


def to_config(layer: Layer) -> dict[str, Any]:
    """The document that describes a network, without its weights.

    Raises
        OptionError : it contains a layer that is neither of `xpcnn.nn` nor registered, or whose constructor has
            arguments that it does not name in `config_names`

    >>> to_config(nn.Sequential(nn.Linear(4, 2)))["children"]["0"]
    {'type': 'Linear', 'in_features': 4, 'out_features': 2, 'bias': True}
    """
    places: dict[int, str] = {}

    def describe(each: Layer, path: str) -> dict[str, Any]:
        if id(each) in places:
            return {"same_as": places[id(each)]}
        name = checked_name(each, path)
        places[id(each)] = path
        children = {key: describe(child, dotted(path, key)) for key, child in described_parts(each).items()}
        arguments = {key: _json_value(value) for key, value in each.config().items()}
        return {"type": name, **arguments} | ({"children": children} if children else {})

    return describe(layer, "")


def check_same(model: Layer, again: Layer) -> None:
    """Refuse a network that its document brought back with other arguments.

    Raises
        OptionError : names the layer
    """
    for (name, one), (_, other) in zip(model.named_layers(), again.named_layers(), strict=True):
        before, after = _json_value(one.config()), _json_value(other.config())
        if before != after:
            key = next(key for key in before if before[key] != after[key])
            kind = type(one).__name__
            expected = f"{kind}.{key} to be the constructor's argument {key}"
            raise OptionError(f"layer {name or kind}", expected, f"{before[key]!r}, of which {after[key]!r} is made")


def from_config(config: Mapping[str, Any], tensors: Mapping[str, NDArray] | None = None, *, rng: Seed = None) -> Layer:
    """Build the network that a document describes.

    Parameters
        config : from `to_config`, possibly through JSON
        tensors : from `state_dict`: the network's parameters and buffers, which it takes over, moved to the
            current backend; None draws new initial weights, of any size that the document states
        rng : seed or generator for new weights and for the layers' own generators
    Raises
        FormatError : the document is broken or too large, or the network's arrays do not match `tensors`

    >>> from_config({"type": "Linear", "in_features": 4, "out_features": 2})
    Linear(in_features=4, out_features=2, bias=True)
    """
    _survey(config, "", 0, {})
    builder = _Builder(tensors, generator(rng))
    layer = builder.build(config, "")
    if builder.unused:
        raise FormatError("architecture", "arrays of its layers only", f"also {', '.join(sorted(builder.unused)[:5])}")
    return layer


def _survey(config: Any, path: str, depth: int, counts: dict[str, int]) -> int:
    """Count the layers that the document describes, each as often as it is used, before any is built.

    Parameters
        counts : of the layers before this one, by their names
    """
    who = f"architecture, layer '{path}'"
    if not isinstance(config, Mapping) or depth > MOST_DEPTH:
        got = type(config).__name__ if depth <= MOST_DEPTH else "deeper ones"
        raise FormatError(who, f"an object, in at most {MOST_DEPTH} levels", got)
    if "same_as" in config:
        place = config["same_as"]
        if len(config) > 1 or not isinstance(place, str) or place not in counts:
            raise FormatError(who, "same_as: the place of an earlier layer", repr(place)[:80])
        return counts[place]
    children = config.get("children", {})
    if not isinstance(children, Mapping) or any(len(key) > MOST_NAME for key in children):
        raise FormatError(who, f"children: an object, its names of at most {MOST_NAME} letters", "another")
    layers = 1
    for key, child in children.items():
        layers += _survey(child, dotted(path, key), depth + 1, counts)
        if layers > MOST_LAYERS:
            raise FormatError(who, f"at most {MOST_LAYERS} layers", "more")
    counts[path] = layers
    return layers


class _Builder:
    """Builds a network that `_survey` has checked."""

    def __init__(self, tensors: Mapping[str, NDArray] | None, rng: np.random.Generator) -> None:
        self.tensors, self.rng = tensors, rng
        self.unused = set(tensors or ())
        self.built: dict[str, Layer] = {}
        self.floats: np.dtype[Any] | None = None  # the common type of all floating-point arrays

    def build(self, config: Mapping[str, Any], path: str) -> Layer:
        who = f"architecture, layer '{path}'"
        if "same_as" in config:
            return self.built[config["same_as"]]
        name = config.get("type")
        kind = class_of(name, who)
        parts = {key: self.build(child, dotted(path, key)) for key, child in config.get("children", {}).items()}
        arguments = {key: _tuple(value) for key, value in config.items() if key not in ("type", "children")}
        arguments = {**kind.unsaid, **arguments}
        if unknown := sorted(arguments.keys() - set(kind.config_names)):
            raise FormatError(who, f"arguments of {name}", ", ".join(unknown)[:80], "a newer xpcnn may know them")
        layer = self._make(kind, parts, arguments, path, who)
        if list(layer.children()) != list(parts) and not makes_its_layers(layer):
            raise FormatError(who, f"the children of {name}", ", ".join(parts)[:80])
        self.built[path] = layer
        return layer

    def _make(
        self, kind: type[Layer], children: dict[str, Layer], arguments: dict[str, Any], path: str, who: str
    ) -> Layer:
        make: Callable[..., Layer] = partial(kind, **as_attributes(children))
        if issubclass(kind, nn.Container) and (children or in_registry(kind)):
            make = partial(kind.from_children, children)
        options = options_of(kind)
        if wrong := [key for key, value in arguments.items() if key in options and not _fits(options[key], value)]:
            raise FormatError(who, f"{wrong[0]}: a value that {kind.__name__} takes", repr(arguments[wrong[0]])[:80])
        if "rng" in options:
            arguments["rng"] = self.rng
        try:
            if self.tensors is None:
                return make(**arguments)
            with use_backend("numpy"), stand_ins():
                layer = make(**arguments)
        except Exception as error:  # any error of a constructor means that the file is wrong
            raise FormatError(
                who, f"arguments that {kind.__name__} takes", " ".join(str(error).split())[:200]
            ) from error
        made = layer.named_layers() if makes_its_layers(layer) else [("", layer)]
        for name, each in made:
            for key in each.parameter_names + each.buffer_names:
                self._fill(each, key, dotted(dotted(path, name), key))
        return layer

    def _fill(self, layer: Layer, key: str, name: str) -> None:
        """Check the shape and kind of an array from the file; give it to the layer."""
        assert self.tensors is not None
        own, given = getattr(layer, key), self.tensors.get(name)
        if own is None and given is None:
            return
        if own is None or given is None or own.shape != given.shape or not _same_kind(own.dtype, given.dtype):
            expected, got = ("none" if a is None else f"{a.dtype} {a.shape}" for a in (own, given))
            raise FormatError("architecture", f"array {name}: {expected}", got)
        self.floats = self.floats or (given.dtype if given.dtype.kind == "f" else None)
        if given.dtype.kind == "f" and given.dtype != self.floats:
            raise FormatError("architecture", f"array {name}: {self.floats}, as those before it", str(given.dtype))
        setattr(layer, key, asarray(given))
        self.unused.discard(name)


def _fits(option: inspect.Parameter, value: Any) -> bool:
    """True if flags, and only flags, are given as true or false; constructors would accept other values."""
    return value in (0, 1) if isinstance(option.default, bool) else not isinstance(value, bool)


def _same_kind(own: Any, given: Any) -> bool:
    return given in (np.float32, np.float64) if own.kind == "f" else own == given


def _json_value(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_json_value(each) for each in value]
    if isinstance(value, dict):
        return {key: _json_value(each) for key, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _tuple(value: Any) -> Any:
    """Turn a JSON list back into a tuple."""
    return tuple(value) if isinstance(value, list) else value
