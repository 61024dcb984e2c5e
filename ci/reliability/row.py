"""What one check came to: counts of outcomes, and a verdict that follows from the counts alone."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from xpcnn.errors import one_line

HOLDS, FAILS, NOT_TRIED = "holds", "DOES NOT HOLD", "not tried"
MOST_EXAMPLES = 3  # of each outcome that must not be
_LONGEST_EXAMPLE = 300  # characters


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Parameters
        quick : the form that takes two to three minutes
        seed : of all that is random
        most : no check tries anything more often than that; None for no limit
    """

    quick: bool = False
    seed: int = 0
    most: int | None = None

    def times(self, full: int, quick: int) -> int:
        """How often to try something."""
        number = quick if self.quick else full
        return number if self.most is None else min(number, self.most)

    def rng(self, *names: object) -> np.random.Generator:
        """The generator of one trial, which its names and the seed alone decide."""
        return np.random.default_rng([self.seed, *(zlib.crc32(str(name).encode()) for name in names)])


@dataclass
class Row:
    """A line of the table.

    Parameters
        name : of the check
        what : is tried, and what must come of it
        good : the outcomes that are as promised; every other is a fault
        needed : the outcomes without which the trials have shown nothing
        parts : what must each have been tried at least once, such as the layers
        not_tried : why nothing was tried, where that is no fault
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
            example : how to see it again, kept where the outcome is a fault
        """
        self.counts[outcome] += times
        self.tried_parts[part] += times
        if outcome not in self.good:
            kept = self.examples.setdefault(outcome, [])
            if len(kept) < MOST_EXAMPLES:
                kept.append(plain(f"{part}: {example}".removeprefix(": ")))

    def merge(self, other: Row) -> None:
        """Add what another process has counted for the same row."""
        self.counts += other.counts
        self.tried_parts += other.tried_parts
        for outcome, kept in other.examples.items():
            self.examples[outcome] = (self.examples.get(outcome, []) + kept)[:MOST_EXAMPLES]

    @property
    def tried(self) -> int:
        return self.counts.total()

    @property
    def faults(self) -> list[str]:
        """What does not hold, in lines; none where all is well or nothing was to be tried."""
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
    """In one short line of printable letters, without the folder that it was tried in."""
    return one_line(re.sub(r"/\S*?xpcnn-reliability-\w+/(worker\d+/)?", "", text))[:_LONGEST_EXAMPLE]


def not_tried(name: str, what: str, why: str) -> Row:
    """A row of what cannot be tried here."""
    return Row(name, what, (), not_tried=why)


def bad(rows: Iterable[Row]) -> list[Row]:
    """The rows that do not hold."""
    return [row for row in rows if row.verdict == FAILS]
