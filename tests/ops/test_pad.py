"""Padding and flattening: where the elements go, the witnesses, PyTorch, bad input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn.shape import Flatten, ZeroPad2d, ZeroPadChannels
from xpcnn.ops.pad import zero_pad_backward, zero_pad_forward

from ..arrays import assert_close, needs_torch

same = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)  # what is NumPy on every backend

Widths = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4)
LAYERS = [ZeroPad2d(2), ZeroPad2d((1, 0)), ZeroPad2d((0, 1, 2, 0)), ZeroPadChannels(1, 2), Flatten()]


@given(widths=Widths, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_zeros_stand_around_and_the_gradient_is_cut_out(xp, widths, dtype, seed):
    rng = np.random.default_rng(seed)
    shape = (2, *(int(size) for size in rng.integers(1, 4, len(widths))))
    x, x_ = xp.normal(rng, *shape, dtype=dtype)
    y, cache = zero_pad_forward(x_, widths)
    assert_close(y, np.pad(x, [(0, 0), *widths]))
    dy, dy_ = xp.normal(rng, *y.shape, dtype=dtype)
    dx = np.zeros(shape, dtype)
    for index in np.ndindex(*shape):
        dx[index] = dy[index[0], *(i + before for i, (before, _) in zip(index[1:], widths, strict=True))]
    assert_close(zero_pad_backward(dy_, cache), dx)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_witnesses(xp, rng, layer):
    report = gradcheck(layer, xp.array(rng.normal(size=(2, 3, 4, 2))))
    assert report.passed, report
    assert {row.witness for row in report.rows} == {"central difference", "complex step", "adjoint identity"}


@needs_torch
@given(sides=st.tuples(*[st.integers(0, 3)] * 4), seed=st.integers(0, 99))
def test_agrees_with_pytorch(sides, seed):
    import torch

    top, bottom, left, right = sides
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 3, 4, 2))
    x_t = torch.tensor(np.moveaxis(x, 3, 1), requires_grad=True)
    y_t = torch.nn.ZeroPad2d((left, right, top, bottom))(x_t)
    y, cache = ZeroPad2d(sides).forward(x)
    same(y, np.moveaxis(y_t.detach().numpy(), 1, 3))
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(np.moveaxis(dy, 3, 1)))
    same(ZeroPad2d(sides).backward(dy, cache)[0], np.moveaxis(x_t.grad.numpy(), 1, 3))


def test_layers_shapes_configuration_and_views(xp, rng):
    host = rng.normal(size=(2, 6, 4, 2)) * 1e4
    x = xp.array(host)[:, ::2, :, :]
    shapes = [(7, 8, 2), (5, 4, 2), (4, 6, 2), (3, 4, 5), (24,)]
    for layer, shape in zip(LAYERS, shapes, strict=True):
        y, cache = layer.forward(x)
        assert layer.output_shape((3, 4, 2)) == shape == tuple(y.shape[1:])
        dx, grads = layer.backward(y, cache)
        assert grads == {}
        assert_close(dx, host[:, ::2, :, :])
        assert layer.backward(y, cache, input_grad=False) == (None, {})
        assert type(layer)(**layer.config()).config() == layer.config()
    assert_close(LAYERS[-1](x), host[:, ::2, :, :].reshape(2, 24))
    assert ZeroPad2d([1, 2, 3, 4]).padding == (1, 2, 3, 4)  # as JSON gives it back
    assert Flatten().output_shape((5,)) == (5,)


def test_refuses_what_makes_no_sense(xp):
    x = xp.array(np.ones((2, 3, 3, 4)))
    with pytest.raises(OptionError, match=r"zero_pad: expected widths: an integer ≥ 0 or a pair"):
        zero_pad_forward(x, [(0, 0), (-1, 0), (0, 0)])
    with pytest.raises(OptionError, match=r"zero_pad: expected widths: a pair \(before, after\) for each axis"):
        zero_pad_forward(x, 2)
    with pytest.raises(
        ShapeError, match=r"zero_pad: expected a batch \(N ≥ 1\) of items with 2 axes, got \(2, 3, 3, 4\)"
    ):
        zero_pad_forward(x, [(0, 0), (1, 0)])
    with pytest.raises(ShapeError, match=r"zero_pad: expected a batch \(N ≥ 1\)"):
        zero_pad_forward(x[:0, :, :, :], [(0, 0)] * 3)
    with pytest.raises(DTypeError, match=r"zero_pad: expected float32 or float64, got int64"):
        zero_pad_forward(xp.array(np.ones((2, 3), "int64")), [(1, 1)])
    with pytest.raises(OptionError, match=r"ZeroPad2d: expected padding: a number, a pair or .*, got 'same'"):
        ZeroPad2d("same")
    with pytest.raises(OptionError, match=r"ZeroPad2d: expected padding"):
        ZeroPad2d((1, 2, 3))
    with pytest.raises(OptionError, match=r"ZeroPadChannels: expected before and after"):
        ZeroPadChannels(-1, 0)
    for layer, name in zip(LAYERS, ["zero_pad"] * 4 + ["Flatten"], strict=True):
        _, cache = layer.forward(x)
        with pytest.raises(ShapeError, match=rf"{name} backward: expected dy"):
            layer.backward(x, cache)
        with pytest.raises(ShapeError, match=rf"{type(layer).__name__}: expected"):
            layer(x[0, 0, 0, :])
        with pytest.raises(ShapeError, match=r"skip empty batches"):
            layer(x[:0, :, :, :])
