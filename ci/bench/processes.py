"""Worker processes: the parent asks one at a time, waits with a time limit, and ends them at exit."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .errors import BenchError, NotPossible

ROOT = Path(__file__).parents[2]
REMOVED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "XPCNN_NUMBA")  # as on a user's machine; a peer sets the last
TIME_LIMIT = 300.0  # seconds for one answer


def environment(threads: int, backend: str) -> dict[str, str]:
    """A worker's environment: the same number of threads for every library, and OpenBLAS's default choice of a core."""
    number = str(threads)
    settings = {
        "XPCNN_BACKEND": backend,
        "XPCNN_NUM_THREADS": number,
        "OMP_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "NPROC": number,  # XLA's thread pool
        "NUM_CPU_THREADS": number,  # tinygrad's
        "JAX_PLATFORMS": "cpu",
        "PYTHONWARNINGS": "ignore",
    }
    kept = {name: value for name, value in os.environ.items() if name not in REMOVED}
    return kept | settings


def device_of(backend: str) -> str:
    """The peers' device if xpcnn computes with that backend."""
    return "cuda" if backend == "cupy" else "cpu"


class Process:
    """One worker; a context manager that ends it.

    Raises
        NotPossible : the peer cannot do what the request says
        WorkerFailed : an exception in it, or it died, or did not answer in time and was killed
    """

    def __init__(self, peer: str, threads: int, backend: str) -> None:
        self.peer, self.threads, self.backend = peer, threads, backend
        self.doing = "starting"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ci.bench.worker", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=environment(threads, backend),
            start_new_session=True,  # Ctrl-C goes to the parent, which ends the workers
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._limit_cores()
        self._unread = b""

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        try:
            self._in.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            self._died()
        try:
            answer: dict[str, Any] = json.loads(self._line())
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{self.peer}, {self.doing}") from None
        if "impossible" in answer:
            raise NotPossible(answer["impossible"])
        if "error" in answer:
            raise WorkerFailed(f"{self.peer}, {self.doing}: {answer['error']}")
        return answer

    @property
    def pid(self) -> int:
        return self._process.pid

    def hello(self) -> dict[str, Any]:
        self.doing = "starting"
        return self.ask("hello", threads=self.threads, device=device_of(self.backend))

    def _line(self) -> bytes:
        end = time.monotonic() + TIME_LIMIT
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, end - time.monotonic())):
                    self.close()
                    raise WorkerFailed(f"{self.peer}, {self.doing}: no answer for {TIME_LIMIT:.0f} s")
                chunk = os.read(self._out.fileno(), 1 << 16)
                if not chunk:
                    self._died()
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _died(self) -> None:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-3:]
        said = " | ".join(line.strip() for line in last) or "nothing on its standard error"
        raise WorkerFailed(f"{self.peer}, {self.doing}: the worker died ({how}): {said}")

    def _limit_cores(self) -> None:
        """Limit libraries that have no setting for the number of threads by the cores that they may use."""
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))[: self.threads]
            os.sched_setaffinity(self._process.pid, cores)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._in, self._out, self._errors):
            with suppress(BrokenPipeError):
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class WorkerFailed(BenchError):
    """One peer failed at one thing; the run goes on with the others."""


class Workers:
    """All peers at once, each in a process; those that cannot start are in `missing`, with the reason."""

    def __init__(self, peers: list[str], threads: int, backend: str) -> None:
        self.threads, self.backend = threads, backend
        self.alive: dict[str, Process] = {}
        self.hello: dict[str, dict[str, Any]] = {}
        self.missing: dict[str, str] = {}
        self._stack = ExitStack()
        try:
            started = [self._stack.enter_context(Process(peer, threads, backend)) for peer in peers]
            for process in started:
                self._greet(process)
        except BaseException:
            self._stack.close()
            raise

    def _greet(self, process: Process) -> None:
        peer = process.peer
        try:
            hello = process.hello()
        except WorkerFailed as error:
            hello = {"missing": f"failed: {error}"}
        if "missing" in hello:
            self.missing[peer] = hello["missing"]
            self.alive.pop(peer, None)
            process.close()
        else:
            self.alive[peer], self.hello[peer] = process, hello

    def failed(self, peer: str, error: Exception) -> dict[str, Any]:
        """The result of a peer that failed; one that is dead starts anew, for what comes next."""
        text = str(error)
        if peer in self.alive and not self.alive[peer].is_alive():
            self.alive[peer].close()
            self._greet(self._stack.enter_context(Process(peer, self.threads, self.backend)))
        return {"reason": f"failed: {text.split(': ', 1)[-1]}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
