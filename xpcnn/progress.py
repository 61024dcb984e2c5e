"""How far a longer piece of work is: a bar on a terminal and in a notebook, elsewhere a line every ten seconds.

Everything that is said goes also to `logging.getLogger("xpcnn")`, at level INFO, whether it is shown or not:

    logging.basicConfig(filename="run.log", level=logging.INFO)
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import IO, Any, Self, cast

from . import html
from .table import screenful

SECONDS = 10.0  # between two lines about the same piece of work
REDRAWN = 0.2  # seconds between two states of a notebook's bar
MOST_LINES = 200  # in a notebook's cell
LOGGER = logging.getLogger("xpcnn")


class Progress:
    """Shows nothing, and logs everything; the base of those that show something.

    Parameters
        unit : what is counted
    """

    def __init__(self, unit: str = "batches") -> None:
        self.unit = unit
        self._start_of("", 0, 0, 0)
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, what: str, total: int, done: int = 0, later: int = 0) -> None:
        """A part of the work begins.

        Parameters
            what : such as "epoch 2/5"
            total, done : how many there are in it, and how many are done already
            later : how many follow in the other parts
        """
        self._start_of(what, total, done, later)

    def advance(self, count: int = 1, said: Callable[[], str] | None = None) -> None:
        """So many are done; `said` returns more to say."""
        self.done += count
        if time.monotonic() - self._told > SECONDS:
            self.status(self.state(said() if said else ""))

    def line(self, text: str) -> None:
        """Show a line for good."""
        self._told = time.monotonic()
        LOGGER.info(text)

    def status(self, text: str) -> None:
        """Every ten seconds: where the work is."""
        self._told = time.monotonic()
        LOGGER.info(text)

    def state(self, said: str = "") -> str:
        """Where the work is, in a line."""
        return f"{self.what}, {self.numbers(said)}"

    def numbers(self, said: str = "") -> str:
        """How many are done, what else is said, how many a second, and how long the rest takes at this rate."""
        parts = [f"{self.done:,} of {self.total:,} {self.unit}", said]
        if rate := self.rate():
            left = timedelta(seconds=round((self.total - self.done + self.later) / rate))
            parts += [f"{rate:,.3g} {self.unit}/s", f"{left} left"]
        return "  ".join(filter(None, parts))

    def rate(self) -> float:
        """How many are done in a second, in this part of the work."""
        return (self.done - self._before) / max(time.monotonic() - self._begun, 1e-9)

    def _start_of(self, what: str, total: int, done: int, later: int) -> None:
        self.what, self.total, self.done, self.later = what, total, done, later
        self._before, self._begun = done, time.monotonic()


class Lines(Progress):
    """Prints the lines."""

    def __init__(self, unit: str = "batches", file: IO[str] | None = None) -> None:
        super().__init__(unit)
        self._file = file

    def line(self, text: str) -> None:
        super().line(text)
        print(text, file=self._file, flush=True)

    def status(self, text: str) -> None:
        super().status(text)
        print(text, file=self._file, flush=True)


class _Terminal:
    """A terminal to write to; closing it does not end the work."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Bar(Progress):
    """Shows a bar on a terminal, with the lines above it."""

    def __init__(self, unit: str = "batches", file: IO[str] | None = None, delay: float = 0.0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        super().__init__(unit)
        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            transient=True,
            console=Console(file=cast(IO[str], _Terminal(sys.stdout if file is None else file))),
        )
        self._task = self._progress.add_task("", total=None, said="")
        self._entered, self._delay = time.monotonic(), delay

    def __enter__(self) -> Self:
        if not self._delay:
            self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()

    def start(self, what: str, total: int, done: int = 0, later: int = 0) -> None:
        super().start(what, total, done, later)
        self._progress.reset(self._task, description=what, total=total, completed=done, said="")

    def advance(self, count: int = 1, said: Callable[[], str] | None = None) -> None:
        super().advance(count, said)
        self._progress.update(self._task, advance=count, said=said() if said else "")
        if self._delay and time.monotonic() - self._entered > self._delay:
            self._delay = 0.0
            self._progress.start()

    def line(self, text: str) -> None:
        super().line(text)
        self._progress.console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Cell(Progress):
    """Shows a bar below the lines in a notebook's cell; in the end, the lines alone."""

    def __init__(self, unit: str = "batches", delay: float = 0.0) -> None:
        super().__init__(unit)
        self._lines: list[str] = []
        self._handle: Any = None
        self._drawn = time.monotonic() + delay - REDRAWN

    def __exit__(self, *error: Any) -> None:
        if self._handle is not None or self._lines:
            self._draw(html.note(self.state()) if error[0] is not None and self.done < self.total else html.Html(""))

    def advance(self, count: int = 1, said: Callable[[], str] | None = None) -> None:
        super().advance(count, said)
        if time.monotonic() - self._drawn > REDRAWN:
            self._draw(html.bar(self.done, self.total, self.what, self.numbers(said() if said else "")))

    def line(self, text: str) -> None:
        super().line(text)
        self._lines.append(text)
        self._draw(html.Html(""))

    def _draw(self, below: html.Html) -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        shown = screenful(self._lines, MOST_LINES)
        bundle = {"text/html": html.panel("", html.lines(shown), below), "text/plain": shown}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def progress(verbose: bool) -> Progress:
    """The display that suits standard output."""
    if not verbose:
        return Progress()
    if _is_notebook(sys.stdout):
        return Cell()
    return Bar() if _is_terminal(sys.stdout) else Lines()


def counting(unit: str) -> Progress:
    """The display of a preparation, on standard error, as what is printed may be the result; nothing if it is short."""
    if _is_notebook(sys.stderr):
        return Cell(unit, delay=1.0)
    return Bar(unit, sys.stderr, delay=1.0) if _is_terminal(sys.stderr) else Lines(unit, sys.stderr)


def _is_notebook(stream: Any) -> bool:
    """True if what is written there appears below a notebook's cell, and was not redirected."""
    return type(stream).__module__.startswith("ipykernel.")


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())  # None in a program without a console
