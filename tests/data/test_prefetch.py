"""Made ahead, in order, and never a hang: whoever leaves the loop in whatever way, the thread ends and nobody waits.

Chainer's iterators hung where a loop or the program ended early (its issues 2909, 3022, 4137 and 6233).
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from xpcnn.data.prefetch import prefetched


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("xpcnn-prefetch")]


def wait_until(condition, seconds=10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    wait_until(lambda: not threads())


class Work:
    """x ↦ 10·x, written down; from item `stop` on only while `go` is set."""

    def __init__(self, stop: int = 1000) -> None:
        self.made: list[int] = []
        self.stop, self.go, self.reached = stop, threading.Event(), threading.Event()

    def __call__(self, item: int) -> int:
        if item >= self.stop:
            self.reached.set()
            self.go.wait(60)
        self.made.append(item)
        return 10 * item


@pytest.mark.parametrize("ahead", [1, 2, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_everything_comes_once_and_in_order(ahead, count):
    work = Work()
    assert list(prefetched(work, iter(range(count)), ahead)) == [10 * i for i in range(count)]
    assert work.made == list(range(count))


@pytest.mark.parametrize("ahead", [1, 3])
def test_so_many_are_made_ahead_and_no_more(ahead):
    work = Work()
    results = prefetched(work, range(20), ahead)
    assert work.made == []  # nothing begins before the loop does
    for taken in (1, 2, 3):
        assert next(results) == 10 * (taken - 1)
        wait_until(lambda: len(work.made) == taken + ahead)  # noqa: B023
        time.sleep(0.02)
        assert len(work.made) == taken + ahead
    results.close()


def test_the_loop_goes_on_while_the_next_is_made():
    work = Work(stop=1)
    results = prefetched(work, range(3), 1)
    assert next(results) == 0
    assert work.reached.wait(10)  # in the middle of item 1, and the loop runs
    work.go.set()
    assert list(results) == [10, 20]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_error_comes_in_its_turn_with_its_traceback(error):
    def fails_at_two(item):
        if item == 2:
            raise error("at two")
        return item

    results = prefetched(fails_at_two, range(9), 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(error, match="at two") as caught:
        next(results)
    assert "fails_at_two" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert list(results) == []


@pytest.mark.parametrize("how", ["break", "close", "del", "error", "interrupt", "cycle"])
def test_leaving_waits_for_nothing_and_takes_back_what_has_not_begun(how):
    work = Work(stop=2)
    results = prefetched(work, range(20), 5)
    assert [next(results), next(results)] == [0, 10]
    assert work.reached.wait(10)  # the thread is in the middle of item 2, and stays there
    begun = time.monotonic()
    if how == "break":
        for _ in (results := prefetched(Work(), range(3), 1)):  # the first one is dropped, another is broken off
            break
    elif how == "close":
        results.close()
    elif how in ("error", "interrupt"):
        kind = ValueError if how == "error" else KeyboardInterrupt
        with pytest.raises(kind, match="in the loop"):
            results.throw(kind("in the loop"))
    elif how == "cycle":
        box = [results]
        box.append(box)
        del box
    del results
    gc.collect()
    assert time.monotonic() - begun < 20
    assert threads()  # still at item 2
    work.go.set()
    wait_until(lambda: not threads())
    assert work.made == [0, 1, 2]


def test_the_thread_itself_may_collect_the_abandoned_loop():
    collected = threading.Event()
    held = Work(stop=1)

    def work(item):
        held(item)
        if item == 1:
            gc.collect()
            collected.set()
        return item

    gc.disable()
    try:
        results = prefetched(work, range(9), 3)
        next(results)
        assert held.reached.wait(10)
        box = [results]
        box.append(box)  # a cycle, which only a collection finds
        del box, results
        held.go.set()
        assert collected.wait(10)
        wait_until(lambda: not threads())
    finally:
        gc.enable()
    assert held.made == [0, 1]


def test_results_are_not_kept():
    class Result:
        pass

    results = prefetched(lambda item: Result(), range(10), 2)
    for _ in range(5):
        next(results)
    gc.collect()
    wait_until(lambda: sum(type(each) is Result for each in gc.get_objects()) == 2)
    results.close()


def test_the_loop_s_context_holds_in_the_thread():
    with np.errstate(divide="raise"):
        results = prefetched(lambda item: (np.geterr()["divide"], threading.current_thread().name), [0, 1], 1)
        assert [setting for setting, _ in results] == ["raise", "raise"]
    assert np.geterr()["divide"] != "raise"


def test_several_loops_at_once():
    pairs = zip(prefetched(lambda i: i, range(50), 3), prefetched(lambda i: -i, range(50), 2), strict=True)
    assert all(a == -b for a, b in pairs)


SCRIPT = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without
from xpcnn.data.prefetch import prefetched

def slow(item):
    time.sleep(0.02)
    return item

results = prefetched(slow, range(1000), 5)
print(next(results), next(results), flush=True)
"""
ENDINGS = {
    "the end": ("", 0, ""),
    "exit": ("sys.exit(3)", 3, ""),
    "an error": ("raise ValueError('in the program')", 1, "ValueError: in the program"),
    "an error within the loop": ("for each in results:\n    raise ValueError('in the loop')", 1, "in the loop"),
    "Ctrl-C": ("for each in results:\n    pass", -signal.SIGINT, "KeyboardInterrupt"),
    "a forked child that goes on": (
        "import warnings; warnings.simplefilter('ignore')\n"
        "child = os.fork()\n"
        "rest = [next(results) for _ in range(10)]\n"
        "assert rest == list(range(2, 12)), rest\n"
        "if child:\n    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
        0,
        "",
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and fork as Unix has them")
@pytest.mark.parametrize("how", ENDINGS)
def test_the_program_ends(how):
    ending, code, text = ENDINGS[how]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT + ending], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "0 1\n"
        if how == "Ctrl-C":
            time.sleep(0.05)
            program.send_signal(signal.SIGINT)
        begun = time.monotonic()
        try:
            _, errors = program.communicate(timeout=60)
        finally:
            program.kill()
    assert program.returncode == code, errors
    assert time.monotonic() - begun < 30
    assert text in errors
    assert errors.count("Traceback") == (1 if text else 0)


def test_where_no_thread_can_be_started_the_loop_makes_its_own(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert list(prefetched(abs, [-1, 2, -3], ahead=2)) == [1, 2, 3]
