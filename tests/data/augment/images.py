"""Images to be augmented, and what becomes of them."""

from __future__ import annotations

import numpy as np

import xpcnn


def images(n=12, h=5, w=4, c=2, dtype="float32"):
    return np.random.default_rng(1).random((n, h, w, c)).astype(dtype)


def changed(augmentation, x, seed=0):
    """The images alone, on the host."""
    labels = xpcnn.asarray(np.arange(x.shape[0]) % 5)
    return xpcnn.to_numpy(augmentation(x, labels, np.random.default_rng(seed))[0])
