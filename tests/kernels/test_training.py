"""A whole training run, batch norm and all, gives the same bits with any number of threads and on every run."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import models, nn, optim
from xpcnn.kernels import threads


def train(build, images: np.ndarray, labels: np.ndarray, steps: int) -> bytes:
    """Parameters and buffers after some steps of SGD with momentum, and the last loss."""
    model = build()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for step in range(steps):
        batch = slice(24 * step, 24 * (step + 1))
        logits, cache = model.forward(images[batch])
        loss, loss_cache = criterion.forward(logits, labels[batch])
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
    return b"".join(np.ascontiguousarray(array).tobytes() for array in model.state_dict().values()) + loss.tobytes()


@pytest.mark.parametrize("name", ["lenet5", "mnist_cnn", "vgg_small", "resnet20"])
def test_the_same_bits_for_any_number_of_threads(name, rng, monkeypatch):
    shape = (28, 28, 1) if name in ("lenet5", "mnist_cnn") else (16, 16, 3)
    images = rng.normal(size=(24 * 3, *shape)).astype(np.float32)
    labels = rng.integers(0, 10, size=len(images))
    monkeypatch.setattr(threads, "_ALONE", 0.0)  # so that little work is shared, too
    results = []
    for number in ("1", "2", "4", "8", "8"):
        monkeypatch.setenv("XPCNN_NUM_THREADS", number)
        results.append(train(lambda: models.build(name, shape, 10, rng=0), images, labels, 3))
    assert all(each == results[0] for each in results)


def test_fast_and_reference_train_alike(rng):
    """The same losses to rounding, in float64."""
    images, labels = rng.normal(size=(24 * 3, 16, 16, 3)), rng.integers(0, 10, size=24 * 3)

    def build():
        return models.vgg_small((16, 16, 3), rng=0).astype("float64")

    fast = train(build, images, labels, 3)
    with xpcnn.use_implementation("reference"):
        slow = train(build, images, labels, 3)
    np.testing.assert_allclose(np.frombuffer(fast), np.frombuffer(slow), rtol=1e-7, atol=1e-9)
