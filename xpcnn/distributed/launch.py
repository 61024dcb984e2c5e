"""Start the same command as several processes on this machine, and say in one line how one of them died."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..errors import MissingExtraError, RankError
from ..extras import need
from .ranks import STATUS

# What mpich's mpiexec and the shell say of a process, which is no part of the program's output.
_LAUNCHER = re.compile(
    r"=+$|=   |YOUR APPLICATION TERM|This typically|Please see the FAQ|Abort\(|\[(mpiexec|proxy)"
    r"|(Killed|Aborted|Bus error|Segmentation fault)( \(core dumped\))?$"
)
# mpiexec kills all processes when one dies. If one is killed, its shell stays for a moment, in which the others notice
# it (`Ranks`), rank 0 writes a checkpoint, and one line is printed.
_KEEP = """trap : INT TERM HUP; "$@"; s=$?
case $s in
    13[1-9]) echo "xpcnn-died $PMI_RANK $(hostname) $s" >&2; sleep 20; kill -KILL $$ ;;
    142) echo "xpcnn-died $PMI_RANK $(hostname) $s" >&2; kill -KILL $$ ;;
esac
exit $s"""
_DIED = re.compile(r"xpcnn-died (\d+) (\S+) (\d+)$")
_OWN = (0, 1, 2, 129, 130, 141, 143)  # the statuses with which `xpcnn` ends by itself


def launch(words: Sequence[str], processes: int) -> int:
    """Run Python with these words as that many processes; pass signals on to them; return the exit status.

    Parameters
        words : a program that calls `init`: "-m", "xpcnn", "train" …
    Raises
        MissingExtraError : there is no mpi4py or no mpiexec
        RankError : a process died without a word
    """
    need("mpi4py", "--processes", "to start them")
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        remedy = "pip install mpich, or load your system's MPI"
        raise MissingExtraError("--processes", "an MPI library's mpiexec", "none on the path", remedy)
    started = subprocess.Popen(
        [mpiexec, "-n", str(processes), "sh", "-c", _KEEP, "sh", sys.executable, "-m", "mpi4py", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        start_new_session=True,  # so that Ctrl-C reaches it once
    )
    said = _Said(started)
    number = _wait(started)
    said.close()
    if number:
        return 128 + number
    if started.returncode and not said.errors:
        who, got = said.died or ("one of the processes", f"status {started.returncode} of mpiexec, and no reason")
        remedy = "xpcnn train --resume, with the run's folder, goes on from its last checkpoint"
        raise RankError(who, "to go on", got, remedy)
    return started.returncode if started.returncode in _OWN else STATUS


class _Said:
    """Passes on what the processes print, line by line, without what mpiexec adds."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self._launcher = False  # it has begun to speak
        self.errors = 0  # lines of xpcnn's own
        self.died: tuple[str, str] | None = None  # the first process that was killed, and how
        self._threads = [
            threading.Thread(target=self._pass_on, args=pair, daemon=True)
            for pair in ((started.stdout, sys.stdout), (started.stderr, sys.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Wait until all is passed on."""
        for thread in self._threads:
            thread.join()

    def _pass_on(self, source: IO[str], target: IO[str] | None) -> None:
        for line in source:
            if died := _DIED.match(line):
                number = int(died[3]) - 128
                waited = number == getattr(signal, "SIGALRM", None)  # `alarm` of `Ranks`
                how = "no answer of another process" if waited else f"killed by {signal.Signals(number).name}"
                self.died = self.died or (f"rank {died[1]} on {died[2]}", how)
                continue
            if _LAUNCHER.match(line) or (self._launcher and not line.strip()):
                self._launcher = True
                continue
            self.errors += line.startswith(("xpcnn: ", "xpcnn.errors.")) and not line.startswith("xpcnn: warning")
            with suppress(OSError, AttributeError):  # nobody reads it
                target.write(line)  # type: ignore[union-attr]
                target.flush()  # type: ignore[union-attr]


def _wait(started: subprocess.Popen[str]) -> int:
    """Wait for its end; pass on signals, a second one as SIGKILL; return the number of the first."""
    first = 0
    while True:
        try:
            started.wait()
            return first
        except KeyboardInterrupt as error:
            number = getattr(error, "number", signal.SIGINT)
            if first:
                started.kill()
            else:
                first = number
                started.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
