"""Checks of the gradients that an optimizer is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backend import array_namespace, dtype_name
from ..errors import DTypeError, OptionError, ShapeError
from ..ops.check import check_array
from ..typing import Array


def check_step(who: str, parameters: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
    """Raise an error unless there is a gradient of every parameter, of its shape, dtype and backend.

    Raises
        OptionError, ShapeError, DTypeError, BackendError
    """
    check_gradients(who, grads)
    if grads.keys() != parameters.keys():
        part = parameters.keys() < grads.keys()
        remedy = "optimizer.select(grads) trains these alone" if part else "pass what the network's backward returned"
        raise OptionError(who, *differing_names(parameters.keys(), grads.keys()), remedy)
    for name, p in parameters.items():
        g = grads[name]
        check_array(f"{who}: the gradient of {name}", g)
        array_namespace(p, g)
        if tuple(g.shape) != tuple(p.shape):
            raise ShapeError(who, f"the gradient of {name} {tuple(p.shape)}", str(tuple(g.shape)))
        if g.dtype != p.dtype:
            raise DTypeError(who, f"the gradient of {name} in {dtype_name(p)}", dtype_name(g))


def check_gradients(who: str, grads: Mapping[str, Array]) -> None:
    """Raise an error unless `grads` is a mapping, and not, say, the whole result of a network's backward.

    Raises
        OptionError
    """
    if not isinstance(grads, Mapping):
        remedy = "dx, grads = network.backward(…): pass grads"
        raise OptionError(who, "a mapping of gradients", type(grads).__name__, remedy)


def differing_names(mine: Any, theirs: Any) -> tuple[str, str]:
    """The expected and the given names, for an error."""
    missing, unknown = sorted(mine - theirs), sorted(theirs - mine)
    return f"the {len(mine)} names of this optimizer", f"missing {missing}, unknown {unknown}"
