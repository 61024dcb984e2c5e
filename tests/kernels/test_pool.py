"""Maximum and average pooling with the batch last refuse the same, and give the same bits for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.kernels import avg_pool, max_pool, pool_pieces
from xpcnn.kernels.batch_last import MINIMUM_BATCH
from xpcnn.ops.window import Window

from .cases import assert_independent_of_threads

KINDS = {"MaxPool2d": max_pool, "AvgPool2d": avg_pool}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [Window(2, 2), Window(3, 2, padding=1)], ids=str)
def test_independent_of_threads(rng, monkeypatch, kind, window):
    monkeypatch.setattr(pool_pieces, "PIECE", 1 << 10)
    x = rng.normal(size=(33, 14, 15, 8)).astype("f4")

    def run():
        y, cache = KINDS[kind].forward(x, window=window)
        winners = [each for each in cache if isinstance(each, np.ndarray)]
        return [y, *winners, KINDS[kind].backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_refuses(kind):
    pool = KINDS[kind]
    assert pool.IMPLEMENTATION.refuses is pool.refuses
    x, window = np.ones((16, 6, 6, 3)), Window(2, 2)
    assert pool.refuses(x, window=window) is None
    assert pool.refuses(x[: MINIMUM_BATCH - 1], window=window) == f"there are fewer than {MINIMUM_BATCH} images"
    assert pool.refuses(x + 0j, window=window) == "it is no batch of real numbers"
    with pytest.raises(ShapeError, match=rf"{kind}\(2×2\): expected an element of the image .* nothing but padding"):
        pool.forward(x, window=Window((2, 2), stride=(2, 2), padding=(2, 2, 0, 0)))
    with pytest.raises(DTypeError, match=rf"{kind}\(2×2\): expected float32 or float64, got int64"):
        pool.forward(np.ones((16, 6, 6, 3), "int64"), window=window)
    _, cache = pool.forward(x, window=window)
    with pytest.raises(ShapeError, match=rf"{kind} backward: expected dy \(16, 3, 3, 3\)"):
        pool.backward(x, cache)
    with pytest.raises(DTypeError, match=rf"{kind} backward: expected float32"):
        pool.backward(np.ones((16, 3, 3, 3), "int64"), cache)
