"""`parallel` does every unit once, leaves BLAS as it found it, and survives errors, forks and the program's end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import SimpleQueue

import numpy as np
import pytest

from xpcnn.errors import OptionError
from xpcnn.kernels import threads
from xpcnn.kernels.threads import one_blas_thread, parallel

MUCH = 1e9  # a cost that is worth several threads


@pytest.fixture(autouse=True)
def four_threads(monkeypatch):
    monkeypatch.setenv("XPCNN_NUM_THREADS", "4")


def blas_threads() -> int:
    return threads._openblas()[0]()


def test_every_unit_is_done_once_and_several_threads_take_part():
    done, who = [], set()

    def work(unit):
        who.add(threading.current_thread())
        time.sleep(0.01)
        done.append(unit)

    parallel(work, range(20), MUCH)
    assert sorted(done) == list(range(20))
    assert len(who) == 4
    assert threading.current_thread() in who


@pytest.mark.parametrize(("number", "cost"), [("4", 1.0), ("1", MUCH)])
def test_little_work_or_one_thread_stays_on_the_calling_thread(monkeypatch, number, cost):
    monkeypatch.setenv("XPCNN_NUM_THREADS", number)
    who = set()
    parallel(lambda unit: who.add(threading.current_thread()), range(20), cost)
    assert who == {threading.current_thread()}


@pytest.mark.parametrize("bad", [0, 13])
def test_an_error_in_a_unit_is_raised_and_ends_the_rest(bad):
    begun = []

    def work(unit):
        begun.append(unit)
        if unit == bad:
            raise RuntimeError(f"unit {unit}")
        time.sleep(0.002)

    before = blas_threads()
    with pytest.raises(RuntimeError, match=f"unit {bad}"):
        parallel(work, range(1000), MUCH)
    assert len(begun) < 100
    assert blas_threads() == before
    parallel(begun.append, range(3), MUCH)  # the pool still works


def test_the_calling_thread_s_errstate_holds_on_all_threads():
    def work(unit):
        time.sleep(0.005)
        np.float32(1) / np.zeros(1, np.float32)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(divide="ignore"):
            parallel(work, range(16), MUCH)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        parallel(work, range(16), MUCH)


def test_blas_has_one_thread_meanwhile_and_its_own_number_afterwards():
    set_ = threads._openblas()[1]
    before = blas_threads()
    try:
        for number in (1, 2):
            set_(number)
            inside = []
            parallel(lambda unit: inside.append(blas_threads()), range(4), MUCH)  # noqa: B023
            assert inside == [1, 1, 1, 1]
            assert blas_threads() == number
            with one_blas_thread:
                parallel(lambda unit: None, range(4), MUCH)
                assert blas_threads() == 1
            assert blas_threads() == number
    finally:
        set_(before)


def test_without_the_variable_there_are_as_many_threads_as_blas_would_use(monkeypatch):
    monkeypatch.delenv("XPCNN_NUM_THREADS")
    set_ = threads._openblas()[1]
    before = blas_threads()
    try:
        for number in (1, 2):
            set_(number)
            with one_blas_thread as available:
                assert available == number
                with one_blas_thread as nested:
                    assert nested == number
    finally:
        set_(before)


def test_blas_has_its_own_number_again_after_an_interrupt_at_the_worst_moment(monkeypatch):
    get, set_ = threads._openblas()
    before = get()

    def interrupted(number):
        set_(number)
        raise KeyboardInterrupt

    try:
        set_(2)
        with monkeypatch.context() as patch:
            patch.setattr(threads, "_openblas", lambda: (get, interrupted))
            with pytest.raises(KeyboardInterrupt):
                parallel(lambda unit: None, range(4), MUCH)
        parallel(lambda unit: None, range(4), MUCH)
        assert get() == 2
    finally:
        set_(before)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none(monkeypatch, text):
    monkeypatch.setenv("XPCNN_NUM_THREADS", text)
    with pytest.raises(OptionError, match="XPCNN_NUM_THREADS: expected a number of threads ≥ 1"):
        parallel(lambda unit: None, range(4), MUCH)
    assert threads.one_blas_thread.users == 0


def test_several_threads_of_the_program_at_once():
    before = blas_threads()

    def caller(k):
        result = np.zeros(50)

        def work(unit):
            result[unit] = unit * k
            time.sleep(0.0005)

        parallel(work, range(50), MUCH)
        return result

    with ThreadPoolExecutor(8) as pool:
        for k, result in enumerate(pool.map(caller, range(8))):
            np.testing.assert_array_equal(result, np.arange(50) * k)
    assert blas_threads() == before


SCRIPT = """
import os, sys, time
import numpy as np
import xpcnn
from xpcnn.kernels import threads
from xpcnn.kernels.threads import one_blas_thread, parallel

