"""An optimizer's step in a compiled loop: one pass over each parameter, its gradient and its slots.

The loop is made of the text that the optimizer gives beside its equations (`Optimizer.in_c`), whose assignments are
Python as well as C. For SGD with momentum it is

    for k in range(len(p)):
        p_k, g_k, velocity_k = p[k], g[k], velocity[k]
        velocity_k = momentum * velocity_k + g_k; g_k = velocity_k; p_k -= lr * g_k
        p[k], velocity[k] = p_k, velocity_k

without the `_k`. It also adds 0·p and 0·velocity, whose sum is not 0 if a number that was written is NaN or infinite:
so nobody has to read them once more.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np

from ...typing import NDArray
from ..batch_last import chunks
from ..threads import PASS, parallel
from .loop import Loop, contiguous, refuses_numbers

BLOCK = 1 << 16  # numbers


def refuses(text: str, rows: Sequence[tuple[Any, ...]]) -> str | None:
    """The reason why these (p, g, *slots) cannot be updated so, or None."""
    if not _lines(text):
        return "a text that is no Python, or calls more than sqrt"
    for p, *others in rows:
        if len(others) < 2:
            return "without slots NumPy is as fast"
        if reason := refuses_numbers(p):
            return reason
        if not all(isinstance(array, np.ndarray) and array.dtype == p.dtype for array in others):
            return "arrays of several kinds"
        if not all(array.flags.carray for array in (p, *others[1:])):
            return "arrays that are not contiguous, aligned and writable"
    return None


def step(text: str, numbers: Mapping[str, float], slots: tuple[str, ...], rows: Sequence[tuple[NDArray, ...]]) -> bool:
    """Run the text for each number of all parameters; rows are (p, g, *slots).

    Returns
        whether all numbers written are finite
    """
    loop, values = _loop(text, tuple(numbers), slots), numbers.values()
    flat = [(contiguous(g).reshape(-1), p.reshape(-1), *(each.reshape(-1) for each in own)) for p, g, *own in rows]
    units = [(row, at) for row in flat for at in chunks(row[0].size, BLOCK)]
    found = np.zeros(len(units))

    def work(k: int) -> None:
        row, at = units[k]
        loop(*row, at.start, at.stop, found[k : k + 1], *values)

    parallel(work, range(len(units)), PASS * sum(row[0].size for row in flat))
    return not found.any()


@cache
def _lines(text: str) -> tuple[str, ...]:
    """The assignments of the text, or none if they are no Python that can be compiled."""
    python = re.sub(r"(?<![\w.])(\d+)(?![\w.])", r"\1.0", text)  # whole numbers would be integers
    lines = tuple(each.strip() for each in python.split(";") if each.strip())
    try:
        parsed = ast.parse("\n".join(lines))
    except SyntaxError:
        return ()
    called = {ast.unparse(each.func) for each in ast.walk(parsed) if isinstance(each, ast.Call)}
    return lines if called <= {"sqrt"} else ()


@cache
def _loop(text: str, numbers: tuple[str, ...], slots: tuple[str, ...]) -> Loop:
    own = ("p", *slots)
    arrays = ", ".join(f"{name}s: Out1" for name in own)
    others = "".join(f", {name}: float" for name in numbers)
    source = [
        f"def step(gs: In1, {arrays}, first: int, last: int, found: Sums1{others}) -> None:",
        *(f"    {name}s = {name}s[first:last]" for name in ("g", *own)),
        "    total = 0.0",
        "    for k in range(len(ps)):",
        *(f"        {name} = {name}s[k]" for name in ("g", *own)),
        *(f"        {line}" for line in _lines(text)),
        *(f"        {name}s[k] = {name}" for name in own),
        f"        total += {' + '.join(f'0.0 * {name}' for name in own)}",
        "    found[0] += total",
    ]
    names: dict[str, Any] = {"sqrt": math.sqrt, "__name__": __name__}
    exec("\n".join(source), names)
    return Loop(names["step"], f"step_{sha256(repr((text, numbers, slots)).encode()).hexdigest()[:12]}", {})
