"""The sum over shards has one order for any number of processes, and each sends as few values as that allows."""

from __future__ import annotations

import pytest

from xpcnn.distributed.tree_sum import nodes, root, total
from xpcnn.shards import cut


def add(one, other):
    return f"({one} {other})"


@pytest.mark.parametrize("shards", range(1, 20))
def test_the_order_depends_on_the_number_of_shards_alone(shards):
    leaves = {(s, 1): str(s) for s in range(shards)}
    whole = total(leaves, root(shards), shards, add)
    assert [int(word) for word in whole.replace("(", "").replace(")", "").split()] == list(range(shards))
    for processes in range(1, shards + 1):
        sent = {}
        for start, stop in cut(shards, processes):
            own = {(s, 1): str(s) for s in range(start, stop)}  # a process has no others
            sent |= {node: total(own, node, shards, add) for node in nodes(start, stop, shards)}
        assert total(sent, root(shards), shards, add) == whole
        if shards % processes == 0 and (shards // processes).bit_count() == 1:
            assert len(sent) == processes
