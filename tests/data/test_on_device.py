"""Images that lie on a GPU as bytes: the same batches as from the host, augmented or not, and nothing waits for the
device. On the stand-in for CuPy: `PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy pytest tests/data`."""

from __future__ import annotations

import os

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Split, augment
from xpcnn.data.loader import Loader

from ..arrays import assert_close

pytestmark = pytest.mark.skipif(os.environ.get("XPCNN_BACKEND") != "cupy", reason="of CuPy")

WORDS = [None, "flip,crop:2", "vflip,shift:1,cutout:3", "rotate:20,brightness:0.3,contrast:0.3", "flip,mixup:0.3"]


def split() -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.integers(256, size=(13, 6, 5, 2), dtype=np.uint8), rng.integers(4, size=13))


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")
@pytest.mark.parametrize("words", WORDS)
def test_the_same_batches_as_from_the_host(words):
    import cupyx

    changes = None if words is None else augment.parse(words, 4)

    def batches() -> list:
        return list(Loader(split(), 4, shuffle=True, seed=3, augment=changes).epoch(1, 1))

    with xpcnn.use_backend("numpy"):
        expected = batches()
    with xpcnn.use_backend("cupy"):
        batches()  # kernels are compared with the reference
        with cupyx.allow_synchronize(False):
            found = batches()
        assert len(found) == len(expected) == 3
        for (x, y), (expected_x, expected_y) in zip(found, expected, strict=True):
            assert_close(x, expected_x)
            np.testing.assert_allclose(xpcnn.to_numpy(y), expected_y, rtol=1e-6)
            assert str(y.dtype) == str(expected_y.dtype)
            if words in WORDS[:3]:
                np.testing.assert_array_equal(xpcnn.to_numpy(x), expected_x)


@pytest.mark.parametrize("compose", [False, True])
def test_a_function_of_ones_own_gets_arrays_of_numpy(compose):
    seen = []

    def own(x, y, rng):
        seen.append(type(x))
        return x, y

    changes = augment.Compose(augment.Flip(), own) if compose else own
    with xpcnn.use_backend("cupy"):
        list(Loader(split(), 4, augment=changes).epoch(0))
    assert set(seen) == {np.ndarray}
