"""The sum over the shards of a batch, in one order for any number of processes.

The shards' values are added in pairs, the sums in pairs, and so on: for 8 shards

    ((g₀ + g₁) + (g₂ + g₃)) + ((g₄ + g₅) + (g₆ + g₇))

Each sum of this tree is a node (first shard, size), with a power of 2 as its size; shards from S on are left out. A
process adds up the nodes that are in its own shards, so that it has few values to send: one, if 4 processes have two
shards each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

Value = TypeVar("Value")
Node: TypeAlias = tuple[int, int]  # first shard, size


def root(shards: int) -> Node:
    """The node of the whole sum."""
    return 0, 1 << (shards - 1).bit_length()


def nodes(start: int, stop: int, shards: int, node: Node | None = None) -> list[Node]:
    """The largest nodes within the shards from start to stop.

    >>> nodes(2, 8, 8), nodes(3, 6, 8), nodes(4, 6, 6)
    ([(2, 2), (4, 4)], [(3, 1), (4, 2)], [(4, 4)])
    """
    first, size = node or root(shards)
    end = min(first + size, shards)
    if max(first, start) >= min(end, stop):
        return []
    if start <= first and end <= stop:
        return [(first, size)]
    half = size // 2
    return nodes(start, stop, shards, (first, half)) + nodes(start, stop, shards, (first + half, half))


def total(values: Mapping[Node, Value], node: Node, shards: int, add: Callable[[Value, Value], Value]) -> Value:
    """The sum at the node, of values at nodes below it.

    >>> total({(0, 2): "ab", (2, 1): "c"}, (0, 4), 3, lambda a, b: f"({a} {b})")
    '(ab c)'
    """
    if node in values:
        return values[node]
    first, half = node[0], node[1] // 2
    left = total(values, (first, half), shards, add)
    if first + half >= shards:
        return left
    return add(left, total(values, (first + half, half), shards, add))
