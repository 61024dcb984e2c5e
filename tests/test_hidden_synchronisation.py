"""Training never reads an array's values back: on a GPU, each such read waits for the device.

array-api-strict's second device represents the GPU: `float(x)`, `bool(x)`, `int(x)` and `x` as an index raise, and so
do `clip` and `sign`, which index with masks in array-api-compat's form for CuPy, and CuPy counts a mask's elements.
On CuPy itself (XPCNN_BACKEND=cupy), CuPy raises.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import xpcnn
from xpcnn.backend import array_namespace
from xpcnn.nn import MSELoss
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES
from xpcnn.optim import OPTIMIZERS, SGD, Adam, RMSProp, clip_by_norm, clip_by_value
from xpcnn.training import Trainer

NAME = "cupy" if os.environ.get("XPCNN_BACKEND") == "cupy" else "array_api_strict"

pytestmark = pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")  # it may miss some reads


@pytest.fixture(autouse=True)
def reading_raises(monkeypatch):
    pytest.importorskip(NAME)
    with xpcnn.use_backend(NAME) as backend:
        if NAME == "cupy":
            import cupyx

            with cupyx.allow_synchronize(False):
                yield
            return
        for name in ("__float__", "__bool__", "__int__", "__index__", "__complex__"):
            monkeypatch.setattr(type(xpcnn.asarray([1.0])), name, _read)
        for name in ("clip", "sign"):
            monkeypatch.setattr(backend.xp, name, _read_by_a_mask)
        yield


def _read(*arguments, **options):
    raise RuntimeError("an array's values were read back")


def _read_by_a_mask(*arguments, **options):
    raise RuntimeError("an array's values were read back: use xpcnn.ops.clip and xpcnn.ops.sign")


@pytest.mark.parametrize(
    "read", [lambda x: float(x[0]), lambda x: bool(x[0] > 0), lambda x: array_namespace(x).clip(x, 0.0, 1.0)]
)
def test_the_trap_is_set(read):
    with pytest.raises(RuntimeError, match=r"read back|synchronization"):
        read(xpcnn.asarray([1.0]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_layers(name):
    layer, x = EXAMPLES[name]()
    x = xpcnn.asarray(x, "float32")
    y, cache = layer.forward(x)
    layer.backward(y, cache)
    layer.backward(y, cache, input_grad=False)
    layer(x)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    criterion, y, target = LOSSES[name]()
    target = xpcnn.asarray(target, "float32" if target.dtype.kind == "f" else None)
    loss, cache = criterion.forward(xpcnn.asarray(y, "float32"), target)
    assert loss.shape == ()
    criterion.backward(cache)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((named.kind, {}) for named in OPTIMIZERS.values()),
        (SGD, {"momentum": 0.9, "nesterov": True}), (RMSProp, {"centered": True, "momentum": 0.9}),
    ],
)  # fmt: skip
def test_optimizers(kind, options):
    layer = xpcnn.nn.Linear(3, 2, rng=0)
    optimizer = kind(layer.parameters(), lr=0.1, weight_decay=0.01, **options)
    for _ in range(2):
        optimizer.step(layer.parameters())


def test_clipping():
    grads, _ = clip_by_norm(clip_by_value(xpcnn.nn.Linear(3, 2, rng=0).parameters(), 0.5), 1.0)
    assert len(grads) == 2


def test_a_step_of_the_trainer():
    layer, x = EXAMPLES["BatchNorm2d"]()
    optimizer = Adam(layer.parameters())
    trainer = Trainer(layer, optimizer, MSELoss(), clip_norm=1.0, ema=0.9, accumulate=2, read_every=9, verbose=False)
    batch = xpcnn.asarray(x, "float32"), xpcnn.asarray(np.zeros_like(x), "float32")
    trainer.train_step(*batch, batch)


def test_an_estimator_reads_its_losses_after_the_epoch(monkeypatch):
    pytest.importorskip("sklearn")
    from xpcnn.sklearn import CNNClassifier

    happened = []
    step = Adam.step
    monkeypatch.setattr(Adam, "step", lambda *arguments: (happened.append("step"), step(*arguments)))
    x = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(RuntimeError, match=r"read back|synchronization"):
        CNNClassifier(epochs=1, batch_size=4, optimizer="adam").fit(x, np.arange(12) % 3)
    assert happened == ["step"] * 3
