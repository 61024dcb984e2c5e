"""Networks of random sizes, trained for some steps with 1, 2, 4 and 8 threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from xpcnn import models, nn, optim
from xpcnn.kernels import threads

from .layers import Rng
from .row import Effort, Row
from .small import digest

NUMBERS = (1, 2, 4, 8)
NETS = ("lenet5", "mnist_cnn", "vgg_small", "resnet20")
EQUAL, OTHER = "equal, bit for bit", "different"
STEPS = 3


def rows(effort: Effort) -> list[Row]:
    """One row: parameters, running statistics and losses."""
    times = effort.times(10, 1)
    what = f"{', '.join(NETS)}, {times} random batches each, {STEPS} steps with {', '.join(map(str, NUMBERS))} threads"
    row = Row("threads", what, (EQUAL,), (EQUAL,), NETS)
    for name in NETS:
        for number in range(times):
            found = [_train(name, effort.rng("threads", name, number), n) for n in NUMBERS]
            wrong = [str(n) for n, each in zip(NUMBERS, found, strict=True) if each != found[0]]
            row.add(OTHER if wrong else EQUAL, f"case {number}: {', '.join(wrong)} threads, as against 1", part=name)
    return [row]


def _train(name: str, rng: Rng, number: int) -> str:
    shape = (28, 28, 1) if name in ("lenet5", "mnist_cnn") else (16, 16, 3)
    images = int(rng.integers(8, 17))
    with _threads(number):
        model = models.build(name, shape, 10, rng=rng)
        optimizer, criterion = optim.SGD(model.parameters(), lr=0.05, momentum=0.9), nn.CrossEntropyLoss()
        losses = []
        for _ in range(STEPS):
            x = rng.normal(size=(images, *shape)).astype("float32")
            logits, cache = model.forward(x)
            loss, loss_cache = criterion.forward(logits, rng.integers(0, 10, images))
            dx, grads = model.backward(criterion.backward(loss_cache), cache)
            optimizer.step(grads)
            losses += [loss, np.ascontiguousarray(dx)]
        return digest(losses, {key: np.ascontiguousarray(array) for key, array in model.state_dict().items()})


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Use that many threads, even for little work."""
    before, alone = os.environ.get("XPCNN_NUM_THREADS"), threads._ALONE
    os.environ["XPCNN_NUM_THREADS"], threads._ALONE = str(number), 0.0
    try:
        yield
    finally:
        threads._ALONE = alone
        if before is None:
            del os.environ["XPCNN_NUM_THREADS"]
        else:
            os.environ["XPCNN_NUM_THREADS"] = before
