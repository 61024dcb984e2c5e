"""Global pooling against NumPy's maxima and means; the first of tied maxima has all of the gradient."""

from __future__ import annotations

import numpy as np

from xpcnn.ops.global_pool import (
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    global_max_pool2d_backward,
    global_max_pool2d_forward,
)

from ..arrays import assert_close


def test_global_pools(xp, rng):
    x, x_ = xp.normal(rng, 3, 4, 5, 2)
    dy, dy_ = xp.normal(rng, 3, 2)
    y, cache = global_max_pool2d_forward(x_)
    assert_close(y, x.max(axis=(1, 2)))
    assert_close(
        global_max_pool2d_backward(dy_, cache), np.where(x == x.max((1, 2), keepdims=True), dy[:, None, None], 0)
    )
    y, cache = global_avg_pool2d_forward(x_)
    assert_close(y, x.mean(axis=(1, 2)))
    assert_close(global_avg_pool2d_backward(dy_, cache), np.ones_like(x) * dy[:, None, None] / 20)


def test_the_first_of_tied_global_maxima_has_all_of_the_gradient(xp):
    _, cache = global_max_pool2d_forward(xp.array(np.array([[[[1.0]], [[7.0]]], [[[7.0]], [[7.0]]]])))
    dx = global_max_pool2d_backward(xp.array([[3.0], [5.0]], "float64"), cache)
    assert_close(dx, np.array([[[[0.0]], [[3.0]]], [[[5.0]], [[0.0]]]]))
