"""Images and rows to which the estimators are fitted."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import data


@pytest.fixture(scope="module")
def digits():
    """Some of the digits: images (N, 8, 8), uint8, and labels, to train and to test on."""
    whole = data.digits()
    return (
        *(whole.train.images[:600, :, :, 0], whole.train.labels[:600]),
        *(whole.test.images[:200, :, :, 0], whole.test.labels[:200]),
    )


@pytest.fixture(scope="module")
def blobs():
    from sklearn.datasets import make_blobs

    x, y = make_blobs(200, centers=[[-4, -4], [-4, 4], [4, -4], [4, 4]], random_state=2)
    return x * [1.0, 100.0] + [1000.0, 0.0], np.array(["d", "a", "c", "b"])[y]
