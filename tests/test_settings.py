"""A network reads each setting once a call, and never one of the call before."""

from __future__ import annotations

import os
import threading
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import xpcnn
from xpcnn import nn, settings
from xpcnn.errors import OptionError
from xpcnn.ops import dispatch


@pytest.fixture
def read(monkeypatch):
    """How often each variable was read."""
    counts: Counter[str] = Counter()

    def get(name):
        counts[name] += 1
        return os.environ.get(name)

    monkeypatch.setattr(settings, "os", SimpleNamespace(environ=SimpleNamespace(get=get)))
    return counts


def conv(channels):
    return nn.Conv2d(channels, 3, 3, padding=1, rng=0)


NETWORKS = {
    "Sequential": lambda: nn.Sequential(
        conv(1), nn.ReLU(), nn.Residual(nn.Sequential(conv(3), nn.ReLU(), conv(3))), conv(3)
    ),
    "Graph": lambda: nn.Graph(
        {"a": (conv(1), "x"), "b": (nn.Sequential(conv(3), nn.ReLU()), "a"), "y": (nn.Add(), "a", "b")}
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_variable_is_read_once_a_call(name, read):
    model, x = NETWORKS[name](), xpcnn.asarray(np.ones((8, 6, 6, 1), np.float32))
    y, cache = model.forward(x)
    for call in (lambda: model(x), lambda: model.forward(x), lambda: model.backward(y, cache)):
        read.clear()
        call()
        assert set(read.values()) == {1}, read


def test_a_variable_that_changes_is_seen_at_the_next_call(monkeypatch):
    linear, x = nn.Sequential(nn.Linear(3, 2, rng=0)), np.ones((8, 3), np.float32)
    chosen, original = [], dispatch.choose

    def choose(*args, **options):
        chosen.append(dispatch.forced())
        return original(*args, **options)

    monkeypatch.setattr(dispatch, "choose", choose)
    for forced in ("reference", "rows", None):
        monkeypatch.setenv("XPCNN_IMPLEMENTATION", forced or "")
        linear(x)
        linear.forward(x)
    assert chosen == ["reference"] * 2 + ["rows"] * 2 + [None] * 2


def test_within_a_block_the_first_value_holds_in_this_thread_alone(monkeypatch):
    monkeypatch.setenv("XPCNN_NUM_THREADS", "3")
    others = []
    with settings.once():
        assert settings.num_threads() == 3
        monkeypatch.setenv("XPCNN_NUM_THREADS", "5")
        with settings.once():
            assert settings.num_threads() == 3
        assert settings.num_threads() == 3
        thread = threading.Thread(target=lambda: others.append(settings.num_threads()))
        thread.start()
        thread.join()
    assert settings.num_threads() == 5
    assert others == [5]


def test_an_invalid_one_is_refused_each_time(monkeypatch):
    monkeypatch.setenv("XPCNN_NUMBA", "yes")
    with settings.once():
        for _ in range(2):
            with pytest.raises(OptionError, match="XPCNN_NUMBA"):
                settings.numba()
