"""The progress display of a run: a bar on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Protocol, cast


class Progress(Protocol):
    """Receives from the trainer the number of finished batches, and lines to show permanently."""

    def __enter__(self) -> Progress: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None: ...
    def advance(self, batches: int = 1) -> None: ...
    def line(self, text: str) -> None: ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: Any) -> None: ...
    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None: ...
    def advance(self, batches: int = 1) -> None: ...
    def line(self, text: str) -> None: ...


class Lines(Silent):
    """Shows one line per epoch."""

    def line(self, text: str) -> None:
        print(text, flush=True)


class _Terminal:
    """A terminal to write to; closing it does not end the training."""

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


class Bar(Silent):
    """Shows a bar over the batches of the current epoch, with the lines above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            transient=True,
            console=Console(file=cast(IO[str], _Terminal(sys.stdout))),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        self._progress.reset(self._task, description=f"epoch {epoch}/{epochs}", total=batches, completed=done)

    def advance(self, batches: int = 1) -> None:
        self._progress.advance(self._task, batches)

    def line(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def progress(verbose: bool) -> Progress:
    """The display that suits standard output."""
    if not verbose:
        return Silent()
    console = sys.stdout is not None and sys.stdout.isatty()  # None in a program without a console
    return Bar() if console else Lines()
