"""A full disk: from any write of a run on, or for that write only."""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import child
from .row import Effort, Row, not_tried, shown
from .small import CHECKPOINT, CONFIG, arguments, broken_files, data_file, finished, left_by, workplace

WENT_ON = "said so in a line, went on, and ended as on a good disk, bit for bit"
NOTICED, ONE_LINE = "ended well all the same", "in a line"
BROKEN, NOISY, OTHER, FAILED = "a file lost or broken", "not one line", "ended otherwise", "did not go on"


class Disk:
    """Counts writes, and refuses them from some event on.

    Parameters
        full_at : the number (from 0) of the first open, write, sync, rename or new folder that is refused
        once : refuse only that one
    """

    def __init__(self, full_at: int, *, once: bool) -> None:
        self.full_at, self.once, self.events = full_at, once, 0

    def event(self) -> None:
        number, self.events = self.events, self.events + 1
        if number == self.full_at or (number > self.full_at >= 0 and not self.once):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def install(self) -> None:
        """Make this process write to this disk."""
        for name in ("fsync", "fdatasync", "replace", "rename", "link", "mkdir", "write", "ftruncate", "truncate"):
            if hasattr(os, name):
                setattr(os, name, self._counted(getattr(os, name)))
        os.open = self._opened(os.open)
        builtins.open = io.open = self._file

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.event()
            return function(*arguments, **options)

        return counted

    def _opened(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, flags: int, *more: Any, **options: Any) -> Any:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.event()
            return function(path, flags, *more, **options)

        return opened

    def _file(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **options: Any) -> Any:
        if not isinstance(file, str | os.PathLike) or not set(mode) & set("wax+"):
            return _open(file, mode, buffering, *more, **options)
        self.event()
        raw = _Raw(self, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **options)


class _Raw(io.FileIO):
    """A file on the disk; a refused write has written half of its data."""

    def __init__(self, disk: Disk, file: Any, mode: str) -> None:
        self.disk = disk
        super().__init__(file, mode)

    def write(self, data: Any) -> int:
        try:
            self.disk.event()
        except OSError:
            super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)


_open = io.open


def rows(effort: Effort) -> list[Row]:
    """A row for refusals of each write, and one for files that may not grow beyond a random size."""
    every = "every single open, write, sync and rename of a run fails: once, and from then on; then it is resumed"
    sizes = "the system refuses that a file grows beyond a random size (RLIMIT_FSIZE); then the run is resumed"
    names = ("a full disk at every write", "files that cannot grow")
    if not child.FORKS:
        return [not_tried(name, what, child.NO_FORK) for name, what in zip(names, (every, sizes), strict=True)]
    first, second = (
        Row(name, what, (WENT_ON, NOTICED), (WENT_ON,)) for name, what in zip(names, (every, sizes), strict=True)
    )
    with workplace() as place:
        data = data_file(place)
        expected = finished(data, place / "alone")
        events = child.run(partial(_count, data, place / "counted")).value
        chosen = effort.rng("disk").permutation(events)[: effort.times(events, 20)]
        for number in sorted(chosen.tolist()):
            for once in (True, False):
                disk = Disk(number, once=once)
                label = f"event {number}{' alone' if once else ' and all after it'}"
                _trial(first, label, place / f"{number}-{once}", data, expected, disk.install)
        largest = max(path.stat().st_size for path in (place / "alone").iterdir())
        for number in range(effort.times(80, 8)):
            size = int(effort.rng("size", number).integers(largest))
            limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
            _trial(second, f"at {size} bytes", place / f"size{number}", data, expected, limit)
    return [first, second]


def _count(data: Path, folder: Path) -> int:
    """The number of writes in a run."""
    disk = Disk(-1, once=True)
    disk.install()
    try:
        child.command(arguments(data, folder))()
    except SystemExit:
        return disk.events
    raise AssertionError


def _trial(
    row: Row, label: str, folder: Path, data: Path, expected: dict[str, str], prepare: Callable[[], Any]
) -> None:
    words = arguments(data, folder)

    def on_a_full_disk() -> None:
        prepare()
        child.command(words)()

    ended = child.run(on_a_full_disk)
    if ended.how not in ("exit 0", "exit 2") or "Traceback" in ended.err:
        row.add(NOISY, f"{label}: {ended.how}: {shown(ended.err)}")
        return
    if ended.how == "exit 2" and len(ended.err.strip().splitlines()) != 1:
        row.add(NOISY, f"{label}: {ended.err}")
        return
    if broken := broken_files(folder):
        row.add(BROKEN, f"{label}: {broken[0]}")
        return
    if ended.how == "exit 2":
        begun = (folder / CONFIG).exists() or (folder / CHECKPOINT).exists()
        again = child.run(child.command(["train", "--resume", str(folder), "--quiet"] if begun else words))
        if again.how != "exit 0":
            row.add(FAILED, f"{label}: {again.how}: {shown(again.err)}")
            return
    found = left_by(folder)
    wrong = [name for name in expected if found.get(name) != expected[name]]
    row.add(OTHER if wrong else WENT_ON if ended.how == "exit 2" else NOTICED, f"{label}: {', '.join(wrong)}")
