"""Where the values of a network and their gradients lie while a part of a batch goes through it.

What backward reads is kept; each other value, and each gradient, has a place that it shares with those which are needed
at other times. A step that writes over what it reads shares its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .step import PartStep


@dataclass(frozen=True, eq=False)
class Use:
    """What a step reads and writes, by the numbers of values."""

    step: PartStep
    reads: tuple[int, ...]
    writes: int


@dataclass
class Change:
    """Where a step finds dy and writes dx.

    Parameters
        given, dy : places; if they differ, dy is a copy of what is given
        dx : for each value read, the place, or None if nobody reads it
        added : for each value read, the place of a gradient that dx is added to, and where to, if there is one
    """

    given: int
    dy: int
    dx: list[int | None]
    added: list[tuple[int, int] | None] = field(default_factory=list)


class Places:
    """Places that are taken and released."""

    def __init__(self) -> None:
        self.users: list[int] = []  # of each

    def take(self) -> int:
        if 0 not in self.users:
            self.users.append(0)
        place = self.users.index(0)
        self.users[place] = 1
        return place


def of_values(uses: Sequence[Use], count: int, training: bool = True) -> tuple[list[int], Mapping[int, int]]:
    """For each value the one in whose memory it is; the places of those that are not kept."""
    holders = list(range(count))
    readers = Counter(value for use in uses for value in use.reads)
    kept_output = {use.writes for use in uses if training and use.step.keeps_output}
    for use in uses:
        first = use.reads[0]
        if use.step.in_place and readers[first] == 1 and first not in kept_output:
            holders[use.writes] = holders[first]
    needed = kept_output | {value for use in uses if training and use.step.keeps_input for value in use.reads}
    kept = {holders[value] for value in needed}
    last = {0: 0} | {holders[value]: i for i, use in enumerate(uses) for value in (*use.reads, use.writes)}
    places, found = Places(), dict[int, int]()

    def settle(i: int, values: Iterable[int]) -> None:
        for holder in {holders[value] for value in values} - kept - set(found):
            found[holder] = places.take()

    settle(0, [0])
    for i, use in enumerate(uses):
        settle(i, [use.writes])
        for holder in {holders[value] for value in (*use.reads, use.writes)} & set(found):
            if last[holder] == i:
                places.users[found[holder]] = 0
    return holders, found


def of_changes(uses: Sequence[Use], asked: Sequence[bool]) -> tuple[list[Change], int]:
    """For each step, the last one first, where the gradients are; the place of the network's dy.

    Parameters
        asked : for each value, whether its gradient is wanted
    """
    places = Places()
    users = places.users
    at = {uses[-1].writes: places.take()}
    start, found = at[uses[-1].writes], list[Change]()
    for use in reversed(uses):
        if not asked[use.writes]:
            found.append(Change(0, 0, [None for _ in use.reads], [None for _ in use.reads]))
            continue
        given = dy = at.pop(use.writes)
        if use.step.alters_dy and users[given] > 1:
            users[given] -= 1
            dy = places.take()
        change, temporary = Change(given, dy, []), list[int]()
        for value in use.reads:
            place, added = None, None
            if asked[value]:
                before = at.get(value)
                if use.step.passes_dy or use.step.alters_dy:
                    place = dy
                    users[dy] += 1
                else:
                    place = places.take()
                if before is not None:
                    target = before if users[before] == 1 else places.take()
                    users[before] -= target != before
                    added = before, target
                    temporary.append(place)
                    at[value] = target
                else:
                    at[value] = place
            change.dx.append(place)
            change.added.append(added)
        for place in (dy, *temporary):
            users[place] -= 1
        found.append(change)
    return found, start