before = threads._openblas()[0]()
def total():
    sums = np.zeros(16)
    def work(unit):
        a = np.full((64, 64), unit, np.float32)
        sums[unit] = (a @ a).sum()
    parallel(work, range(16), 1e9)
    return sums.sum()
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT + script]
    env = {**os.environ, "XPCNN_BACKEND": "numpy"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("held", [False, True])
def test_a_forked_child_works_and_has_blas_s_own_number_of_threads(held):
    done = run(f"""
expected = total()
if {held}:
    one_blas_thread.__enter__()
child = os.fork()
if child == 0:
    same = total() == expected and threads._openblas()[0]() == before
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
assert total() == expected
""")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_in_the_middle_of_a_unit_leaves_and_enters_again():
    done = run("""
children = []
def work(unit):
    if unit == 0:
        children.append(os.fork())
parallel(work, range(2), 0.0)
with one_blas_thread:
    pass
same = one_blas_thread.users == 0 and threads._openblas()[0]() == before
if children[0] == 0:
    os._exit(0 if same else 1)
assert same and os.waitpid(children[0], 0)[1] == 0
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_program_ends_at_once_and_quietly():
    begun = time.perf_counter()
    done = run("total()\nprint('end', flush=True)\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
    assert time.perf_counter() - begun < 30


def test_importing_and_training_leave_blas_as_it_was():
    done = run("""
import threadpoolctl
numbers = lambda: [each["num_threads"] for each in threadpoolctl.threadpool_info()]
first = numbers()
model = xpcnn.models.lenet5(rng=0)
y, cache = model.forward(np.zeros((32, 28, 28, 1), np.float32))
model.backward(y, cache)
assert numbers() == first, (numbers(), first)
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_where_no_thread_can_be_started_the_others_do_its_work(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", [])
    monkeypatch.setattr(threads._Helper, "start", refused)
    done = []
    parallel(done.append, range(20), MUCH)
    assert sorted(done) == list(range(20))
    assert threads._pool == []


def test_where_there_is_no_memory_for_a_thread_s_products_there_is_no_thread(monkeypatch):
    """OpenBLAS ends the program where it cannot allocate its buffer, so that is tried before."""
    monkeypatch.setattr(threads, "_pool", [])
    monkeypatch.setattr(threads, "_BUFFER", 2**60)
    threads.reserve.cache_clear()
    monkeypatch.setattr(threads, "reserve", lambda number, reserve=threads.reserve: number == 1 or reserve(number))
    done = []
    parallel(done.append, range(20), MUCH)
    assert sorted(done) == list(range(20))
    assert threads._pool == []


def test_a_thread_that_fails_before_its_work_is_not_waited_for(monkeypatch):
    done = []
    parallel(done.append, range(20), MUCH)

    class Full:
        def run(self, call):
            raise MemoryError

    monkeypatch.setattr(threads, "copy_context", Full)
    for _ in range(20):
        parallel(lambda unit: done.append(np.ones((300, 300)) @ np.ones((300, 300))), range(20), MUCH)
    assert len(done) == 20 + 20 * 20
    assert all(helper.is_alive() for helper in threads._pool)


def test_threads_stay_awake_for_a_while_before_they_wait(monkeypatch):
    """The helper for its next task, and who has a task for its end."""
    helper = object.__new__(threads._Helper)
    helper.tasks = SimpleQueue()
    taken = threads._Task(copy_context(), lambda: None)
    taken.open.clear()
    for waiting, come in ((helper._next, lambda: helper.tasks.put(taken)), (taken.withdraw_or_wait, taken.done.set)):
        looks = []

        def look(looks=looks, come=come):
            looks.append(None)
            if len(looks) == 3:
                come()

        monkeypatch.setattr(threads, "_stay_awake", look)
        monkeypatch.setattr(threads, "AWAKE", 60.0)
        rescue = threading.Timer(5, come)
        rescue.start()
        waiting()
        rescue.cancel()
        assert len(looks) == 3
