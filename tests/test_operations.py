"""The counts of `ci.operations`: one more call, or one more array, is counted, and a number that grows is told."""

from __future__ import annotations

import numpy as np
import pytest

from ci import operations
from ci.committed import grown
from xpcnn import nn
from xpcnn.kernels import relu
from xpcnn.ops import dispatch


@pytest.mark.skipif(not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="counts NumPy's calls")
def test_one_more_call_and_one_more_array_are_counted(monkeypatch):
    monkeypatch.setenv("XPCNN_NUM_THREADS", "1")
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    layer, x = nn.ReLU(), np.ones((64, 200), np.float32)
    layer(x)
    before = operations.functions(lambda: layer(x))
    assert 0 < before < operations.functions(lambda: (layer(x), dispatch.forced()))
    with operations.counting() as counts:
        relu.forward(x)
        once = dict(counts)
        relu.forward(x)
        relu.np.zeros(100)
    assert counts == {"array calls": 2 * once["array calls"] + 1, "made": 2 * once["made"] + 800}
    assert relu.np is np


def test_a_number_that_grows_is_told():
    before = {"lenet5": {"training": {"functions": 5, "peak": 64}}}
    after = {"lenet5": {"training": {"functions": 6, "peak": 60}}}
    assert grown(after, before) == ["lenet5 training functions: 6, committed 5"]
    assert grown({"peak": 7}, {"peak": 5}, slack={"peak": 2}) == []
    assert grown({"peak": 8}, {"peak": 5}, slack={"peak": 2}) == ["peak: 8, committed 5"]
