"""A network to the lines of a program, one a layer, in the order in which they run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import nn
from ...errors import OptionError, one_line, shortened
from ...nn.container import with_layer_name
from ...nn.layer import check_layer, dotted
from ...nn.own_layers import standing_for
from ...nn.summary import item_shape
from ...typing import NDArray, Shape
from . import elementwise, windows  # noqa: F401  register their writers
from .moving import JOINS, joined
from .place import BREAK, WRITERS, Place

_MARK = "\ue000{}\ue001"  # a value in an expression until it has a name; no repr contains these characters
_MARKED = re.compile("\ue000(\\d+)\ue001")
_WIDTH = 116  # and four spaces before it


@dataclass(frozen=True)
class Value:
    """A value of the network: its number, and the shape of one item."""

    number: int
    shape: Shape

    @property
    def mark(self) -> str:
        return _MARK.format(self.number)


@dataclass
class Line:
    """A line of the program: value number `writes` is the expression; None for a comment alone."""

    writes: int | None
    expression: str
    comment: str

    @property
    def reads(self) -> list[int]:
        return [int(number) for number in _MARKED.findall(self.expression)]


@dataclass
class Lines:
    """The lines of a network, and the arrays that they need."""

    model: nn.Layer
    dtype: str
    arrays: dict[str, NDArray] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    values: int = 0
    composed: list[nn.Layer] = field(default_factory=list)  # so that their identities are not reused

    def __post_init__(self) -> None:
        self.names = {id(layer): name for name, layer in self.model.named_layers()}

    def value(self, shape: Shape) -> Value:
        self.values += 1
        return Value(self.values - 1, shape)

    def network(self, name: str, layer: nn.Layer, x: Any) -> Any:
        """What the layer makes of x, under that dotted name: a Value of a Value, or a tuple of several."""
        kind, children = standing_for(type(layer)), layer.children()
        if kind is None and (composed := layer.composed()) is not None:
            return self.network(name, self._named(layer, composed), x)
        if isinstance(layer, nn.Graph) and kind is nn.Graph:
            return self._wired(name, layer, x)
        if kind is nn.Sequential:
            for key, child in children.items():
                x = self._child(name, key, child, x)
            return x
        if kind is not None and kind in JOINS and not children:
            return self._join(name, kind, list(x))
        if kind is nn.Concat:
            return self._join(name, kind, [self._child(name, key, child, x) for key, child in children.items()])
        if kind is nn.Residual:
            branches = [self._child(name, key, child, x) for key, child in children.items()]
            return self._join(name, nn.Add, [*branches, *[x] * (2 - len(branches))])
        if kind is None or kind not in WRITERS or isinstance(x, tuple):
            got = f"{type(layer).__module__}.{type(layer).__qualname__}"
            remedy = "build it of layers of xpcnn.nn, or say by its method composed which ones compute the same"
            raise OptionError("export_numpy", "layers of xpcnn.nn", got, remedy)
        return self._layer(name, kind, layer, x)

    def _layer(self, name: str, kind: type[nn.Layer], layer: nn.Layer, x: Value) -> Value:
        out = layer.output_shape(x.shape)
        own = self.names[id(layer)]
        at = Place(self.arrays, f"{own}." if own else "", x.mark, x.shape, out, self.dtype)
        expression = WRITERS[kind](at, layer)
        said = f"{one_line(name)} {kind.__name__}".strip()
        if expression == x.mark:
            self.lines.append(Line(None, "", f"{said}: nothing, outside of training"))
            return x
        return self._line(expression, said, out)

    def _join(self, name: str, kind: type[nn.Layer], xs: list[Value]) -> Value:
        samples: Any = tuple(np.zeros((1, *x.shape), self.dtype) for x in xs)
        out = item_shape(kind()(samples))
        return self._line(joined(kind, [x.mark for x in xs]), f"{one_line(name)} {kind.__name__}".strip(), out)

    def _line(self, expression: str, said: str, shape: Shape) -> Value:
        y = self.value(shape)
        self.lines.append(Line(y.number, expression, f"{shortened(said, 60)}: {_batch(shape)}"))
        return y

    def _named(self, layer: nn.Layer, composed: nn.Layer) -> nn.Layer:
        """Layers that stand for a layer of one's own; their weights have its name, and theirs within it."""
        check_layer(f"{type(layer).__name__}.composed", composed)
        self.composed.append(composed)
        for name, each in composed.named_layers():
            self.names.setdefault(id(each), dotted(self.names[id(layer)], name))
        return composed

    def _wired(self, name: str, layer: nn.Graph, x: Any) -> Any:
        values = dict(zip(layer.inputs, x if len(layer.inputs) > 1 else (x,), strict=True))
        for key, child in layer.children().items():
            read = tuple(values[each] for each in layer.reads[key])
            values[key] = self._child(name, key, child, read if len(read) > 1 else read[0])
        made = tuple(values[each] for each in layer.outputs)
        return made if len(made) > 1 else made[0]

    def _child(self, name: str, key: str, child: nn.Layer, x: Any) -> Any:
        return with_layer_name(key, self.network, dotted(name, key), child, x)


def body(lines: Sequence[Line], inputs: Sequence[Value], outputs: Sequence[Value]) -> Iterator[str]:
    """The lines with names for the values; a name is used again as soon as its value is not needed."""
    last = {number: i for i, line in enumerate(lines) for number in line.reads}
    last |= {value.number: len(lines) for value in outputs}
    names = {value.number: value_name(i) for i, value in enumerate(inputs)}
    for i, line in enumerate(lines):
        if line.writes is None:
            yield f"# {line.comment}"
            continue
        expression = line.expression
        for number in line.reads:
            expression = expression.replace(_MARK.format(number), names[number])
        held = {name: number for number, name in names.items()}
        free = (name for name in map(value_name, range(len(held) + 1)) if last.get(held.get(name, -1), -1) <= i)
        target = next(free)
        names = {number: name for number, name in names.items() if name != target} | {line.writes: target}
        yield from _written(f"{target} = {expression}", line.comment)
    yield f"return {', '.join(names[value.number] for value in outputs)}"


def _written(statement: str, comment: str) -> list[str]:
    """The statement and its comment, in one line if there is room."""
    line = f"{statement.replace(BREAK, ''):<56}  # {comment}"
    if len(line) <= _WIDTH:
        return [line]
    whole = statement.replace(BREAK, "")
    return [f"# {comment}", *([whole] if len(whole) <= _WIDTH else _broken(statement))]


def _broken(statement: str) -> list[str]:
    """The statement in lines of which each is as long as it may be; a call's end comes back to the beginning."""
    begin, *parts = statement.split(BREAK)
    lines = [begin]
    for i, part in enumerate(parts):
        if i == 0 or len(lines[-1]) + len(part) > _WIDTH:
            lines.append("    " + part)
        else:
            lines[-1] += part
    return [line.rstrip() for line in lines]


def value_name(number: int) -> str:
    """x, a, b, c, …, and then x24, x25, …

    >>> [value_name(number) for number in (0, 1, 2, 30)]
    ['x', 'a', 'b', 'x30']
    """
    letters = "xabcdefghijklmnopqrstuvw"
    return letters[number] if number < len(letters) else f"x{number}"


def _batch(shape: Shape) -> str:
    return f"(N{''.join(f', {size}' for size in shape)})" if shape else "(N,)"
