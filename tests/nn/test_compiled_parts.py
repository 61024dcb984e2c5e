"""A network that is trained in parts, in compiled loops: the gradients are those that the reference finds."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.geometry import Geometry, geometries, window_of
from tests.nn.parts import NUMPY_AS_USUAL, check, infers, lenet, steps
from xpcnn import nn
from xpcnn.kernels import winograd
from xpcnn.kernels.compiled import winograd as compiled_winograd
from xpcnn.kernels.parts import compiled_conv, compiled_pool, elementwise
from xpcnn.kernels.parts import compiled_winograd as compiled_winograd_step

pytestmark = [
    *NUMPY_AS_USUAL,
    pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed"),
]


def test_where_loops_are_compiled_pooling_takes_the_relu_after_it(rng, monkeypatch):
    monkeypatch.setenv("XPCNN_NUMBA", "1")
    plan = check(lenet(), rng.normal(size=(32, 13, 14, 2)).astype("float32"))
    kinds = [type(entry.step).__name__ for entry in steps(plan)]
    assert kinds[:4] == ["CompiledConvolution", "CompiledMaxPooling", "Dropping", "CompiledConvolution"]
    assert kinds[-4:] == ["CompiledMaxPooling", "Dense", "Rectifier", "Dense"]


@settings(deadline=None, max_examples=40)
@given(geometries(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_geometry_of_compiled_pooling(g: Geometry, ceil, relu, seed):
    rng = np.random.default_rng(seed)
    assume(window_of(g, ceil))
    pool = nn.MaxPool2d(g.kernel, stride=g.stride, padding=g.pads, dilation=g.dilation, ceil_mode=ceil)
    layers = [nn.Conv2d(2, 3, 1, rng=1), pool, *([nn.ReLU()] if relu else []), nn.Conv2d(3, 2, 1, rng=2)]
    model = nn.Sequential(*layers).astype("float64")
    x = rng.normal(size=(18, *g.size, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPCNN_NUMBA", "1")
        kinds = [type(entry.step) for entry in steps(check(model, x))]
        infers(model, x)
    assert kinds[1] is compiled_pool.CompiledMaxPooling
    assert len(kinds) == 3


@settings(deadline=None, max_examples=40)
@given(
    geometries(), st.booleans(), st.tuples(st.integers(1, 17), st.integers(2, 23)),
    st.sampled_from([("float64", 16), ("float64", 18), ("float64", 35), ("float64", 76), ("float32", 20)]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_geometry_of_a_compiled_convolution(g: Geometry, bias, channels, batch, seed):
    dtype, items = batch  # parts of 20 items of float32 have fewer than a vector holds
    pads = tuple(min(pad, g.kernel[i // 2] - 1) for i, pad in enumerate(g.pads))
    last = nn.Conv2d(channels[0], channels[1], g.kernel, padding=pads, bias=bias, rng=2)
    model = nn.Sequential(nn.Conv2d(2, channels[0], 1, rng=1), last, nn.ReLU()).astype(dtype)
    x = np.random.default_rng(seed).normal(size=(items, g.size[0] + 3, g.size[1] + 3, 2)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPCNN_NUMBA", "1")
        patch.setattr(winograd, "FEWEST_CHANNELS", 99)
        kinds = [type(entry.step) for entry in steps(check(model, x))]
        infers(model, x)
    assert kinds == [compiled_conv.CompiledConvolution, compiled_conv.CompiledConvolution, elementwise.Rectifier]


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(*[st.integers(1, 13)] * 2), st.tuples(*[st.integers(0, 2)] * 4), st.sampled_from([18, 35]),
    st.booleans(), st.sampled_from([32, 8]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_geometry_of_winograds_form_in_compiled_loops(size, pads, items, bias, together, seed):
    assume(size[0] + pads[0] + pads[1] >= 3 and size[1] + pads[2] + pads[3] >= 3)
    last = nn.Conv2d(3, 4, 3, padding=pads, bias=bias, rng=2)
    model = nn.Sequential(nn.Conv2d(2, 3, 1, rng=1), last, nn.ReLU(), nn.Conv2d(4, 2, 1, rng=3)).astype("float64")
    x = np.random.default_rng(seed).normal(size=(items, *size, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XPCNN_NUMBA", "1")
        patch.setattr(winograd, "FEWEST_CHANNELS", 1)
        patch.setattr(compiled_winograd, "MOST_WORK", 99.0)
        patch.setattr(compiled_winograd_step, "RUN", together)  # parts in blocks of images, too
        plan = check(model, x)
        infers(model, x)
    assert sum(isinstance(entry.step, compiled_winograd_step.CompiledWinograd) for entry in steps(plan)) == 1
