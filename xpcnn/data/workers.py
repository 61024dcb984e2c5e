"""Threads that do pieces of work, and for which nobody has to wait at the end.

Unlike those of `ThreadPoolExecutor`, a program can end while one is in the middle of its work, such as reading from a
disk that no longer answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias

Piece: TypeAlias = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Workers:
    """Some threads, which begin with the first piece of work.

    Parameters
        threads : how many;  name : of the threads

    >>> workers = Workers(2, "example")
    >>> [each.result() for each in [workers.submit(abs, -1), workers.submit(abs, -2)]]
    [1, 2]
    >>> workers.end()
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name, self._begun = threads, name, 0
        self._queue: SimpleQueue[Piece | None] = SimpleQueue()
        self._waiting: set[Future[Any]] = set()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a thread call work(*arguments).

        Raises
            RuntimeError : no thread can be started
        """
        future: Future[Any] = Future()
        if self._begun < self._threads:
            thread = threading.Thread(
                target=_work, args=(self._queue,), name=f"{self._name}-{self._begun}", daemon=True
            )
            thread.start()
            self._begun += 1
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        self._queue.put((future, work, arguments))
        return future

    def end(self) -> None:
        """Cancel what has not begun; each thread ends after its current piece, and nobody waits for it."""
        for future in list(self._waiting):
            future.cancel()
        for _ in range(self._begun):
            self._queue.put(None)


def _work(queue: SimpleQueue[Piece | None]) -> None:
    while (piece := queue.get()) is not None:
        future, work, arguments = piece
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(*arguments))
            except BaseException as error:
                future.set_exception(error)
                del error
        del piece, future, work, arguments  # not kept while this waits
