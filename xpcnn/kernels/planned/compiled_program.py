"""A plan's steps as one compiled loop over a table (`xpcnn.kernels.compiled.program`), with the channels last.

A convolution and what follows it (batch norm, a sum with another value, ReLU or other limits, flattening) are one
operation. All values are in one array. Images have a margin of zeros where a convolution reads one, and values that are
no longer needed give their place to others of the same shape. Steps that the table has no rows for run between parts of
it, as NumPy calls on views of the same memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy

import numpy as np

from ...typing import NDArray
from ..compiled.program import COLUMNS, COUNTERS, run_steps
from ..compiled.tickets import APART, can_share
from ..compiled.vectors import lanes
from ..memory import aligned
from ..threads import one_blas_thread, parallel
from .buffer import NONE, Buffer, Margin
from .compiled_steps import Operation, add_rows, is_compiled, margin
from .compiled_table import Constants, Table, Value
from .conv import Convolution
from .elementwise import RELU, Affine, Flattening, Join, Rectifier, ZeroPadding
from .linear import Dense
from .pool import GlobalMean, Pooling
from .program import Wiring

_ENDS = Convolution, Dense, Affine, Pooling, GlobalMean, Join, Rectifier  # steps that take in what follows them
_FACTORS = "images", "height", "width", "channels", "groups", "kh", "kw", "count"
LEAST = 2e8  # cost from which a second thread saves more time than it takes
SPARE = 64  # numbers behind the last, which vectors may read


class CompiledProgram:
    """The steps for a batch of n items, with memory of its own: for one thread at a time.

    Parameters
        shares : whether threads share the steps, if that pays
    """

    def __init__(self, wiring: Wiring, n: int, shares: bool = True) -> None:
        operations = _operations(wiring, n)
        self._values = _values(wiring, n, operations)
        end = _lay_out(self._values, wiring, operations)
        table = Table(wiring.dtype, end)
        self._parts: list[tuple[int, int] | Operation] = []  # rows of the table, or a step of NumPy's
        for operation in operations:
            if not _has_rows(operation, wiring, n):
                self._parts.append(operation)
                continue
            begin = len(table.rows)
            add_rows(table, operation, self._values)
            last = self._parts[-1] if self._parts else None
            if isinstance(last, tuple):
                begin = last[0]
                self._parts.pop()
            self._parts.append((begin, len(table.rows)))
        self.constants, self._rows = Constants(table, wiring.frozen), table.array()
        self._wiring, self._size, self._shares = wiring, end + table.scratch + SPARE, shares
        self._bind()

    def _bind(self) -> None:
        memory = aligned((self._size,), self._wiring.dtype)
        buffers = {number: _ChannelsLastBuffer(value, memory) for number, value in self._values.items()}
        self.calls: list[Callable[[], object]] = []
        for part in self._parts:
            if isinstance(part, tuple):
                self.calls.append(_Run(self._rows, part, self.constants.array, memory, self._shares))
            else:
                self.calls.append(part.step.bind([buffers[each] for each in part.reads], buffers[part.writes], []))
        self.inputs = [buffers[value] for value in self._wiring.inputs]
        self.outputs = [buffers[value] for value in self._wiring.outputs]

    def twin(self) -> CompiledProgram:
        """The same program in other memory, for another thread; it has the same constants."""
        other = copy(self)
        other._bind()
        return other

    def run(self, arrays: Sequence[NDArray]) -> list[NDArray]:
        self.constants.follow()
        self.compute(arrays)
        return [buffer.value() for buffer in self.outputs]

    def compute(self, arrays: Sequence[NDArray]) -> None:
        """Fill the outputs, with the constants as they are."""
        for buffer, array in zip(self.inputs, arrays, strict=True):
            buffer.fill(array)
        for call in self.calls:
            call()


class _Run:
    """Some steps of the table, which threads share if that pays."""

    def __init__(
        self, table: NDArray, part: tuple[int, int], constants: NDArray, memory: NDArray, shares: bool
    ) -> None:
        first, last = part
        self.counters = np.zeros(COUNTERS * APART * (last - first), np.int64)
        self.arguments = table, first, last, constants, memory, self.counters
        columns = [COLUMNS.index(name) for name in _FACTORS]
        self.cost = 2.0 * float(np.prod(np.maximum(table[first:last, columns], 1), axis=1, dtype=float).sum())
        self.shared = shares and self.cost >= LEAST and can_share()

    def __call__(self) -> None:
        if not self.shared:
            run_steps(*self.arguments, False, 0)
            return
        with one_blas_thread as threads:
            self.counters.fill(0)
            parallel(lambda k: run_steps(*self.arguments, threads > 1, k % 2), range(threads), self.cost, least=LEAST)


class _ChannelsLastBuffer(Buffer):
    """A value in a compiled program's memory, as steps of NumPy's see it."""

    def __init__(self, value: Value, memory: NDArray) -> None:
        self.shape, self.margin, self.is_images = value.shape, value.margin, len(value.shape) == 4
        self.whole = memory[value.offset :][: value.size].reshape(value.padded)
        self.padded = self.inside = self.whole
        if self.is_images:
            _, h, w, _ = value.shape
            top, _, left, _ = value.margin
            self.padded = self.whole.transpose(3, 0, 1, 2)
            self.inside = self.padded[:, :, top : top + h, left : left + w]

    @property
    def rows(self) -> NDArray:
        return self.whole.reshape(1, -1)


def has_all_rows(wiring: Wiring) -> bool:
    """Whether all steps are in the table, for any number of items."""
    return all(_has_rows(each, wiring, 1) for each in _operations(wiring, 1))


def _has_rows(operation: Operation, wiring: Wiring, n: int) -> bool:
    shapes = [(n, *wiring.shapes[each]) for each in operation.reads]
    return is_compiled(operation.step, shapes, operation.shape)


def _operations(wiring: Wiring, n: int) -> list[Operation]:
    """The steps, each with what follows it."""
    uses = Counter(value for entry in wiring.entries for value in entry.reads)
    uses.update(wiring.outputs)
    made: list[Operation] = []
    by: dict[int, int] = {}  # the position of the operation that writes a value
    for step, reads, writes in wiring.entries:
        shape = (n, *wiring.shapes[writes])
        if isinstance(step, Flattening):
            shape = (n, *wiring.shapes[reads[0]])
        new = Operation(step, reads, writes, shape)
        if isinstance(step, Rectifier):
            new.cut_off(*step.limits)
        elif isinstance(step, Convolution) and step.relu:
            new.cut_off(*RELU)
        elif isinstance(step, Join):
            new.added = reads[1]
        taken_in = False
        if _has_rows(new, wiring, n):
            last = max(reads, key=lambda value: by.get(value, -1))
            before = made[by[last]] if last in by and uses[last] == 1 else None
            if before is not None and isinstance(before.step, _ENDS) and _has_rows(before, wiring, n):
                taken_in = _take_in(before, new, last)
        if taken_in:
            by[writes] = by.pop(last)
        else:
            by[writes] = len(made)
            made.append(new)
    return made


def _take_in(before: Operation, new: Operation, value: int) -> bool:
    """Let the operation that writes this value do what the new one does with it, if it can."""
    if isinstance(new.step, Rectifier):
        before.cut_off(*new.step.limits)
    elif isinstance(new.step, Join):
        (other,) = [each for each in new.reads if each != value] or [value]
        if other == value or before.added is not None or before.limits != Operation.limits:
            return False
        if before.shape != new.shape:  # flattened between them
            return False
        before.added = other
    elif not isinstance(new.step, Flattening):
        return False
    before.writes = new.writes
    return True


def _values(wiring: Wiring, n: int, operations: list[Operation]) -> dict[int, Value]:
    """The values that operations read or write, with the margins that they want."""
    used = {*wiring.inputs, *wiring.outputs}
    margins: dict[int, Margin] = {}
    dtype = np.dtype(wiring.dtype)
    for each in operations:
        used |= {each.writes} | each.all_reads
        for value in each.reads:
            wanted = margin(each.step, (n, *wiring.shapes[value]), lanes(dtype.char), dtype.itemsize)
            before = margins.get(value, NONE)
            margins[value] = tuple(map(max, before, wanted))  # type: ignore[assignment]
    return {value: Value((n, *wiring.shapes[value]), margins.get(value, NONE)) for value in sorted(used)}


def _lay_out(values: dict[int, Value], wiring: Wiring, operations: list[Operation]) -> int:
    """Give each value its place; the end of them all."""
    line = 64 // np.dtype(wiring.dtype).itemsize
    last_use = {value: k for k, each in enumerate(operations) for value in each.all_reads}
    last_use |= dict.fromkeys(wiring.outputs, len(operations))
    fixed = {*wiring.inputs, *(each.writes for each in operations if isinstance(each.step, ZeroPadding))}
    free: dict[object, list[int]] = {}
    end = 0

    def place(value: int) -> None:
        nonlocal end
        own = values[value]
        idle = free.get((own.padded, own.margin))
        if idle and value not in fixed:  # a padding's zeros are never written
            own.offset = idle.pop()
        else:
            own.offset = end
            end += -(-own.size // line) * line

    for value in wiring.inputs:
        place(value)
    for k, each in enumerate(operations):
        place(each.writes)
        for value in each.all_reads - fixed:
            if last_use[value] == k:
                free.setdefault((values[value].padded, values[value].margin), []).append(values[value].offset)
    return end
