"""Runs a function in a forked child process, with limits on time and memory.

Replacements in this process (a mistake that a test plants, a full disk) also hold in the child.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from xpcnn.cli.info import cores

from .row import Row, shown

FORKS = hasattr(os, "fork")
LINUX = sys.platform == "linux"
NO_FORK = "this system has no fork"
_BLOCK = 2**16  # bytes


@dataclass
class Ended:
    """The end of a child.

    Parameters
        how : "exit 0" and so on, "signal 9" and so on, or "hang"
        value : what the function returned
        out, err : what it printed
    """

    how: str
    value: Any
    out: str
    err: str


@dataclass
class Child:
    """A running child."""

    pid: int
    out: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    err: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    answer: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    status: int | None = None

    def ended(self) -> bool:
        """True if it has ended; does not wait."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def kill(self, number: int = signal.SIGKILL) -> None:
        if not self.ended():
            os.kill(self.pid, number)

    def wait(self, limit: float) -> Ended:
        """Wait until it has ended, and kill it after `limit` seconds; call this only once."""
        until, pause, how = time.monotonic() + limit, 0.0005, ""
        while not self.ended():
            if time.monotonic() > until:
                how = "hang"
                self.kill()
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        assert self.status is not None
        code = os.waitstatus_to_exitcode(self.status)
        how = how or (f"exit {code}" if code >= 0 else f"signal {-code}")
        answer, out, err = (self._contents(file) for file in (self.answer, self.out, self.err))
        texts = (each.decode(errors="replace") for each in (out, err))
        return Ended(how, pickle.loads(answer) if answer else None, *texts)

    @staticmethod
    def _contents(file: IO[bytes]) -> bytes:
        with file:
            file.seek(0)
            return file.read()


def start(function: Callable[[], Any]) -> Child:
    """Fork a child that calls the function.

    Parameters
        function : its result is `Ended.value`; SystemExit ends the child with its status
    """
    child = Child(0)
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks in a process with threads
        child.pid = os.fork()
    if child.pid == 0:
        _run(child, function)
    return child


def run(function: Callable[[], Any], *, limit: float = 300.0) -> Ended:
    """`start`, and wait."""
    return start(function).wait(limit)


def share(functions: Sequence[Callable[[], Row]], row: Row, *, limit: float = 3600.0) -> None:
    """Run functions that each count a part of one row, in one process per core, and add up the counts."""
    waiting, working = list(functions), list[Child]()
    while waiting or working:
        while waiting and len(working) < cores():
            working.append(start(waiting.pop(0)))
        ended = working.pop(0).wait(limit)
        if ended.how == "exit 0":
            row.merge(ended.value)
        else:
            row.add(f"a worker ended with {ended.how}", shown(ended.err))


def command(arguments: list[str], folder: str | os.PathLike[str] | None = None) -> Callable[[], None]:
    """The command line with these arguments, for `run`: the same as `xpcnn …`, without the start of an interpreter."""

    from xpcnn.cli import main

    def function() -> None:
        if folder is not None:
            os.chdir(folder)
        main(arguments)

    return function


def limit_memory(more: int) -> None:
    """Limit this process to that many more bytes of address space; on Linux only."""
    if LINUX:
        most = addresses() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def addresses(*, most: bool = False) -> int:
    """The bytes of address space that this process has, or its peak; on Linux only."""
    name = "VmPeak" if most else "VmSize"
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def use_up() -> list[bytearray]:
    """Take all memory that this process has and does not use, as blocks that the caller keeps.

    All memory taken afterwards, except for small objects, is new to the process, and counts for `limit_memory`.
    """
    limit_memory(0)
    blocks: list[bytearray] = []
    with suppress(MemoryError):
        while True:
            blocks.append(bytearray(_BLOCK))
    return blocks


def limit_time(seconds: int) -> None:
    """Limit this process to that many more seconds of processor time; then SIGXCPU ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


def _run(child: Child, function: Callable[[], Any]) -> None:
    status = 1
    faulthandler.disable()  # set by a parent such as pytest
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.dup2(child.out.fileno(), 1)
        os.dup2(child.err.fileno(), 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        value = function()
        child.answer.write(pickle.dumps(value))
        child.answer.flush()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
