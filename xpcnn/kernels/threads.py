"""The threads that share the work of one operation.

`parallel(work, units, cost)` calls work(unit) for every unit, from the calling thread and from a pool of others, and
returns when all are done. NumPy's products, ufuncs and copies release the interpreter's lock, so that all of an
operation runs in parallel, not only its products. Meanwhile NumPy's BLAS is held to one thread: two Python threads
with a BLAS thread each beat one Python thread with two BLAS threads in every case measured, and one thread's
products are the same bit for bit whatever else goes on. When the last of the calls at hand is done, BLAS has the
number of threads back that the program gave it.

Results do not depend on the number of threads: what the units are does not, and each writes what no other writes.

The pool's threads, and a caller that waits for them, stay awake for `AWAKE` seconds, as those of OpenMP and OpenBLAS
do: a sleeping processor may need longer to wake up, in a virtual machine milliseconds, than the work takes.

There are `XPCNN_NUM_THREADS` threads; unset, as many as BLAS would use, so that OMP_NUM_THREADS, threadpoolctl and
joblib's limits hold here as well.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import mmap
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .. import settings

Unit = TypeVar("Unit")
Sums: TypeAlias = np.ndarray[Any, Any]

PASS = 15  # what one pass of a ufunc over one element costs, in multiplications or additions of a matrix product
PARTS = 4  # of a sum over units
AWAKE = 5e-4  # seconds
_BUFFER = 2**26  # bytes, at least what OpenBLAS takes for a thread
_ALONE = 7e7  # below this cost (0.3 ms of products) waking a thread takes longer than it saves


def parallel(work: Callable[[Unit], object], units: Sequence[Unit], cost: float) -> None:
    """work(unit) for each unit, in any order, on any thread; an error in one of them is raised.

    Parameters
        cost : of all units together, in multiplications and additions of products; see `PASS`
    """
    with one_blas_thread as threads:
        helpers = 0 if cost < _ALONE else min(threads, len(units)) - 1
        if helpers <= 0:
            for unit in units:
                work(unit)
            return
        claims = itertools.count()  # next() is atomic
        errors: list[BaseException] = []

        def drain() -> None:
            try:
                while (claim := next(claims)) < len(units) and not errors:
                    work(units[claim])
            except BaseException as error:
                errors.append(error)  # nobody begins another unit

        # each in a context of its own: numpy.errstate and the like of the calling thread hold
        tasks = [_Task(copy_context(), drain) for _ in range(helpers)]
        for helper, task in zip(_helpers(helpers), tasks, strict=False):  # fewer where no more can be started
            helper.tasks.put(task)
        try:
            drain()
        finally:
            for task in tasks:
                task.withdraw_or_wait()
        if errors:
            raise errors[0]


def reduce_units(
    add: Callable[[Sums, Unit], None], shape: tuple[int, ...], dtype: Any, units: Sequence[Unit], cost: float
) -> Sums:
    """The sum over all units of what add(total, unit) adds to the total it is given.

    There are `PARTS` totals, whatever the number of threads, which are added up in their order.
    """
    totals = np.zeros((min(PARTS, len(units)), *shape), dtype)

    def work(part: int) -> None:
        for unit in units[part::PARTS]:
            add(totals[part], unit)

    parallel(work, range(len(totals)), cost)
    total: Sums = totals.sum(axis=0) if len(totals) > 1 else totals[0]
    return total


class _Task:
    """A call for a helper to make, unless it is withdrawn before."""

    def __init__(self, context: Context, call: Callable[[], None]) -> None:
        self.open: list[Callable[[], None]] = [lambda: context.run(call)]  # whoever takes it out has it
        self.done = threading.Event()

    def run(self) -> None:
        try:
            call = self.open.pop()
        except IndexError:
            return
        try:
            call()
        finally:
            self.done.set()  # whatever happens: somebody waits for it

    def withdraw_or_wait(self) -> None:
        try:
            self.open.pop()
        except IndexError:
            until = time.monotonic() + AWAKE
            while not self.done.is_set() and time.monotonic() < until:
                _stay_awake()
            self.done.wait()


class _Helper(threading.Thread):
    """A thread of the pool."""

    def __init__(self) -> None:
        super().__init__(name=f"xpcnn-{len(_pool) + 1}", daemon=True)
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while (task := self._next()) is not None:
            with suppress(MemoryError):  # before the call began: the others do its share
                task.run()
            del task  # and what it refers to

    def _next(self) -> _Task | None:
        until = time.monotonic() + AWAKE
        while time.monotonic() < until:
            try:
                return self.tasks.get_nowait()
            except Empty:
                _stay_awake()
        return self.tasks.get()


def _stay_awake() -> None:
    """Some tens of microseconds of work outside of the interpreter's lock, which touches no memory."""
    _ONES.sum()


