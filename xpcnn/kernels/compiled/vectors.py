"""The vectors of numbers on which one instruction of the processor works, and functions that are written in them.

numba finds such instructions itself where a loop passes over memory. Where sums are to stay in the processor's
registers, loops call functions that are written here in LLVM's language (`microkernel`, `block`, `tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from .loop import NAME, NUMBERS


@cache
def lanes(number: str) -> int:
    """Numbers of this type in a vector of the processor."""
    return _vectors()[0] // np.dtype(number).itemsize


def registers() -> int:
    """Vectors that the processor's registers hold."""
    return _vectors()[1]


@cache
def _vectors() -> tuple[int, int]:
    """The bytes of a vector, and how many there are, of the processor that numba compiles for."""
    if find_spec(NAME) is None:
        return 16, 16
    target = import_module("numba.core.registry").cpu_target.target_context.codegen()
    triple, _, features = target.magic_tuple()
    has = features.split(",")
    if "+avx512f" in has:
        return 64, 32
    if "+avx" in has:
        return 32, 16
    return 16, 32 if triple.startswith(("aarch64", "arm64")) else 16


class Writer:
    """Writes instructions for vectors of numbers of one type."""

    def __init__(self, builder: Any, number: str) -> None:
        self.ir: Any = import_module("llvmlite.ir")
        self.builder, self.char, self.size, self.lanes = (
            builder,
            number,
            np.dtype(number).itemsize,
            lanes(number),
        )
        self.scalar = self.ir.FloatType() if number == "f" else self.ir.DoubleType()
        self.vector, self.whole = self.ir.VectorType(self.scalar, self.lanes), self.ir.IntType(64)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def integer(self, value: int) -> Any:
        return self.ir.Constant(self.whole, value)

    def moved(self, at: Any, numbers: int) -> Any:
        return self.builder.add(at, self.integer(numbers)) if numbers else at

    def array(self, address: Any) -> Any:
        """What begins at an address."""
        return self.builder.inttoptr(address, self.scalar.as_pointer())

    def behind(self, array: Any, at: Any) -> Any:
        """What begins at one number of the array."""
        return self.builder.gep(array, [at])

    def _place(self, array: Any, at: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(array, [at]), kind.as_pointer())

    def number(self, array: Any, at: Any) -> Any:
        """A vector of copies of one number of the array."""
        return self.spread(self.builder.load(self._place(array, at, self.scalar), align=self.size))

    def integer_of(self, array: Any, at: Any) -> Any:
        """One number of an array of int64."""
        integers = self.builder.bitcast(array, self.whole.as_pointer())
        return self.builder.load(self.builder.gep(integers, [at]), align=8)

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
        """a b + c, rounded once where that is fast."""
        function = self._function(f"llvm.fmuladd.{self.suffix}", self.vector, [self.vector] * 3)
        return self.builder.call(function, [a, b, c])

    def larger(self, a: Any, b: Any) -> Any:
        """max(a, b), NaN where one is."""
        wins = self.builder.or_(self.builder.fcmp_ordered(">", a, b), self.builder.fcmp_unordered("uno", a, a))
        return self.builder.select(wins, a, b)

    def at_least(self, a: Any, low: Any) -> Any:
        """max(a, low), NaN where a is."""
        return self.builder.select(self.builder.fcmp_ordered("<=", a, low), low, a)

    def clip(self, a: Any, low: Any, high: Any) -> Any:
        """min(max(a, low), high), NaN where a is."""
        a = self.at_least(a, low)
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

    def choose(self, wide: Any, long: Any, cases: Mapping[tuple[int, int], Callable[[], None]]) -> None:
        """Run what is given for this pair of integers, below 64, if there is any."""
        builder, end = self.builder, self.builder.append_basic_block()
        choice = builder.switch(builder.add(builder.mul(wide, self.integer(64)), long), end)
        for (w, i), write in cases.items():
            begin = builder.append_basic_block()
            choice.add_case(self.integer(64 * w + i), begin)
            builder.position_at_end(begin)
            write()
            builder.branch(end)
        builder.position_at_end(end)

    def _function(self, name: str, returns: Any, takes: list[Any]) -> Any:
        declared = import_module("numba.core.cgutils").get_or_insert_function
        return declared(self.builder.module, self.ir.FunctionType(returns, takes), name)


def written(names: str, write: Callable[..., None]) -> Callable[[Any, str], Callable[..., None]]:
    """What makes the function that compiled loops call for an `external` one.

    Parameters
        names : of its arguments: arrays, integers and floats
        write : takes a `Writer`, and these arguments; arrays as where they begin
    """

    def made_by(numba: Any, number: str) -> Callable[..., None]:
        types = numba.types

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            given = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            write(Writer(builder, number), *given)
            return context.get_dummy_value()

        def kind(given: Any) -> Any:
            if isinstance(given, types.Array):
                return given
            return getattr(types, NUMBERS[number]) if isinstance(given, types.Float) else types.int64

        def signature(*given: Any) -> Any:
            return types.void(*map(kind, given)), emit

        space: dict[str, Any] = {"signature": signature}
        exec(f"def typed(typing, {names}): return signature({names})", space)
        space["function"] = import_module("numba.extending").intrinsic(space["typed"])
        exec(f"def run({names}): function({names})", space)
        made: Callable[..., None] = space["run"]
        return made

    return made_by
