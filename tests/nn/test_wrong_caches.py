"""Each backward refuses a cache of another kind or length, and a shape that lacks the channels is called a shape."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import OptionError, ShapeError

X = np.ones((32, 8, 8, 1), np.float32)


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3, rng=1))


def graph():
    return nn.Graph({"a": (nn.Flatten(), "x"), "b": (nn.Linear(64, 3, rng=0), "a")})


@pytest.mark.parametrize("own", [network, graph, lambda: nn.plan_training(network())], ids=["chain", "graph", "plan"])
@pytest.mark.parametrize("other", [None, (), [1, 2, 3], (1, 2), 1.0])
def test_another_cache_is_refused(own, other):
    model = own()
    y, _ = model.forward(X)
    with pytest.raises(OptionError, match="backward: expected the cache that this object's forward returned, got"):
        model.backward(y, other, input_grad=False)


def test_a_plan_and_its_network_do_not_exchange_caches():
    model = network()
    plan = nn.plan_training(model)
    (y, cache), (_, planned) = model.forward(X), plan.forward(X)
    for own, other in ((model, planned), (plan, cache)):
        with pytest.raises(OptionError, match="the cache that this object's forward returned"):
            own.backward(y, other, input_grad=False)


def test_the_loss_is_no_cache():
    loss, _ = nn.CrossEntropyLoss().forward(X[:, 0, :, 0], np.zeros(32, int))
    with pytest.raises(OptionError, match=r"CrossEntropyLoss backward: expected the cache .* got float32; .*cache"):
        nn.CrossEntropyLoss().backward(loss)


@pytest.mark.parametrize("call", [lambda shape: nn.plan(network(), shape), lambda shape: network().summary(shape)])
def test_a_shape_without_channels(call):
    with pytest.raises(ShapeError, match=r"expected input_shape \(H, W, 1\), got \(8, 8\); pass all axes"):
        call((8, 8))
