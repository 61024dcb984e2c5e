"""Depthwise convolution agrees with the reference: every geometry, both orders of memory, blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.kernels import depthwise
from xpcnn.ops import Window, conv2d_backward, conv2d_forward, conv2d_inference

from ..geometry import geometries
from .cases import DTYPES, assert_independent_of_threads, assert_same, orders


@pytest.fixture(params=["as they are", "joined", "in small pieces"])
def blocks(request, monkeypatch):
    if request.param != "as they are":
        monkeypatch.setattr(depthwise, "WORKSPACE", 1)
        monkeypatch.setattr(depthwise, "RUN", {"joined": 16, "in small pieces": 1}[request.param])
        monkeypatch.setattr(depthwise, "CHANNELS", 2)


@given(
    g=geometries(),
    n=st.sampled_from([1, 2, 9]),
    channels=st.sampled_from([1, 3, 8]),
    order=st.sampled_from(["C", "batch last", "strided"]),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_agrees_with_the_reference(blocks, g, n, channels, order, bias, dtype):
    rng = np.random.default_rng(0)
    x = orders(rng.normal(size=(n, *g.size, channels)).astype(dtype))[order]
    w = rng.normal(size=(channels, *g.kernel, 1)).astype(dtype)
    b = rng.normal(size=channels).astype(dtype) if bias else None
    window = Window(g.kernel, g.stride, g.pads, g.dilation)
    if depthwise.refuses(x, w, b, window=window, groups=channels) is not None:
        assert g.stride != (1, 1)
        assert g.dilation != (1, 1)
        return
    y, cache = depthwise.forward(x, w, b, window=window, groups=channels)
    expected, reference_cache = conv2d_forward(x, w, b, window=window, groups=channels)
    assert_same(y, expected)
    dy = rng.normal(size=y.shape).astype(dtype)
    for got, wanted in zip(depthwise.backward(dy, cache), conv2d_backward(dy, reference_cache), strict=True):
        assert_same(got, wanted)
    options = {"window": window, "groups": channels, "scale": np.linspace(-1, 1, channels, dtype=dtype), "relu": True}
    assert_same(depthwise.inference(x, w, b, **options), conv2d_inference(x, w, b, **options))


@pytest.mark.parametrize("order", ["C", "batch last"])
@pytest.mark.parametrize("stride", [1, 2])
def test_results_do_not_depend_on_the_number_of_threads(stride, order, monkeypatch):
    monkeypatch.setattr(depthwise, "WORKSPACE", 1 << 16)  # several blocks
    rng = np.random.default_rng(1)
    x = orders(rng.normal(size=(9, 30, 30, 40)).astype("f4"))[order]
    w, window = rng.normal(size=(40, 3, 3, 1)).astype("f4"), Window(3, stride, 1)

    def run():
        y, cache = depthwise.forward(x, w, w[:, 0, 0, 0], window=window, groups=40)
        return [y, *depthwise.backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


@pytest.mark.parametrize(
    ("w", "window", "reason"),
    [
        ((16, 3, 3, 1), Window(3), "one filter"),
        ((8, 3, 3, 8), Window(3), "one filter"),
        ((8, 3, 3, 1), Window(3, 2, dilation=2), "both a stride and a dilation"),
        ((8, 3, 3, 1), Window(3, 2), None),
    ],
)
def test_what_it_leaves_to_others(w, window, reason):
    got = depthwise.refuses(np.zeros((2, 9, 9, 8)), np.zeros(w), window=window, groups=8 // w[3])
    assert got is None if reason is None else reason in got
