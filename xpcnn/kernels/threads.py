"""The threads that share the work of one operation.

`parallel(work, units, cost)` calls work(unit) for every unit, on the calling thread and on the threads of a pool, and
returns when all are done. NumPy's products, ufuncs and copies release the interpreter's lock, so that all of an
operation runs in parallel, not only its products. Meanwhile NumPy's BLAS is limited to one thread: two Python threads
with a BLAS thread each beat one Python thread with two BLAS threads in every case measured, and one thread's
products are the same bit for bit, whatever else runs. When the last running call is done, BLAS gets back its previous
number of threads.

Results do not depend on the number of threads, because the units do not depend on it, and no two units write to the
same place.

The pool's threads, and a caller that waits for them, stay awake for `AWAKE` seconds, as those of OpenMP and OpenBLAS
do: a sleeping processor may need longer to wake up than the work takes, milliseconds in a virtual machine.

`XPCNN_NUM_THREADS` sets the number of threads. If it is unset, there are as many as BLAS would use, so that
OMP_NUM_THREADS, threadpoolctl and joblib's limits apply here as well.
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

PASS = 15  # the cost of one ufunc pass over one element, in multiplications or additions of a matrix product
PARTS = 4  # of a sum over units
AWAKE = 5e-4  # seconds
_BUFFER = 2**26  # bytes, at least as large as OpenBLAS's buffer for a thread
_ALONE = 7e7  # below this cost (0.3 ms of products) waking a thread takes longer than it saves


def parallel(work: Callable[[Unit], object], units: Sequence[Unit], cost: float, *, least: float | None = None) -> None:
    """Call work(unit) for each unit, in any order, on any thread; raise the error if one fails.

    Parameters
        cost : of all units together, in multiplications and additions of products; see `PASS`
        least : the cost from which threads are used; None for that at which waking one pays
    """
    with one_blas_thread as threads:
        helpers = 0 if cost < (_ALONE if least is None else least) or _alone.within else min(threads, len(units)) - 1
        if helpers <= 0:
            for unit in units:
                work(unit)
            return
        claims = itertools.count()  # next() is atomic
        errors: list[BaseException] = []

        def drain() -> None:
            _alone.within = True
            try:
                while (claim := next(claims)) < len(units) and not errors:
                    work(units[claim])
            except BaseException as error:
                errors.append(error)  # no thread begins another unit
            finally:
                _alone.within = False

        # each in its own copy of the caller's context, so that its numpy.errstate and the like apply
        tasks = [_Task(copy_context(), drain) for _ in range(helpers)]
        for helper, task in zip(_helpers(helpers), tasks, strict=False):  # fewer if no more can be started
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
    """The sum over all units; add(total, unit) adds a unit's share to the total it is given.

    There are always `PARTS` totals, for any number of threads, and they are added up in order.
    """
    totals = np.zeros((min(PARTS, len(units)), *shape), dtype)

    def work(part: int) -> None:
        for unit in units[part::PARTS]:
            add(totals[part], unit)

    parallel(work, range(len(totals)), cost)
    total: Sums = totals.sum(axis=0) if len(totals) > 1 else totals[0]
    return total


class _Task:
    """A call that a helper makes, unless it is withdrawn first."""

    def __init__(self, context: Context, call: Callable[[], None]) -> None:
        self.open: list[Callable[[], None]] = [lambda: context.run(call)]  # the thread that pops it runs it
        self.done = threading.Event()

    def run(self) -> None:
        try:
            call = self.open.pop()
        except IndexError:
            return
        try:
            call()
        finally:
            self.done.set()  # in any case, as the caller waits for it

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
            with suppress(MemoryError):  # raised before the call began: the others do its share
                task.run()
            del task  # and the objects that it refers to

    def _next(self) -> _Task | None:
        until = time.monotonic() + AWAKE
        while time.monotonic() < until:
            try:
                return self.tasks.get_nowait()
            except Empty:
                _stay_awake()
        return self.tasks.get()


def _stay_awake() -> None:
    """Some tens of microseconds of work without the interpreter's lock, which touches no memory."""
    _ONES.sum()


_ONES = np.broadcast_to(np.ones(1), (1 << 18,))
_pool: list[_Helper] = []


class _Alone(threading.local):
    """Whether this thread is within a unit of work, which uses no other threads."""

    within = False


_alone = _Alone()


def _helpers(count: int) -> list[_Helper]:
    """That many threads of the pool, or as many as there is memory for."""
    while len(_pool) < count:
        try:
            reserve(len(_pool) + 2)  # plus that of the calling thread
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
    """Limits NumPy's OpenBLAS to one thread, and returns the number of threads to use.

    Other BLAS libraries (Accelerate, MKL) are left alone. threadpoolctl finds the library, but does not set the
    number, because it allows only one thread of a program to do so.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0  # running calls of `parallel`
        self.before = 1
        self.held = False  # `before` is still to be restored; an interrupt may stop `__exit__` from doing so

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
            self.users = max(0, self.users - 1)  # it is 0 in a child that was forked meanwhile
            if not self.users:
                self.restore()

    def restore(self) -> None:
        _openblas()[1](self.before)
        self.held = False


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]]:
    """The functions that get and set the number of threads of the OpenBLAS that NumPy uses."""
    _, get, set_ = _library()
    return get, set_


def openblas_library() -> ctypes.CDLL | None:
    """The OpenBLAS that NumPy uses, or None if it uses another library."""
    return _library()[0]


@cache
def _library() -> tuple[ctypes.CDLL | None, Callable[[], int], Callable[[int], None]]:
    from threadpoolctl import threadpool_info

    found = [each["filepath"] for each in threadpool_info() if each["internal_api"] == "openblas"]
    # a program may have loaded others, such as SciPy's
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
    """Make OpenBLAS allocate and keep the buffers that this many threads need for their products.

    Otherwise it allocates a buffer when a product first needs it, and ends the program if there is no memory.

    Raises
        MemoryError
    """
    library = openblas_library()
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
    """Start afresh in a forked child, which has no threads of the parent, and perhaps a lock without its holder."""
    _pool.clear()
    busy = one_blas_thread.users
    one_blas_thread.users, one_blas_thread.lock = 0, threading.Lock()
    if busy:
        one_blas_thread.restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
