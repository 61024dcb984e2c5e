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
from tempfile import TemporaryDirectory
from typing import IO

from .. import settings
from ..errors import MissingExtraError, RankError
from ..extras import need

# What mpich's mpiexec says of itself, which is no part of the program's output.
_LAUNCHER = re.compile(r"=+$|=   |YOUR APPLICATION TERM|This typically|Please see the FAQ|Abort\(|\[(mpiexec|proxy)")
_DIED = re.compile(r"PID (\d+) RUNNING AT (\S+)")
_EXIT = re.compile(r"EXIT CODE: (\d+)")


def launch(words: Sequence[str], processes: int) -> int:
    """Run `xpcnn` with these words as that many processes; pass signals on to them; return the exit status.

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
    with TemporaryDirectory(prefix="xpcnn-") as folder:
        ranks = Path(folder) / "ranks"
        started = subprocess.Popen(
            [mpiexec, "-n", str(processes), sys.executable, "-m", "mpi4py", "-m", "xpcnn", *words],
            env=settings.with_ranks_file(ranks),
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
            raise _died("".join(said.launcher), started.returncode, ranks)
        return started.returncode


class _Said:
    """Passes on what the processes print, line by line, without what mpiexec adds."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self.launcher: list[str] = []
        self.errors = 0  # lines of xpcnn's own
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
            if _LAUNCHER.match(line) or (self.launcher and not line.strip()):
                self.launcher.append(line)
                continue
            self.errors += line.startswith(("xpcnn: ", "Traceback")) and not line.startswith("xpcnn: warning")
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


def _died(launcher: str, status: int, ranks: Path) -> RankError:
    """The error for processes that ended without a word, from what mpiexec says of them."""
    who, died, code = "one of the processes", _DIED.search(launcher), _EXIT.search(launcher)
    if died is not None:
        pid, host = died.groups()
        lines = ranks.read_text().splitlines() if ranks.exists() else []
        rank = next((line.split()[0] for line in lines if line.endswith(f" {pid}")), None)
        who = f"a process on {host}, before it had a rank" if rank is None else f"rank {rank} on {host}"
    status = int(code[1]) if code is not None else status
    killed = 0 < status < signal.NSIG
    got = f"killed by {signal.Signals(status).name}" if killed else f"ended with status {status}"
    remedy = "xpcnn train --resume, with the run's folder, goes on from its last checkpoint on any number of processes"
    return RankError(who, "to go on", got, remedy)
