"""Files of every kind that xpcnn reads, damaged and changed at random; each is read in a monitored process."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn.cli.info import cores
from xpcnn.errors import XpcnnError

from . import child
from .damage import damage
from .kind import Kind, SenselessError
from .kinds import kinds
from .row import MOST_EXAMPLES, Effort, Row, not_tried, plain, shown
from .small import digest, workplace

NAME = "mutated files"
OUTCOMES = (
    "", "refused in a line", "read as before", "read as something else", "changed without a word", "foreign exception",
    "taken although it makes no sense", "refused in more than a short line",
    "refused after something had been overwritten", "too much memory", "more than 5 s", "aborted", "hung",
)  # fmt: skip
(_, REFUSED, SAME, OTHER, SILENT, FOREIGN, SENSELESS, LONG, LATE, MEMORY, SLOW, ABORTED, HUNG) = range(len(OUTCOMES))
GOOD = tuple(OUTCOMES[i] for i in (REFUSED, SAME, OTHER))
MOST_MEMORY = 2**30  # bytes beyond the worker's current memory
SECONDS = 5.0  # of processor time, for one file: too long
WATCH = 120.0  # seconds of wall-clock time, which includes other programs' time: hung
MOST_LETTERS = 1000  # of a message


def rows(effort: Effort) -> list[Row]:
    """A row for each kind of file."""
    what = "damaged bytes and, where the format has values, other values"
    if not child.FORKS:
        return [not_tried(NAME, what, child.NO_FORK)]
    with workplace() as place:
        known = kinds(place)
        times = effort.times(80_000 // len(known), 150)
        return [
            not_tried(f"{NAME}: {name}", what, kind)
            if isinstance(kind, str)
            else _row(name, kind, place, times, effort)
            for name, kind in known.items()
        ]


def _row(name: str, kind: Kind | str, place: Path, times: int, effort: Effort) -> Row:
    if isinstance(kind, str):
        return not_tried(f"{NAME}: {name}", "damage", kind)
    row = Row(f"{NAME}: {name}", "damage" if len(kind.changes) == 1 else "damage and other values", GOOD, GOOD[:1])
    outcomes, said = mmap.mmap(-1, times), place / f"{kind.file}.said"
    starts = [times * i // cores() for i in range(cores() + 1)]
    workers = [_Worker(kind, name, place, effort, outcomes, said, a, b) for a, b in pairwise(starts)]
    while any([worker.watch() for worker in workers]):
        time.sleep(0.02)
    for code in outcomes[:]:
        row.add(OUTCOMES[code])
    row.examples = {}
    for line in said.read_text(errors="replace").splitlines() if said.exists() else ():
        number, _, example = line.partition(" ")
        kept = row.examples.setdefault(OUTCOMES[int(number)], [])
        if len(kept) < MOST_EXAMPLES:
            kept.append(plain(example))
    return row


class _Worker:
    """A process that reads a range of files, and is replaced if one of them ends or hangs it."""

    def __init__(
        self, kind: Kind, name: str, place: Path, effort: Effort, outcomes: mmap.mmap, said: Path, begin: int, end: int
    ) -> None:
        self.kind, self.name, self.place, self.effort = kind, name, place, effort
        self.outcomes, self.said, self.at, self.end = outcomes, said, begin, end
        self.child: child.Child | None = None
        self.seen, self.since = -1, 0.0

    def watch(self) -> bool:
        """Monitor the process; True if there is more to do."""
        while self.at < self.end and self.outcomes[self.at]:
            self.at += 1
        if self.child is None and self.at >= self.end:
            return False
        if self.child is None:
            self.child, self.seen, self.since = child.start(partial(self._work, self.at)), self.at, time.monotonic()
        elif self.child.ended():
            ended = self.child.wait(1)
            if self.at < self.end:
                self._lost(ABORTED, f"{ended.how}: {shown(ended.err)}")
            self.child = None
        elif self.seen != self.at:
            self.seen, self.since = self.at, time.monotonic()
        elif time.monotonic() - self.since > WATCH:
            self.child.kill()
            self.child.wait(1)
            self._lost(HUNG, f"{WATCH} s")
            self.child = None
        return True

    def _lost(self, code: int, how: str) -> None:
        self.outcomes[self.at] = code
        self._say(code, self.at, how)

    def _say(self, code: int, number: int, text: str) -> None:
        with self.said.open("a", errors="backslashreplace") as file:
            file.write(f"{code} file {number}: {' '.join(text.split())[:300]}\n")

    def _work(self, begin: int) -> None:
        """In the child: read one file after the other."""
        os.fsync = lambda fd: None
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        folder = self.place / f"worker{os.getpid()}"
        folder.mkdir()
        path, whole = folder / self.kind.file, (self.place / self.kind.file).read_bytes()
        path.write_bytes(whole)
        child.limit_memory(MOST_MEMORY)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        examples = [0] * len(OUTCOMES)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            expected, before = digest(self.kind.read(path)), digest(self.kind.touched())
            for number in range(begin, self.end):
                rng = self.effort.rng(self.name, number)
                change = self.kind.changes[number % len(self.kind.changes)]
                path.write_bytes(change(whole, rng))
                code, text = self._read(path, expected, before, damaged=change is damage)
                if OUTCOMES[code] not in GOOD and examples[code] < 20:
                    examples[code] += 1
                    self._say(code, number, text)
                self.outcomes[number] = code

    def _read(self, path: Path, expected: str, before: str, *, damaged: bool) -> tuple[int, str]:
        begun = time.process_time()
        found: Any = None
        try:
            found = self.kind.read(path)
            error: BaseException | None = None
        except BaseException as caught:
            error = caught
        if (seconds := time.process_time() - begun) > SECONDS:
            return SLOW, f"{seconds:.1f} s"
        if error is None:
            if (got := digest(found)) == expected:
                return SAME, ""
            return (SILENT, f"{got[:8]} for {expected[:8]}") if damaged and self.kind.checked else (OTHER, "")
        if isinstance(error, MemoryError):
            return MEMORY, _named(error)
        if isinstance(error, SenselessError):
            return SENSELESS, str(error)
        if not isinstance(error, XpcnnError):
            return FOREIGN, _named(error)
        if digest(self.kind.touched()) != before:
            return LATE, str(error)
        if "\n" in str(error) or len(str(error)) > MOST_LETTERS:
            return LONG, f"{len(str(error))} letters: {error}"
        return REFUSED, ""


def _named(error: BaseException) -> str:
    """The exception and its origin."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {str(error)[:200]}{where}"
