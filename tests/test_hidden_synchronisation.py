"""Nothing reads an array's values back while training: on a GPU each such read waits for the device.

array-api-strict's second device stands for the GPU, and `float(x)`, `bool(x)`, `int(x)` and `x` as an index raise.
"""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.nn import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
from xpcnn.nn.samples import SAMPLES
from xpcnn.optim import SGD, Adadelta, AdaGrad, Adam, AdamW, RMSProp, clip_by_norm, clip_by_value

strict = pytest.importorskip("array_api_strict")


@pytest.fixture(autouse=True)
def reading_raises(monkeypatch):
    def read(array, *arguments):
        raise AssertionError("an array's value was read back")

    with xpcnn.use_backend("array_api_strict"):
        for name in ("__float__", "__bool__", "__int__", "__index__", "__complex__"):
            monkeypatch.setattr(type(xpcnn.asarray([1.0])), name, read)
        yield


def test_the_trap_is_set():
    with pytest.raises(AssertionError, match="read back"):
        float(xpcnn.asarray([1.0])[0])


@pytest.mark.parametrize("name", SAMPLES)
def test_layers(name):
    layer, x = SAMPLES[name]()
    x = xpcnn.asarray(x, "float32")
    y, cache = layer.forward(x)
    layer.backward(y, cache)
    layer.backward(y, cache, input_grad=False)
    layer(x)


@pytest.mark.parametrize(
    "criterion",
    [
        CrossEntropyLoss(), CrossEntropyLoss(weight=[1.0, 2.0, 3.0], label_smoothing=0.1), NLLLoss(), HingeLoss(),
        MSELoss(), L1Loss(), HuberLoss(), BCEWithLogitsLoss(pos_weight=2.0),
    ],
    ids=repr,
)  # fmt: skip
def test_losses(criterion):
    rng = np.random.default_rng(0)
    y = xpcnn.asarray(rng.normal(size=(4, 3)), "float32")
    if isinstance(criterion, CrossEntropyLoss | NLLLoss | HingeLoss):
        target = xpcnn.asarray([0, 1, 2, 0])
    else:
        target = xpcnn.asarray(rng.uniform(size=(4, 3)), "float32")
    loss, cache = criterion.forward(y, target)
    assert loss.shape == ()
    criterion.backward(cache)


@pytest.mark.parametrize("kind", [SGD, AdaGrad, RMSProp, Adadelta, Adam, AdamW])
def test_optimizers_and_clipping(kind):
    layer = xpcnn.nn.Linear(3, 2, rng=0)
    optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.01)
    grads, _ = clip_by_norm(clip_by_value(layer.parameters(), 0.5), 1.0)
    for _ in range(2):
        optimizer.step(grads)
