"""The entries of a graph: checked, and sorted so that each comes after those that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Any

from ..errors import OptionError
from .layer import Layer


def parse_entries(entries: Mapping[str, tuple[Any, ...]]) -> tuple[dict[str, Layer], dict[str, tuple[str, ...]]]:
    """The layers, and the names that each reads."""
    if not isinstance(entries, Mapping) or not entries:
        expected = 'a mapping such as {"conv": (Conv2d(1, 8, 3), "x")}'
        raise OptionError("Graph", expected, "none" if isinstance(entries, Mapping) else type(entries).__name__)
    layers, reads = {}, {}
    for name, entry in entries.items():
        if not isinstance(entry, tuple | list) or not entry or not isinstance(entry[0], Layer):
            raise OptionError(f"Graph, {name}", "(layer, name of what it reads, …)", repr(entry)[:80])
        layers[name], reads[name] = entry[0], as_entry_names(f"what {name} reads", entry[1:])
        as_entry_names("entries", [name])
    return layers, reads


def as_entry_names(what: str, given: Any) -> tuple[str, ...]:
    """Check that these are names without a dot, each once where they are made; return them."""
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, tuple | list) else ()
    if not names or not all(isinstance(name, str) and name and "." not in name for name in names):
        raise OptionError("Graph", f"{what}: names without a dot", repr(given)[:80])
    if not what.startswith("what ") and len(set(names)) < len(names):
        raise OptionError("Graph", f"{what}: each name once", repr(given)[:80])
    return names


def in_order(reads: Mapping[str, tuple[str, ...]], inputs: tuple[str, ...]) -> list[str]:
    """Sort the entries such that each comes after those that it reads, otherwise in the given order."""
    if doubled := [name for name in inputs if name in reads]:
        raise OptionError(f"Graph, {doubled[0]}", "other names for entries than for inputs", doubled[0])
    for name, names in reads.items():
        if unknown := [each for each in names if each not in reads and each not in inputs]:
            known = ", ".join((*inputs, *reads))[:200]
            raise OptionError(f"Graph, {name}", f"names of entries and inputs: {known}", repr(unknown[0]))
    given, order = [*reads], list[str]()
    missing = {name: {each for each in names if each in reads} for name, names in reads.items()}
    readers: dict[str, list[int]] = {name: [] for name in reads}
    for number, name in enumerate(given):
        for each in missing[name]:
            readers[each].append(number)
    ready = [number for number, name in enumerate(given) if not missing[name]]  # a heap, as it is sorted
    while ready:
        order.append(given[heappop(ready)])
        for number in readers[order[-1]]:
            missing[given[number]].remove(order[-1])
            if not missing[given[number]]:
                heappush(ready, number)
    if circle := [name for name in given if missing[name]]:
        got = f"a circle among {', '.join(circle)[:200]}"
        raise OptionError(f"Graph, {circle[0]}", "entries that read what comes before them", got)
    return order
