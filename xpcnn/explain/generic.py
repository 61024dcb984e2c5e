"""Any other layer: its inputs and outputs, forward and backward, next to the equations of its operation."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from ..backend import to_numpy
from ..nn.layer import Layer
from ..nn.op_layer import OpLayer
from ..nn.own_layers import standing_for
from .equations import Equation, equations
from .explanation import Explanation, Index
from .run import Visit
from .sums import largest


def other(page: Explanation, visit: Visit, layer: Layer, at: Index) -> None:
    """Only the arrays."""
    inputs: Any = visit.x if isinstance(visit.x, tuple) else (visit.x,)
    names = [f"x{i + 1}" for i in range(len(inputs))] if isinstance(visit.x, tuple) else ["x"]
    gradients: Any = visit.dx if isinstance(visit.dx, tuple) else (visit.dx,)
    arrays: list[tuple[str, str, Any]] = [(name, "input", x) for name, x in zip(names, inputs, strict=True)]
    arrays += [("y", "output", visit.y), ("dy", "∂L/∂y, from the layers after this one", visit.dy)]
    arrays += [(f"d{name}", f"∂L/∂{name}", dx) for name, dx in zip(names, gradients, strict=True)]
    of_items = {name for name, *_ in arrays}
    for name in layer.parameter_names:
        if getattr(layer, name) is not None:
            arrays.append((name, "learned", getattr(layer, name)))
        if name in visit.grads:
            arrays.append((f"d {name}", f"∂L/∂{name}", visit.grads[name]))
    for name, meaning, array in arrays:
        host = to_numpy(array)
        axes = ("n", *(f"a{k}" for k in range(1, host.ndim))) if name in of_items else None
        page.add(name, meaning, axes or tuple(f"a{k}" for k in range(host.ndim)), host)
    learned = tuple(name for name, *_ in arrays if name not in of_items and not name.startswith("d "))
    found = _equations(page, layer)
    page.add_step("Forward", found, (*names, *learned), "y", at, None)
    for name in filter(visit.grads.__contains__, learned):
        focus = largest(page.arrays[f"d {name}"].values)
        page.add_step(f"Backward: {name}", (), ("dy", "x"), f"d {name}", focus, None)
    for name in names:
        made = f"d{name}"
        what = "the input" if name == "x" else f"input {name}"
        page.add_step(f"Backward: {what}", (), ("dy",), made, largest(page.arrays[made].values), None)


def _equations(page: Explanation, layer: Layer) -> tuple[Equation, ...]:
    """The equations of the operation's module, else of the layer's; without any, the first line of its docstring.

    Of a layer from outside of xpcnn, those of its docstring come first: numbered ones, else all with a sign =.
    """
    said = inspect.getdoc(type(layer)) or ""
    if standing_for(type(layer)) is None and " = " in said:
        lines = [line.strip() for line in said.splitlines() if " = " in line]
        return tuple(equations(type(layer).__doc__ or "")) or tuple(Equation((line,), ()) for line in lines)
    pair = getattr(layer, "pair", None) if isinstance(layer, OpLayer) else None
    pair = pair or (getattr(type(layer), "pair_backward", None),)
    for module in (getattr(pair[0], "__module__", None), type(layer).__module__):
        found = equations(getattr(sys.modules.get(module or ""), "__doc__", None) or "")
        if found:
            page.source = str(module)
            own = {
                int(n) for function in pair for n in re.findall(r"\((\d+)\)", getattr(function, "__doc__", None) or "")
            }
            return tuple(each for each in found if own & set(each.numbers)) or tuple(found)
    return (Equation((said.splitlines()[0],), ()),) if said else ()
