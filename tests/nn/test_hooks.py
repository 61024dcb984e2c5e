"""A network with hooks is the network: same layers, names, results and gradients; and each layer passes the hooks."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

import xpcnn
from xpcnn import asarray, nn, to_numpy
from xpcnn.errors import OptionError
from xpcnn.nn import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    Hooks,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    eval_mode,
    with_hooks,
)
from xpcnn.nn.layer_examples import EXAMPLES


class Names(Hooks):
    def __init__(self):
        self.seen = []

    def forward(self, name, layer, x):
        self.seen.append(("forward", name, type(layer).__name__))
        return super().forward(name, layer, x)

    def backward(self, name, layer, dy, cache, *, input_grad):
        self.seen.append(("backward", name, type(layer).__name__))
        return super().backward(name, layer, dy, cache, input_grad=input_grad)

    def infer(self, name, layer, x):
        self.seen.append(("infer", name, type(layer).__name__))
        return super().infer(name, layer, x)


def network():
    return Sequential(
        Conv2d(1, 2, 3, padding=1, rng=0), BatchNorm2d(2), ReLU(), MaxPool2d(2),
        Residual(Sequential(Conv2d(2, 2, 3, padding=1, rng=1), ReLU())), Flatten(), Linear(8, 3, rng=2),
    )  # fmt: skip


def test_every_layer_is_run_by_itself_and_in_its_place(xp):
    names = Names()
    model = with_hooks(network(), names)
    x = xp.array(np.random.default_rng(0).normal(size=(2, 4, 4, 1)), "float32")
    y, cache = model.forward(x)
    order = [
        ("0", "Conv2d"), ("1", "BatchNorm2d"), ("2", "ReLU"), ("3", "MaxPool2d"), ("4.body.0", "Conv2d"),
        ("4.body.1", "ReLU"), ("5", "Flatten"), ("6", "Linear"),
    ]  # fmt: skip
    assert names.seen == [("forward", *each) for each in order]
    names.seen.clear()
    model.backward(y, cache)
    assert names.seen == [("backward", *each) for each in reversed(order)]
    names.seen.clear()
    model(x)
    assert names.seen == [("infer", *each) for each in order]


@pytest.mark.parametrize("name", EXAMPLES)
def test_results_gradients_and_names_are_the_network_s(xp, name):
    layer, x = EXAMPLES[name]()
    layer.astype("float64")
    other = with_hooks(layer, Hooks())
    assert [*other.state_dict()] == [*layer.state_dict()]
    assert all(array is layer.state_dict()[key] for key, array in other.state_dict().items())
    x = xp.array(x, "float64")
    np.testing.assert_allclose(xpcnn.to_numpy(layer(x)), xpcnn.to_numpy(other(x)), rtol=1e-12, atol=1e-12)
    results = []
    for each in (layer, other):
        for rng in layer.generators().values():
            rng.bit_generator.state = np.random.default_rng(3).bit_generator.state
        y, cache = each.forward(x)
        dx, grads = each.backward(y, cache)
        results.append([y, dx, *(grads[key] for key in layer.parameters())])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(xpcnn.to_numpy(one), xpcnn.to_numpy(two), rtol=1e-12, atol=1e-12)


def test_a_watched_network_can_be_copied():
    model = network()
    x = xpcnn.asarray(np.ones((2, 4, 4, 1), np.float32))
    np.testing.assert_array_equal(
        xpcnn.to_numpy(deepcopy(with_hooks(model, Hooks()))(x)), xpcnn.to_numpy(with_hooks(model, Hooks())(x))
    )


def test_running_statistics_are_the_network_s_own():
    model = network()
    before = model.state_dict()["1.running_mean"]
    with_hooks(model, Hooks()).forward(xpcnn.asarray(np.ones((2, 4, 4, 1), np.float32)))
    assert not np.array_equal(xpcnn.to_numpy(model.state_dict()["1.running_mean"]), xpcnn.to_numpy(before))


def test_gradients_of_the_input_that_nobody_needs_are_not_made():
    class Asked(Hooks):
        def backward(self, name, layer, dy, cache, *, input_grad):
            asked[name] = input_grad
            return super().backward(name, layer, dy, cache, input_grad=input_grad)

    asked = {}
    model = with_hooks(network(), Asked())
    y, cache = model.forward(xpcnn.asarray(np.ones((2, 4, 4, 1), np.float32)))
    dx, _ = model.backward(y, cache, input_grad=False)
    assert dx is None
    assert asked["0"] is False
    assert asked["1"] is True


class Pair(Layer):
    """A layer with another one inside, which is no container."""

    def __init__(self):
        self.inner = Linear(2, 2, rng=0)

    def children(self):
        return {"inner": self.inner}

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dy, cache, *, input_grad=True):
        dx, grads = self.inner.backward(dy, cache, input_grad=input_grad)
        return dx, {f"inner.{key}": gradient for key, gradient in grads.items()}


def test_a_watched_network_is_described_as_the_network_is():
    model = network()
    other = with_hooks(model, Hooks())
    assert repr(other) == repr(model)
    tables = [each.summary((4, 4, 1)).splitlines() for each in (other, model)]
    sizes = [[line.split()[-4:] for line in table] for table in tables]
    assert sizes[0] == sizes[1]


def test_layers_within_layers_keep_their_names():
    model = Sequential(Pair(), ReLU())
    other = with_hooks(model, Hooks())
    assert [*other.parameters()] == [*model.parameters()] == ["0.inner.weight", "0.inner.bias"]


@pytest.mark.parametrize("make", [lambda: with_hooks(None, Hooks()), lambda: eval_mode("model.safetensors")])
def test_what_is_no_network_is_refused(make):
    with pytest.raises(OptionError, match=r"(with_hooks|eval_mode): expected a network, got (NoneType|str)"):
        make()


def test_every_join_of_a_graph_runs_through_hooks():
    class Names(nn.Hooks):
        def __init__(self):
            self.names = []

        def infer(self, name, layer, x):
            self.names.append(name)
            return layer(x)

        def forward(self, name, layer, x):
            self.names.append(name)
            return layer.forward(x)

    joins = {
        "a": (nn.ReLU(), "x"),
        "c": (nn.Concat(), "a", "x"),
        "s": (nn.Add(), "a", "x"),
        "y": (nn.Concat(), "c", "s"),
    }
    hooks, x = Names(), asarray(np.ones((2, 3)))
    watched = nn.with_hooks(nn.Graph(joins), hooks)
    watched(x)
    assert hooks.names == ["a", "c", "s", "y"]
    y, cache = watched.forward(x)
    assert hooks.names == 2 * ["a", "c", "s", "y"]
    dx, _ = watched.backward(y, cache)
    assert to_numpy(dx).tolist() == [[6.0] * 3] * 2
