"""Makes a loop's next items ahead in threads while the loop works; says so if a thread hangs.

Nothing here can hang, because nothing waits for space in a queue: the loop itself submits each piece of work, and the
thread does it. If the loop ends early, by `break`, an error, Ctrl-C or the end of the program, it cancels what the
thread has not begun and waits for nothing; the thread ends after its current piece. A program that ends does not wait
for it either (see `workers`), as a disk that hangs may never answer.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

from ..errors import FileError
from .workers import Workers

_ROOM = 2**25  # bytes per thread
HANGING = 600.0  # seconds

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(
    make: Callable[[Item], Result], items: Iterable[Item], ahead: int, timeout: float = HANGING, threads: int = 1
) -> Iterator[Result]:
    """make(item) for each item, in order; up to `ahead` results are made before they are requested.

    An error of `make` is raised in place of its result, with its traceback, and ends the loop.

    Parameters
        make : called in another thread, in a copy of the context in which the loop begins
        ahead : ≥ 1
        timeout : seconds that one result may take
        threads : that make results, several at a time if there are several
    Raises
        FileError : it took longer

    >>> list(prefetched(abs, [-1, 2, -3], ahead=2))
    [1, 2, 3]
    """
    process, context = os.getpid(), copy_context()
    items = iter(items)
    worker = Workers(threads, "xpcnn-prefetch")
    waiting: deque[tuple[Item, Future[Result] | None]] = deque()

    def begun(item: Item) -> Future[Result] | None:
        try:
            mmap.mmap(-1, _ROOM).close()  # Python waits forever for a thread that has too little memory to begin
            return worker.submit(context.copy().run, make, item)
        except (RuntimeError, OSError):
            return None

    def result(item: Item, future: Future[Result] | None) -> Result:
        if future is None or os.getpid() != process:  # a forked child has no such thread
            return make(item)
        try:
            return future.result(timeout)
        except TimeoutError:
            if future.done():  # it is make's own error
                raise
            remedy = "see whether its disk or network answers; Loader(…, timeout=) waits longer for a batch"
            raise FileError("source", f"the next items within {timeout:g} s", "none: it hangs", remedy) from None

    try:
        while True:
            for item in islice(items, ahead + 1 - len(waiting)):
                waiting.append((item, begun(item)))
            if not waiting:
                return
            yield result(*waiting.popleft())
    finally:
        worker.end()
