"""The result of one check: counts of outcomes, and a verdict that depends on the counts alone."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from xpcnn.errors import one_line, shortened

HOLDS, FAILS, NOT_TRIED = "holds", "DOES NOT HOLD", "not tried"
MOST_EXAMPLES = 3  # for each outcome that must not occur
_LONGEST_EXAMPLE = 500  # characters


@dataclass(frozen=True)
class Effort:
    """The number of trials, and their seed.

    Parameters
        quick : the form that takes two to three minutes
        seed : for everything random
        most : the most trials of any check; None for no limit
    """

    quick: bool = False
    seed: int = 0
    most: int | None = None

    def times(self, full: int, quick: int) -> int:
        """The number of trials."""
        number = quick if self.quick else full
        return number if self.most is None else min(number, self.most)

    def rng(self, *names: object) -> np.random.Generator:
        """The generator of one trial, which depends only on its names and the seed."""
        return np.random.default_rng([self.seed, *(zlib.crc32(str(name).encode()) for name in names)])


@dataclass
class Row:
    """A line of the table.

    Parameters
        name : of the check
        what : the trial and its required outcome
        good : the outcomes that are as promised; every other outcome is a fault
        needed : the outcomes that must occur, or else the trials have shown nothing
        parts : the parts that must each be tried at least once, such as the layers
        not_tried : why nothing was tried, if that is not a fault
    """

    name: str
    what: str
    good: tuple[str, ...]
    needed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    not_tried: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    tried_parts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, outcome: str, example: object = "", *, part: str = "", times: int = 1) -> None:
        """Count an outcome.

        Parameters
            example : how to reproduce it, kept if the outcome is a fault
        """
        self.counts[outcome] += times
        self.tried_parts[part] += times
        if outcome not in self.good:
            kept = self.examples.setdefault(outcome, [])
            if len(kept) < MOST_EXAMPLES:
                kept.append(plain(f"{part}: {example}".removeprefix(": ")))

    def merge(self, other: Row) -> None:
        """Add another process's counts for the same row."""
        self.counts += other.counts
        self.tried_parts += other.tried_parts
        for outcome, kept in other.examples.items():
            self.examples[outcome] = (self.examples.get(outcome, []) + kept)[:MOST_EXAMPLES]

    @property
    def tried(self) -> int:
        return self.counts.total()

    @property
    def faults(self) -> list[str]:
        """The faults, one per line; none if all is well or nothing had to be tried."""
        if self.not_tried and not self.tried:
            return []
        if not self.tried:
            return ["nothing was tried"]
        lines = [f"{outcome}: {count:,}" for outcome, count in self.counts.items() if outcome not in self.good]
        lines += [f"never seen: {outcome}" for outcome in self.needed if not self.counts[outcome]]
        lines += [f"never tried: {part}" for part in self.parts if not self.tried_parts[part]]
        return lines

    @property
    def verdict(self) -> str:
        if self.not_tried and not self.tried:
            return NOT_TRIED
        return FAILS if self.faults else HOLDS


def plain(text: str) -> str:
    """The text as one short line of printable characters, without the folder of the trial."""
    return shortened(one_line(re.sub(r"/\S*?xpcnn-reliability-\w+/(worker\d+/)?", "", text)), _LONGEST_EXAMPLE)


def shown(err: str) -> str:
    """What a process wrote to standard error: its beginning, which says what failed, and its end, which says why."""
    return shortened(err.strip(), 200)


def not_tried(name: str, what: str, why: str) -> Row:
    """A row for a check that cannot be tried here."""
    return Row(name, what, (), not_tried=why)


def bad(rows: Iterable[Row]) -> list[Row]:
    """The rows that do not hold."""
    return [row for row in rows if row.verdict == FAILS]
