"""Scale: one factor for all or one a channel, with and without an offset; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.ops.scale import scale_backward, scale_forward

from ..arrays import assert_close


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 2, 4, 3)])
def test_factors_and_offsets(xp, rng, features, bias, shape):
    layer = nn.Scale(features, bias=bias, init=0.5).astype("float64")
    host, x = xp.normal(rng, *shape)
    assert_close(layer(x), host * 0.5)
    assert gradcheck(layer, x).passed
    assert layer.backward(x, layer.forward(x)[1], input_grad=False)[0] is None


@pytest.mark.parametrize(("factors", "offsets"), [(1, 3), (3, 1)])
def test_one_for_all_beside_one_a_channel(xp, rng, factors, offsets):
    (w, w_), (b, b_), (x, x_) = xp.normal(rng, factors), xp.normal(rng, offsets), xp.normal(rng, 2, 4, 3)
    y, cache = scale_forward(x_, w_, b_)
    assert_close(y, x * w + b)
    _, dw, db = scale_backward(x_, cache)
    assert_close(dw, (x * x).sum(axis=(0, 1)) if factors == 3 else (x * x).sum().reshape(1))
    assert_close(db, x.sum(axis=(0, 1)) if offsets == 3 else x.sum().reshape(1))


def test_what_does_not_fit_is_refused(xp):
    with pytest.raises(ShapeError, match=r"Scale: expected a weight \(1,\) or \(4,\), one a channel, got \(3,\)"):
        nn.Scale(3)(xp.array(np.ones((2, 4)), "float32"))
