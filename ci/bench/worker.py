"""One peer in a separate process: python -m ci.bench.worker PEER

Requests and answers are JSON, one per line, on standard input and standard output. The process waits for input while
another one runs, and ends when its input ends.

    {"do": "hello", "threads": 2, "device": "cpu"}             → {"version": …} or {"missing": reason}
    {"do": "prepare", "what": "training", "net": …, …}         → results to check, and first timings
    {"do": "burst", "steps": 40}                               → {"seconds": [one for each step]}
    {"do": "drop"}                                             → {}
    {"do": "memory" | "profile" | "ceilings", …}               → see memory.py, profile.py, ceilings.py

An answer {"impossible": reason} means that the peer cannot do the request; {"error": one line} is a failure.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import NotPossible
from .geometry import Geometry
from .nets import Net
from .peers import lacking, load
from .peers.base import Peer, Training

TOGETHER = 10  # steps on a device between two synchronizations
LONG = 2.0  # seconds of warm-up after which a few steps are enough: compilers have finished by then
LONGEST = 10.0  # seconds of a burst after which two steps are enough


class Worker:
    """The state between requests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peer: Peer | None = None
        self.run: Callable[[], object] = _nothing_prepared
        self.restart: Callable[[], None] = lambda: None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request.pop("do")
        answer: dict[str, Any] = getattr(self, f"do_{verb}")(**request)
        return answer

    def do_hello(self, threads: int, device: str) -> dict[str, Any]:
        if absent := lacking(self.name):
            return {"missing": f"{' and '.join(absent)}: not installed"}
        try:
            kind = load(self.name)
            self.peer = kind(threads, device)
        except NotPossible as reason:
            return {"missing": str(reason)}
        except Exception as error:
            return {"missing": f"cannot be imported: {_line(error)}"}
        about = {"version": importlib.metadata.version(kind.package), "about": self.peer.about()}
        return {**about, "numpy": np.__version__, "pools": _pools()}

    def do_prepare(self, what: str, **options: Any) -> dict[str, Any]:
        assert self.peer is not None
        self.do_drop()
        prepare: dict[str, Callable[..., dict[str, Any]]] = {
            "training": self._training,
            "inference": self._inference,
            "convolution": self._convolution,
        }
        return prepare[what](**options)

    def _training(self, net: str, document: dict[str, Any], arrays: str, warm_up: int) -> dict[str, Any]:
        assert self.peer is not None
        training = self.peer.training(Net.read(net, document, arrays))
        losses, seconds = warm(training, warm_up)
        self.run, self.restart = training.step, training.restart
        return {"parameters": training.parameter_count(), "losses": losses, "seconds": seconds}

    def _inference(self, net: str, document: dict[str, Any], arrays: str, warm_up: int) -> dict[str, Any]:
        assert self.peer is not None
        run = self.peer.inference(Net.read(net, document, arrays))
        logits = np.asarray(run())[:8]
        self.run = run
        return {"logits": logits.astype(float).tolist(), "seconds": self._time(warm_up, LONG)}

    def _convolution(self, geometry: dict[str, Any], warm_up: int) -> dict[str, Any]:
        assert self.peer is not None
        self.run = self.peer.convolution(Geometry(**geometry))
        results: Any = self.run()
        sums = {name: float(np.abs(np.asarray(array), dtype=np.float64).sum()) for name, array in results.items()}
        del results
        return {"sums": sums, "seconds": self._time(warm_up, LONG)}

    def do_burst(self, steps: int) -> dict[str, Any]:
        self.restart()
        self.run()  # wakes threads and fills caches
        return {"seconds": self._time(steps)}

    def _time(self, steps: int, limit: float = LONGEST) -> list[float]:
        """The seconds of each step, of two if they take longer than the limit.

        On a device, where steps are asynchronous, each is the mean over `TOGETHER` of them.
        """
        assert self.peer is not None
        run, clock, seconds = self.run, time.perf_counter, list[float]()
        together = 1 if self.peer.device == "cpu" else TOGETHER
        while len(seconds) < steps:
            begun = clock()
            for _ in range(together):
                run()
            self.peer.synchronize()
            seconds += [(clock() - begun) / together] * together
            if len(seconds) >= 2 and sum(seconds) > limit:
                break
        return seconds

    def do_drop(self) -> dict[str, Any]:
        self.run, self.restart = _nothing_prepared, lambda: None
        gc.collect()
        return {}

    def do_memory(self, **options: Any) -> dict[str, Any]:
        from .memory import measure

        assert self.peer is not None
        return measure(self.peer, **options)

    def do_profile(self, **options: Any) -> dict[str, Any]:
        from .profile import measure

        return measure(self.peer, **options)

    def do_ceilings(self, **options: Any) -> dict[str, Any]:
        from .ceilings import measure

        return measure(**options)


def warm(training: Training, steps: int) -> tuple[list[float], list[float]]:
    """The losses and seconds of the first steps, of three if they take long."""
    losses, seconds = [], []
    for _ in range(steps):
        begun = time.perf_counter()
        losses.append(float(training.step()))
        seconds.append(time.perf_counter() - begun)
        if len(seconds) >= 3 and sum(seconds) > LONG:
            break
    return losses, seconds


def _nothing_prepared() -> object:
    raise RuntimeError("a burst was asked for before anything was prepared")


def _pools() -> list[dict[str, Any]]:
    """The thread pools of the libraries in this process, such as NumPy's BLAS and its core."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    names = ("user_api", "internal_api", "version", "architecture", "num_threads")
    return [{name: pool.get(name) for name in names} | {"library": _library(pool)} for pool in threadpool_info()]


def _library(pool: dict[str, Any]) -> str:
    return "numpy" if "numpy" in os.path.basename(os.path.dirname(pool["filepath"])) else "other"


def _line(error: BaseException) -> str:
    """An exception and where it was raised, in one line."""
    text = " ".join(str(error).split())[:160]
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({os.path.basename(last.filename)}:{last.lineno})"


def _finite(value: Any) -> Any:
    """Replaces NaN, which JSON does not have, by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a library must not be taken for an answer
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except NotPossible as reason:
            answer = {"impossible": str(reason)}
        except Exception as error:
            answer = {"error": _line(error)}
        print(json.dumps(_finite(answer)), file=answers, flush=True)


if __name__ == "__main__":
    main()
