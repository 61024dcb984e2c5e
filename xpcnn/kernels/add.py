"""The sum of two arrays on NumPy, in blocks that the threads share.

Both are treated as runs in the memory order of the first (see `elementwise`):

    y = a + b                                   (1)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from ..ops.add import check_add
from ..ops.dispatch import output
from ..ops.implementations import Implementation
from ..ops.join import add_backward, check_join
from ..typing import Cache, NDArray
from .batch_last import chunks
from .elementwise import BLOCK, as_run, refuses_run
from .memory import empty_like
from .threads import PASS, parallel


def refuses(a: Any, b: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_run(a) or refuses_run(b)


def forward(a: NDArray, b: NDArray) -> NDArray:
    """`add`, block by block."""
    check_add(a, b)
    y = empty_like(a)  # in a's order
    a_run, b_run, y_run = as_run(a, y), as_run(b, y), as_run(y, y)  # (size,) each

    def work(block: slice) -> None:
        np.add(a_run[block], b_run[block], out=y_run[block])  # (1)

    parallel(work, chunks(y.size, BLOCK), 2 * PASS * y.size)
    return y


def refuses_join(xs: Any) -> str | None:
    """The reason why `join_forward` refuses the call, or None."""
    if not isinstance(xs, tuple | list):
        return "not several arrays"
    reason = next(filter(None, map(refuses_run, xs)), None)
    return reason or (None if len({x.shape for x in xs}) == 1 else "arrays of several shapes")


def join_forward(xs: Sequence[Any]) -> tuple[NDArray, Cache]:
    """`add_forward` of `xpcnn.ops.join`, two arrays at a time."""
    shape = check_join("Add", xs)
    return reduce(partial(output, "add"), xs), (shape, [shape] * len(xs))  # (1)


IMPLEMENTATION = Implementation("blocks", refuses, forward, None)
JOIN = Implementation("blocks", refuses_join, join_forward, add_backward)
