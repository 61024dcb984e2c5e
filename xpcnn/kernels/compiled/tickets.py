"""How threads that are in the same compiled loop share its work: by tickets, which a counter hands out.

A thread that is late, or never comes, holds nobody up: the others take its tickets. A thread waits only for pieces that
another is computing. It then looks again and again, and leaves the processor to others where this takes long.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .loop import external

APART = 16  # integers between counters, so that no two are in one line of a processor's cache
LOOKS = 2000  # at a counter, some ten microseconds, before a thread leaves the processor


def _atomic(looks_only: bool) -> Callable[[Any, str], Callable[..., int]]:
    def made_by(numba: Any, number: str) -> Callable[..., int]:
        extending, types = import_module("numba.extending"), numba.types

        def typed(typing: Any, counters: Any, at: Any, more: Any) -> Any:
            def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
                place = builder.gep(data, [arguments[1]])
                if looks_only:
                    return builder.load_atomic(place, "acquire", 8)
                return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

            return types.int64(counters, types.int64, types.int64), emit

        function = extending.intrinsic(typed)

        def run(counters: Any, at: int, more: int) -> int:
            found: int = function(counters, at, more)
            return found

        return run

    return made_by


def _yielding(numba: Any, number: str) -> Callable[[], None]:
    if not can_share():
        return _nothing
    leave = numba.types.ExternalFunction("sched_yield", numba.types.int32())

    def run() -> None:
        leave()

    return run


def _nothing() -> None:
    pass


def can_share() -> bool:
    """Whether a thread can leave the processor to others."""
    return os.name == "posix" and hasattr(ctypes.CDLL(None), "sched_yield")


@external(_atomic(False))
def add(counters: Any, at: int, more: int) -> int:
    """Add to a counter, at once for all threads; what it was before."""
    before = int(counters[at])
    counters[at] += more
    return before


@external(_atomic(True))
def look(counters: Any, at: int, more: int) -> int:
    """A counter, and all that threads have written before they added to it."""
    return int(counters[at])


@external(_yielding)
def leave_processor() -> None:
    """Let another thread run."""
