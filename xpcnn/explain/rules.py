"""Rules: how each number of an array is computed from others, written once as text.

    b[f],  x̂[n, i*2 + u, j*2 + v, c]·w[f,u,v,c] | u<3, v<3, c<4

is what `Sum` is given for y[n,i,j,f]: a bias, and a sum of products over u, v and c. The letters on the left of `|` are
those of the axes of the array that is made, and those of the sum. Indices are arithmetic on integers; a term with an
index that is no integer, or outside of its array, is left out: so `(p - u)/2` finds who reads an element.

`worked` gives the number with these indices. `portable` gives the rule itself, from which the script of a page works
out every number.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

from ..typing import NDArray
from .explanation import Explanation, Index, NamedArray, Ref, Rule, Worked
from .patterns import applied
from .sums import Factor, maximum, total

Portable: TypeAlias = Any  # lists, numbers and text, for JSON
_REFERENCE = re.compile(r"\s*([·/]?)\s*([^[\]·/]+?)\[([^]]*)\]")
_OPERATIONS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.Div: "/",
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    """The factors of a product, what its letters run over, and the condition under which it counts.

    >>> term = Term.read("dy[n, i, (q - v)/2, f] / r[i] | i<2, v<3 | t[n,i] = v")
    >>> term.factors
    (('dy', ('n', 'i', '(q - v)/2', 'f'), False), ('r', ('i',), True))
    >>> term.loops, term.condition
    ((('i', 2), ('v', 3)), ('t', ('n', 'i'), 'v'))
    """

    factors: tuple[tuple[str, tuple[str, ...], bool], ...]
    loops: tuple[tuple[str, int], ...] = ()
    condition: tuple[str, tuple[str, ...], str] | None = None

    @classmethod
    @cache
    def read(cls, text: str) -> Term:
        product, loops, condition, *_ = (part.strip() for part in f"{text} | |".split("|"))
        factors = [(name, _split(at), sign == "/") for sign, name, at in _REFERENCE.findall(product)]
        sizes = [each.split("<") for each in loops.split(",") if each]
        left, _, right = condition.partition("=")
        wanted = (*_reference(left), right.strip()) if condition else None
        return cls(tuple(factors), tuple((name.strip(), int(size)) for name, size in sizes), wanted)

    def terms(self, page: Explanation, at: Mapping[str, Any]) -> list[Factor]:
        """The factors with the indices of every term that counts; `at` has the letters of the number that is made."""
        names = dict(at)
        for axis, (name, size) in enumerate(self.loops):
            names[name] = np.arange(size).reshape(-1, *[1] * (len(self.loops) - 1 - axis))
        shape = tuple(size for _, size in self.loops)
        kept = np.ones(shape, bool)
        places = []
        for name, indices, _ in self.factors:
            place = [np.broadcast_to(_value(each, names), shape) for each in indices]
            for index, size in zip(place, page.arrays[name].values.shape, strict=True):
                kept &= (index >= 0) & (index < size) & (index == np.floor(index))
            places.append(place)
        flat = [[part[kept].astype(np.int64) for part in place] for place in places]
        if self.condition is not None:
            name, indices, number = self.condition
            names = {letter: np.broadcast_to(each, shape)[kept] for letter, each in names.items()}
            where = tuple(np.asarray(_value(each, names)).astype(np.int64) for each in indices)
            chosen = page.arrays[name].values[where] == _value(number, names)
            flat = [[part[chosen] for part in place] for place in flat]
        return [Factor(name, tuple(place), div) for (name, _, div), place in zip(self.factors, flat, strict=True)]

    def portable(self, number: Mapping[str, int]) -> Portable:
        factors = [[number[name], [tree(each) for each in at], int(divides)] for name, at, divides in self.factors]
        made: dict[str, Portable] = {"f": factors, "l": self.loops}
        if self.condition is not None:
            name, at, value = self.condition
            made["c"] = [number[name], [tree(each) for each in at], tree(value)]
        return made


@dataclass(frozen=True)
class Sum(Rule):
    """A sum of products, divided by `over` (a reference, or a number in words).

    >>> page = Explanation("", "")
    >>> page.add("x", "", ("i",), np.array([1.0, 2.0, 5.0]))
    >>> page.add("y", "", ("j",), np.array([3.0, 7.0]))
    >>> Sum("x[j + u] | u<2").worked(page, "y", (1,)).value
    7.0
    """

    products: tuple[str, ...]
    over: str = ""

    def __init__(self, *products: str, over: str = "") -> None:
        object.__setattr__(self, "products", products)
        object.__setattr__(self, "over", over)

    def worked(self, page: Explanation, makes: str, index: Index) -> Worked:
        at = letters_of(page.arrays[makes], index)
        terms = [Term.read(each).terms(page, at) for each in self.products]
        over = _ref(self.over, at) if "[" in self.over else self.over or None
        return total(page, Ref(makes, index), *terms, over=over)

    def portable(self, number: Mapping[str, int]) -> Portable:
        over = _portable(self.over, number) if "[" in self.over else self.over
        return {"k": "sum", "p": [Term.read(each).portable(number) for each in self.products], "o": over}


@dataclass(frozen=True)
class Largest(Rule):
    """The largest of the terms."""

    term: str

    def worked(self, page: Explanation, makes: str, index: Index) -> Worked:
        (factor,) = Term.read(self.term).terms(page, letters_of(page.arrays[makes], index))
        return maximum(page, Ref(makes, index), factor)

    def portable(self, number: Mapping[str, int]) -> Portable:
        return {"k": "max", "p": [Term.read(self.term).portable(number)]}


@dataclass(frozen=True)
class Text(Rule):
    """A formula with references in braces: "({x[n,i]} − {μ[i]}) / {σ[i]}".

    Parameters
        text : the formula; or two, for elements whose number in `sign` is above 0, and for the others
        constants : numbers for the names in braces that are no references
        sign : a reference
    """

    text: str | tuple[str, str]
    constants: Mapping[str, float] = field(default_factory=dict, hash=False)
    sign: str = ""

    def worked(self, page: Explanation, makes: str, index: Index) -> Worked:
        at = letters_of(page.arrays[makes], index)
        text = self.text
        if not isinstance(text, str):
            text = text[0 if page.value(_ref(self.sign, at)) > 0 else 1]
        given: dict[str, Ref | float] = {each: _ref(each, at) for each in re.findall(r"\{([^{}]*\])\}", text)}
        return applied(page, Ref(makes, index), text, **given, **self.constants)

    def portable(self, number: Mapping[str, int]) -> Portable:
        texts = [self.text] if isinstance(self.text, str) else self.text
        pieces = []
        for text in texts:
            for name, value in self.constants.items():
                text = text.replace(f"{{{name}}}", constant(value))
            parts = re.split(r"\{(.*?)\}", text)
            pieces.append([_portable(part, number) if i % 2 else part for i, part in enumerate(parts) if part])
        return {"k": "text", "t": pieces, "s": _portable(self.sign, number) if len(texts) > 1 else None}


def letters_of(array: NamedArray, index: Index) -> dict[str, Any]:
    """The index of each of the array's letters."""
    return dict(zip(array.axes, index, strict=True))


def constant(value: float) -> str:
    """A number in a formula, with four digits."""
    return f"{value:z.4g}".replace("-", "−").replace("inf", "∞")


def tree(text: str) -> Portable:
    """Arithmetic on indices as nested lists, for a script.

    >>> tree("(p + 1 - u*2)/2")
    ['/', ['-', ['+', 'p', 1], ['*', 'u', 2]], 2]
    """

    def walk(node: ast.expr) -> Portable:
        if isinstance(node, ast.BinOp):
            return [_OPERATIONS[type(node.op)], walk(node.left), walk(node.right)]
        if isinstance(node, ast.UnaryOp):
            return ["-", 0, walk(node.operand)]
        return node.value if isinstance(node, ast.Constant) else ast.unparse(node)

    return walk(ast.parse(text.strip(), mode="eval").body)


def _split(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _reference(text: str) -> tuple[str, tuple[str, ...]]:
    ((_, name, at),) = _REFERENCE.findall(text)
    return name, _split(at)


def _ref(text: str, at: Mapping[str, Any]) -> Ref:
    name, indices = _reference(text)
    return Ref(name, tuple(int(_value(each, at)) for each in indices))


def _portable(text: str, number: Mapping[str, int]) -> Portable:
    name, at = _reference(text)
    return [number[name], [tree(each) for each in at]]


def _value(text: str, names: Mapping[str, Any]) -> NDArray:
    result: NDArray = np.asarray(eval(_compiled(text), {}, dict(names)))
    return result


@cache
def _compiled(text: str) -> CodeType:
    return compile(text.strip(), text, "eval")
