"""A small problem that is learned in seconds, for the tests of training."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split
from xpcnn.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from xpcnn.optim import Adam, Plateau
from xpcnn.training import Trainer


def split(n=64, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 100, (n, 6, 6, 1))
    images[np.arange(n), labels * 2, :, 0] += 150  # a bright row says the class
    return Split(images.astype("uint8"), labels)


def network():
    return Sequential(
        Conv2d(1, 4, 3, padding=1, bias=False, rng=0), BatchNorm2d(4), ReLU(), MaxPool2d(2), Flatten(),
        Dropout(0.3, rng=1), Linear(36, 3, rng=2),
    )  # fmt: skip


def trainer(folder=None, model=None, **options):
    model = model or network()
    optimizer = Adam(model.parameters(), lr=0.01)
    options = {"schedule": Plateau(0.01, factor=0.5, patience=1), "verbose": False} | options
    return Trainer(model, optimizer, folder=folder, **options)


def loader(**options):
    return Loader(split(), 10, **({"shuffle": True, "seed": 4} | options))  # 7 batches, the last of 4


def batch(n=10):
    return next(iter(Loader(split(), n).epoch(0)))


def host(arrays):
    """Copies on the host, by name."""
    return {name: xpcnn.to_numpy(array).copy() for name, array in arrays.items()}


def everything(run):
    """All that a step of this trainer may change."""
    arrays = host(run.model.state_dict()) | {f"o.{k}": v for k, v in host(run.optimizer.state_dict()).items()}
    if run.average is not None:
        arrays |= {f"a.{k}": v for k, v in host(run.average.state_dict()).items()}
    return arrays


def generators(model):
    return {name: rng.bit_generator.state for name, rng in model.generators().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def rows(run):
    return [
        (r.epoch, r.lr, r.train_loss, r.train_accuracy, r.validation_loss, r.validation_accuracy) for r in run.history
    ]


@contextmanager
def stopped_at(number, run):
    """The trainer, which Ctrl-C stops in the step of that number: it is finished, no other is begun."""
    name = "train_step" if run.sharding.is_whole else "step"
    step, calls = getattr(run, name), []

    def interrupted(*batches):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*batches)

    setattr(run, name, interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted"):
        yield run
    assert len(calls) == number