_ONES = np.broadcast_to(np.ones(1), (1 << 18,))
_pool: list[_Helper] = []


def _helpers(count: int) -> list[_Helper]:
    """So many of the pool's threads, or as many as there is memory for."""
    while len(_pool) < count:
        try:
            reserve(len(_pool) + 2)  # and the calling thread's
            _pool.append(_Helper())
        except (RuntimeError, MemoryError):  # "can't start new thread"
            break
    return _pool[:count]


@atexit.register
def _end() -> None:
    while _pool:
        helper = _pool.pop()
        helper.tasks.put(None)
        helper.join()


class _OneBlasThread:
    """Holds NumPy's OpenBLAS to one thread, and gives the number of threads that there are to use.

    Other BLAS libraries (Accelerate, MKL) are left alone. threadpoolctl finds the library; it is not asked to set
    the number, because it lets only one thread of a program do so.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0  # calls of `parallel` that are at work
        self.before = 1
        self.held = False  # BLAS has `before` still to be given back: an interrupt may keep `__exit__` from it

    def __enter__(self) -> int:
        get, set_ = _openblas()
        asked = settings.num_threads()
        with self.lock:
            if not self.users:
                if not self.held:
                    self.before = get()
                self.held = True
                set_(1)
            self.users += 1
            return asked or self.before

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.users = max(0, self.users - 1)  # it is 0 in a child that was forked inside
            if not self.users:
                self.restore()

    def restore(self) -> None:
        _openblas()[1](self.before)
        self.held = False


def _openblas() -> tuple[Callable[[], int], Callable[[int], None]]:
    """The functions that get and set the number of threads of the OpenBLAS that NumPy uses."""
    _, get, set_ = _library()
    return get, set_


@cache
def _library() -> tuple[ctypes.CDLL | None, Callable[[], int], Callable[[int], None]]:
    from threadpoolctl import threadpool_info

    found = [each["filepath"] for each in threadpool_info() if each["internal_api"] == "openblas"]
    # a program may have loaded others, SciPy's say
    found.sort(key=lambda path: "numpy" not in os.path.basename(os.path.dirname(path)))
    for path in found:
        library = ctypes.CDLL(path)
        for prefix, suffix in itertools.product(("scipy_", ""), ("64_", "_64", "")):
            names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
            if all(hasattr(library, name) for name in names):
                get, set_ = (getattr(library, name) for name in names)
                return library, get, set_
    return None, (lambda: os.cpu_count() or 1), (lambda number: None)


@cache
def reserve(number: int) -> None:
    """Have OpenBLAS take, and keep, the buffers that so many threads need for their products.

    It takes one when a product first needs it, and ends the program where there is no memory for it.

    Raises
        MemoryError
    """
    library = _library()[0]
    if library is None or not all(hasattr(library, name) for name in ("blas_memory_alloc", "blas_memory_free")):
        return
    library.blas_memory_alloc.restype, library.blas_memory_free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    try:
        mmap.mmap(-1, number * _BUFFER).close()  # is there room?
    except OSError:
        raise MemoryError("Unable to allocate a buffer for products of matrices") from None
    for buffer in [library.blas_memory_alloc(0) for _ in range(number)]:
        library.blas_memory_free(buffer)


one_blas_thread = _OneBlasThread()


def _after_fork_in_child() -> None:
    """A forked child has neither the parent's threads nor, perhaps, its lock's holder."""
    _pool.clear()
    busy = one_blas_thread.users
    one_blas_thread.users, one_blas_thread.lock = 0, threading.Lock()
    if busy:
        one_blas_thread.restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
