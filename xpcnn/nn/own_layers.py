"""Layers from outside of `xpcnn.nn`: which of them a file may name, and which compute what a layer of `xpcnn.nn` does.

A file never says where a class is to be found. It says "own:ScaleShift", and the program that reads it has registered a
class of that name, or the file is refused.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

from ..errors import OptionError
from .layer import Layer

Kind = TypeVar("Kind", bound=type[Layer])

_OWN: dict[str, type[Layer]] = {}
# What decides on what a layer computes.
_COMPUTING = {"forward", "backward", "__call__", "pair", "options", "run_children", "children"}


def register(kind: Kind) -> Kind:
    """Let model files name this class of layers: a decorator for layers of one's own.

        @nn.register
        class ScaleShift(nn.Layer):
            config_names = ("channels",)

    A file holds the class's name, the attributes named in `config_names`, which are the constructor's arguments, and
    the arrays named in `parameter_names` and `buffer_names`. A program that reads the file must have registered the
    class, by importing the module in which it stands.

    Parameters
        kind : a class derived from `Layer`, whose name no other registered class has; a class that is defined again,
            as in a notebook, replaces the first
    Returns
        the class
    Raises
        OptionError : it is no such class; its name is taken; config_names has a name that its constructor has not

    >>> from xpcnn import nn
    >>> __name__ = "my_layers"  # the module in which the class stands
    >>> @register
    ... class Square(nn.OpLayer):
    ...     pair = (lambda x: (x * x, x), lambda dy, x: 2 * x * dy)
    >>> import tempfile
    >>> from xpcnn.io import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(nn.Sequential(nn.Linear(4, 2), Square()), f"{folder}/m.safetensors", input_shape=(4,))
    ...     type(load_model(f"{folder}/m.safetensors").model[1]) is Square
    True
    """
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise OptionError(
            "nn.register", "a class derived from nn.Layer", repr(kind)[:80], "write @nn.register above it"
        )
    name = kind.__name__
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise OptionError("nn.register", f"{name} with all methods of a layer", f"none of {missing}")
    if is_ours(kind) or name in _ours():
        raise OptionError("nn.register", "a name that no layer of xpcnn.nn has", name, "give the class another name")
    before = _OWN.get(name, kind)
    if (before.__module__, before.__qualname__) != (kind.__module__, kind.__qualname__):
        got = f"{name}, of {before.__module__}.{before.__qualname__}"
        raise OptionError("nn.register", "a name that no other registered class has", got, "give one another name")
    unknown = sorted(set(kind.config_names) - inspect.signature(kind).parameters.keys())
    if unknown:
        expected = f"config_names of {name}: arguments of its constructor"
        raise OptionError("nn.register", expected, ", ".join(unknown), "name them as __init__ does")
    _OWN[name] = kind
    return kind


def registered(name: str) -> type[Layer] | None:
    """The registered class of that name."""
    return _OWN.get(name)


def standing_for(kind: type[Layer]) -> type[Layer] | None:
    """The class of `xpcnn.nn` that computes what this class does: itself, or one whose methods it inherits unchanged.

    >>> from xpcnn import nn
    >>> __name__ = "my_layers"  # the module in which the class stands
    >>> class Block(nn.Sequential):
    ...     def __init__(self, channels):
    ...         super().__init__(nn.Linear(channels, channels), nn.ReLU())
    >>> standing_for(Block).__name__
    'Sequential'
    """
    for each in kind.__mro__:
        if is_ours(each):
            return each
        if _COMPUTING & vars(each).keys():
            return None
    return None


def is_ours(kind: type) -> bool:
    """True for a class that is part of xpcnn, also one that it does not export."""
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


def _ours(kind: type[Layer] = Layer) -> set[str]:
    """The names of all classes of layers that are part of xpcnn."""
    return {kind.__name__}.union(*(_ours(each) for each in kind.__subclasses__() if is_ours(each)))
