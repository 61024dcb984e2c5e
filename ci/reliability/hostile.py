"""Malicious files: each is opened in a process with little time and memory, and must do no harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from xpcnn.errors import XpcnnError

from . import attacks, child
from .row import Effort, Row, not_tried, shown
from .small import workplace

NAME = "hostile files"
REFUSED, HARMLESS = "refused in a line", "read, and nothing else"
ERROR, MEMORY, TIME, RAN = (
    "foreign exception",
    "too much memory",
    "too much time, or aborted",
    "something was run or written",
)
ESCAPED, LONG = "escapes reached the terminal", "refused in more than a short line"
MOST_MEMORY = 2**30  # bytes: the largest picture takes half of that during decoding
SECONDS = 30  # of a processor
WATCH = 300.0  # seconds of wall-clock time, which includes other programs' time


def rows(effort: Effort) -> list[Row]:
    """A row for each group; the quick form has the same attacks."""
    found = []
    with workplace() as place:
        for group, made in attacks.groups().items():
            name = f"{NAME}: {group}"
            if isinstance(made, str) or not child.FORKS:
                found.append(not_tried(name, "attacks", made if isinstance(made, str) else child.NO_FORK))
                continue
            what = f"{len(made)} attacks by huge sizes, bombs, nesting, code, paths, escapes"
            row = Row(name, what, (REFUSED, HARMLESS), (REFUSED,), tuple(made))
            for number, (attack, (make, read)) in enumerate(made.items()):
                folder = place / f"{group}{number}"
                (folder / "inner").mkdir(parents=True)
                row.add(*_trial(folder, make, read), part=attack)
            found.append(row)
    return found


def _trial(folder: Path, make: Callable[[Path], Path], read: Callable[[Path], Any]) -> tuple[str, str]:
    path = make(folder / "inner")
    before = sorted(folder.rglob("*"))
    ended = child.run(partial(_open, read, path), limit=WATCH)
    if (new := [str(each) for each in sorted(folder.rglob("*")) if each not in before]) or ended.how == "exit 99":
        return RAN, ", ".join(new)
    if "\x1b" in ended.out + ended.err:
        return ESCAPED, repr((ended.out + ended.err)[:100])
    if ended.how in ("exit 0", "exit 2") and ended.value is None:  # of the command line
        one = len(ended.err.strip().splitlines()) == (ended.how == "exit 2")
        return ((REFUSED if ended.how == "exit 2" else HARMLESS), "") if one else (LONG, ended.err)
    return tuple(ended.value) if ended.value else (TIME, f"{ended.how}: {shown(ended.err)}")


def _open(read: Callable[[Path], Any], path: Path) -> tuple[str, str]:
    os.chdir(path.parent)
    child.limit_memory(MOST_MEMORY)
    child.limit_time(SECONDS)
    try:
        read(path)
    except XpcnnError as error:
        text = str(error)
        return (LONG, text) if "\n" in text or len(text) > 1000 else (REFUSED, "")
    except MemoryError:
        return MEMORY, ""
    except Exception as error:
        return ERROR, f"{type(error).__name__}: {error}"
    return HARMLESS, ""
