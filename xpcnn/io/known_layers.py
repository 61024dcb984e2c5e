"""Which classes of layers a file may name, and what it holds of them.

A file names a layer of `xpcnn.nn` by its class, and a class that this program has given to `nn.register` as
"own:ScaleShift", so that no later layer of `xpcnn.nn` can be meant.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from .. import nn
from ..errors import FormatError, OptionError
from ..nn.layer import Layer
from ..nn.own_layers import registered

OWN = "own:"
_OF_NEW_WEIGHTS = ("rng", "weight_init")  # arguments that a file does not need
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@cache
def registry() -> dict[str, type[Layer]]:
    """All layers of `xpcnn.nn` that a document may name."""
    exported = (getattr(nn, name) for name in nn.__all__ if name != "OpLayer")  # a base class
    return {
        each.__name__: each
        for each in exported
        if isinstance(each, type)
        and issubclass(each, Layer)
        and not inspect.isabstract(each)
        and each is not nn.OpLayer
    }


def type_name(kind: type[Layer]) -> str | None:
    """How a document names layers of that class; None if it cannot."""
    name = kind.__name__
    if in_registry(kind):
        return name
    return OWN + name if registered(name) is kind else None


def can_name(model: Layer) -> bool:
    """Whether a document can name all layers of the network."""
    return type_name(type(model)) is not None and all(map(can_name, described_parts(model).values()))


def class_of(name: Any, who: str) -> type[Layer]:
    """The class that the document names."""
    own = name.removeprefix(OWN) if isinstance(name, str) and name.startswith(OWN) else None
    kind = registered(own) if own is not None else registry().get(name) if isinstance(name, str) else None
    if kind is not None:
        return kind
    if own is None:
        raise FormatError(who, "the type of a layer in xpcnn.nn", repr(name)[:80], "a newer xpcnn may know it")
    remedy = "in a program of your own, import its module, with @nn.register above the class, before load_model or "
    remedy += "xpcnn.cli.main: docs/howto/custom_layer.md"
    raise FormatError(who, "a layer of xpcnn.nn, or one that this program has registered", repr(own)[:80], remedy)


def in_registry(kind: type[Layer]) -> bool:
    return registry().get(kind.__name__) is kind


def checked_name(layer: Layer, path: str) -> str:
    """How a document names the layer at that place.

    Raises
        OptionError : it cannot, or the layer has arguments that its file would forget
    """
    kind = type(layer)
    name = type_name(kind)
    if name is None:
        raise OptionError(
            f"layer {path or kind.__name__}",
            "a layer of xpcnn.nn or a registered one, which a file can name",
            f"{kind.__module__}.{kind.__qualname__}",
            "write @nn.register above its class, or save the weights alone: "
            "write_tensors(path, model.state_dict(), {})",
        )
    if name.startswith(OWN):
        _check_arguments(layer, path)
    return name


def _check_arguments(layer: Layer, path: str) -> None:
    kind = type(layer)
    who = f"layer {path or kind.__name__}"
    if missing := [name for name in kind.config_names if not hasattr(layer, name)]:
        raise OptionError(who, f"each of config_names as an attribute of {kind.__name__}", f"no {missing[0]}")
    said = {*kind.config_names, *(name.partition(".")[0] for name in layer.children()), *_OF_NEW_WEIGHTS}
    unsaid = [name for name, each in options_of(kind).items() if name not in said and each.kind not in _ANY_NUMBER]
    if unsaid:
        expected = f"config_names of {kind.__name__} with all arguments of its constructor"
        raise OptionError(who, expected, f"none of {', '.join(unsaid)}", "each is an attribute of that name, too")


def described_parts(layer: Layer) -> dict[str, Layer]:
    """The layers within it that its document describes."""
    return {} if makes_its_layers(layer) else layer.children()


def makes_its_layers(layer: Layer) -> bool:
    """Whether a registered layer's constructor makes the layers within it, and does not take them."""
    kind, children = type(layer), layer.children()
    options = options_of(kind)
    if in_registry(kind) or any(each.kind in _ANY_NUMBER for each in options.values()):
        return False
    return not any(name.partition(".")[0] in options for name in children)


def as_attributes(children: Mapping[str, Layer]) -> dict[str, Any]:
    """The layers by the attributes that hold them: "blocks.0" and "blocks.1" are a list, blocks."""
    found: dict[str, Any] = {}
    for name, child in children.items():
        key, _, number = name.partition(".")
        if number:
            found.setdefault(key, []).append(child)
        else:
            found[key] = child
    return found


@cache
def options_of(kind: type[Layer]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters
