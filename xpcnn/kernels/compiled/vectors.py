"""Numbers that one instruction of the processor computes, and what a compiled loop needs to work on them.

numba finds such instructions itself where a loop passes over memory. Where sums are to stay in the processor's
registers, loops call functions that are written here in LLVM's language (`block`, `tiles`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np


@cache
def lanes(number: str) -> int:
    """Numbers of this type in a vector of the processor."""
    features = import_module("llvmlite.binding").get_host_cpu_features()
    size = next((size for name, size in (("avx512f", 64), ("avx", 32)) if features.get(name)), 16)
    return size // np.dtype(number).itemsize


@cache
def registers() -> int:
    """Vectors that the processor's registers hold."""
    features = import_module("llvmlite.binding").get_host_cpu_features()
    return 32 if features.get("avx512f") or features.get("neon") else 16


class Writer:
    """Writes instructions for vectors of numbers of one type."""

    def __init__(self, builder: Any, number: str) -> None:
        self.ir: Any = import_module("llvmlite.ir")
        self.builder, self.size, self.lanes = builder, np.dtype(number).itemsize, lanes(number)
        self.scalar = self.ir.FloatType() if number == "f" else self.ir.DoubleType()
        self.vector, self.whole = self.ir.VectorType(self.scalar, self.lanes), self.ir.IntType(64)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def integer(self, value: int) -> Any:
        return self.ir.Constant(self.whole, value)

    def moved(self, at: Any, numbers: int) -> Any:
        return self.builder.add(at, self.integer(numbers)) if numbers else at

    def _place(self, array: Any, at: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(array, [at]), kind.as_pointer())

    def number(self, array: Any, at: Any) -> Any:
        """A vector of copies of one number of the array."""
        return self.spread(self.builder.load(self._place(array, at, self.scalar), align=self.size))

    def load(self, array: Any, at: Any) -> Any:
        return self.builder.load(self._place(array, at, self.vector), align=self.size)

    def store(self, value: Any, array: Any, at: Any) -> None:
        self.builder.store(value, self._place(array, at, self.vector), align=self.size)

    def store_first(self, value: Any, array: Any, at: Any, first: Any) -> None:
        """Store those numbers of the vector of which `first` is true."""
        kinds = [self.vector, self.vector.as_pointer(), self.ir.IntType(32), first.type]
        function = self._function(f"llvm.masked.store.{self.suffix}.p0", self.ir.VoidType(), kinds)
        place = self._place(array, at, self.vector)
        self.builder.call(function, [value, place, self.ir.Constant(self.ir.IntType(32), self.size), first])

    def spread(self, value: Any) -> Any:
        """A vector of copies of a number, or of an integer."""
        kind, short = self.ir.VectorType(value.type, self.lanes), self.ir.IntType(32)
        unknown = self.ir.Constant(kind, self.ir.Undefined)
        one = self.builder.insert_element(unknown, value, self.ir.Constant(short, 0))
        zeros = self.ir.Constant(self.ir.VectorType(short, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, unknown, zeros)

    def first(self, count: Any) -> Any:
        """Which numbers of a vector are the first `count`."""
        numbers = self.ir.Constant(self.ir.VectorType(self.whole, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.spread(count))

    def constant(self, value: float) -> Any:
        return self.spread(self.ir.Constant(self.scalar, value))

    def add_product(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        return self.builder.call(self._function(f"llvm.fma.{self.suffix}", self.vector, [self.vector] * 3), [a, b, c])

    def larger(self, a: Any, b: Any) -> Any:
        """max(a, b), NaN where one is."""
        wins = self.builder.or_(self.builder.fcmp_ordered(">", a, b), self.builder.fcmp_unordered("uno", a, a))
        return self.builder.select(wins, a, b)

    def clip(self, a: Any, low: Any, high: Any) -> Any:
        """min(max(a, low), high), NaN where a is."""
        a = self.builder.select(self.builder.fcmp_ordered("<=", a, low), low, a)
        return self.builder.select(self.builder.fcmp_ordered(">=", a, high), high, a)

    def repeat(self, until: Any, carried: list[Any], body: Callable[[list[Any]], list[Any]]) -> list[Any]:
        """Run the body `until` times, once at least, on values that it carries along."""
        builder = self.builder
        before, inside = builder.block, builder.append_basic_block()
        after = builder.append_basic_block()
        builder.branch(inside)
        builder.position_at_end(inside)
        count, *values = (builder.phi(each.type) for each in (until, *carried))
        for value, begun in zip((count, *values), (self.integer(0), *carried), strict=True):
            value.add_incoming(begun, before)
        made = body(values)
        following, end = self.moved(count, 1), builder.block
        for value, each in zip((count, *values), (following, *made), strict=True):
            value.add_incoming(each, end)
        builder.cbranch(builder.icmp_signed("<", following, until), inside, after)
        builder.position_at_end(after)
        return made

    def _function(self, name: str, returns: Any, takes: list[Any]) -> Any:
        declared = import_module("numba.core.cgutils").get_or_insert_function
        return declared(self.builder.module, self.ir.FunctionType(returns, takes), name)


def function(number: str, names: str, write: Callable[..., None]) -> Any:
    """A function for compiled loops, which `write(writer, *arguments)` writes.

    Parameters
        names : of its arguments; the first two are arrays of numbers, the others integers
    """
    extending, types = import_module("numba.extending"), import_module("numba").types

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(signature.args[:2], arguments[:2], strict=True)
        arrays = [context.make_array(kind)(context, builder, value).data for kind, value in pairs]
        write(Writer(builder, number), *arrays, *arguments[2:])
        return context.get_dummy_value()

    def signature(a: Any, b: Any, count: int) -> Any:
        return types.void(a, b, *[types.int64] * count), emit

    first, second, *others = names.split(", ")
    space: dict[str, Any] = {"signature": signature}
    exec(f"def typed(typing, {names}): return signature({first}, {second}, {len(others)})", space)
    return extending.intrinsic(space["typed"])
