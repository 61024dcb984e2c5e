"""Items of many requests, answered in batches by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Full(Exception):
    """No place is left in the queue."""


class _Waiting(NamedTuple):
    item: Any
    answer: Future[Any]


class Batches(Generic[Item, Answer]):
    """A bounded queue of items, and the thread that answers them.

    The thread takes what waits, at most `most` items; from the first one on it waits up to `seconds` for others. While
    it computes, others collect: so batches grow with the load, also where it does not wait.

    Parameters
        answer : the answers for some items, in order
        most : items a batch
        seconds : to wait for others
        places : items that are accepted before they are answered

    >>> batches = Batches(lambda numbers: [number * number for number in numbers], most=4, seconds=0.0, places=8)
    >>> [each.result() for each in batches.submit([1, 2, 3])]
    [1, 4, 9]
    >>> batches.close()
    """

    def __init__(
        self, answer: Callable[[Sequence[Item]], Sequence[Answer]], *, most: int, seconds: float, places: int
    ) -> None:
        self._answer, self.most, self.seconds, self.places = answer, most, seconds, places
        self.sizes: list[int] = [0] * (most + 1)  # how many batches had so many items
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._lock, self._held, self._open = threading.Lock(), 0, True
        run = partial(copy_context().run, self._run)  # on the backend of the one who makes it
        self._thread = threading.Thread(target=run, name="xpcnn batches", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """The items that are accepted and not answered."""
        return self._held

    def submit(self, items: Sequence[Item]) -> list[Future[Answer]]:
        """Accept all of these items, or none.

        Raises
            Full : there is no place for them, or the queue is closed
        """
        waiting = [_Waiting(item, Future()) for item in items]
        with self._lock:
            if not self._open or self._held + len(waiting) > self.places:
                raise Full
            self._held += len(waiting)
            for each in waiting:
                self._queue.put(each)
        return [each.answer for each in waiting]

    def close(self) -> None:
        """Answer what has been accepted, and end the thread."""
        with self._lock:
            self._open = False
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self.sizes[len(batch)] += 1
            self._settle(batch)

    def _next(self) -> list[_Waiting]:
        """The next batch; an empty one is the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch, end = [first], monotonic() + self.seconds
        while len(batch) < self.most:
            try:
                left = end - monotonic()
                each = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except Empty:
                break
            if each is None:
                self._queue.put(None)
                break
            batch.append(each)
        return batch

    def _settle(self, batch: list[_Waiting]) -> None:
        """Answer a batch; if that fails, each item by itself, so that none suffers from another."""
        try:
            for each, answer in zip(batch, self._answer([each.item for each in batch]), strict=True):
                self._done(each.answer.set_result, answer)
        except Exception as error:
            if len(batch) == 1:
                self._done(batch[0].answer.set_exception, error)
            else:
                for each in batch:
                    self._settle([each])

    def _done(self, tell: Callable[[Any], None], what: Any) -> None:
        with self._lock:
            self._held -= 1
        try:
            tell(what)
        except Exception:  # nobody waits for it any more
            return
