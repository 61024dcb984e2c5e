"""Containers: composition, fan-out sums, shared layers, names, and where an error happened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import Concat, Conv2d, Dropout, Flatten, Identity, Linear, ReLU, Residual, Sequential, Tanh

from ..arrays import assert_close


def test_sequential_is_composition(xp, rng):
    first, second = Linear(4, 5, rng=0), Linear(5, 3, rng=1)
    net = Sequential(first, Tanh(), second)
    _, x = xp.normal(rng, 6, 4, dtype="float32")
    y, cache = net.forward(x)
    h, cache_1 = first.forward(x)
    a, cache_2 = Tanh().forward(h)
    y_, cache_3 = second.forward(a)
    assert_close(y, xpcnn.to_numpy(y_))
    assert_close(net(x), xpcnn.to_numpy(y_))
    dx, grads = net.backward(y, cache)
    d, own_3 = second.backward(y, cache_3)
    d, _ = Tanh().backward(d, cache_2)
    d, own_1 = first.backward(d, cache_1)
    assert_close(dx, xpcnn.to_numpy(d))
    assert list(grads) == ["2.weight", "2.bias", "0.weight", "0.bias"]
    assert_close(grads["0.weight"], xpcnn.to_numpy(own_1["weight"]))
    assert_close(grads["2.bias"], xpcnn.to_numpy(own_3["bias"]))


def test_without_input_grad_backward_ends_at_the_first_trained_layer(xp, rng):
    asked = []

    class Watched(Identity):
        def backward(self, dy, cache, *, input_grad=True):
            asked.append(input_grad)
            return super().backward(dy, cache, input_grad=input_grad)

    class WatchedLinear(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            asked.append(input_grad)
            return super().backward(dy, cache, input_grad=input_grad)

    net = Sequential(Watched(), WatchedLinear(4, 4, rng=0), Tanh(), Linear(4, 2, rng=0))
    _, x = xp.normal(rng, 6, 4, dtype="float32")
    y, cache = net.forward(x)
    dx, grads = net.backward(y, cache, input_grad=False)
    assert dx is None
    assert asked == [False]  # the linear layer's only; Watched was not asked at all
    with_dx, all_grads = net.backward(y, cache)
    assert with_dx.shape == x.shape
    assert grads.keys() == all_grads.keys()
    assert_close(grads["1.weight"], xpcnn.to_numpy(all_grads["1.weight"]))


def test_a_layer_used_twice_sums_its_gradients(xp):
    """Three uses, at different depths: each parameter is named once, and its gradient is that of all uses."""
    shared = Linear(4, 4, rng=0)
    inner = Sequential(Tanh(), shared)
    net = Sequential(shared, inner, Residual(Sequential(inner, Tanh())), Concat(shared, Identity()))
    assert list(net.parameters()) == ["0.weight", "0.bias"]
    x = xp.array(np.random.default_rng(0).normal(size=(3, 4)))
    report = gradcheck(net, x)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", "0.weight", "0.bias"}


def test_residual_and_concat_add_what_comes_back(xp, rng):
    host, x = xp.normal(rng, 3, 4)
    dy, dy_ = xp.normal(rng, 3, 4)
    plain = Residual(Identity())
    y, cache = plain.forward(x)
    assert_close(y, 2 * host)
    assert_close(plain.backward(dy_, cache)[0], 2 * dy)
    side = Concat(Identity(), Identity(), Identity())
    y, cache = side.forward(x)
    assert_close(y, np.concatenate([host] * 3, axis=-1))
    wide, wide_ = xp.normal(rng, 3, 12)
    assert_close(side.backward(wide_, cache)[0], wide[:, :4] + wide[:, 4:8] + wide[:, 8:])


def test_errors_say_in_which_layer(rng):
    net = Sequential(Conv2d(1, 4, 3, rng=0), Residual(Sequential(ReLU(), Conv2d(3, 4, 3, rng=0))))
    x = np.zeros((2, 8, 8, 1), np.float32)
    for call in (net, net.forward):
        with pytest.raises(ShapeError, match=r"^layer 1\.body\.1: Conv2d\(3→4, 3×3\): expected input \(N, H, W, 3\)"):
            call(x)


@pytest.mark.parametrize("name", ["XPCNN_NUM_THREADS", "XPCNN_IMPLEMENTATION"])
def test_a_wrong_setting_is_no_layer_s(monkeypatch, name):
    net = Sequential(Conv2d(1, 4, 3, rng=0))
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    monkeypatch.setenv(name, "x")
    for call in (net, net.forward):
        with pytest.raises(OptionError, match=f"^{name}: expected"):
            call(np.zeros((64, 28, 28, 1), np.float32))


def test_shapes_that_cannot_be_joined():
    x = np.zeros((2, 8, 8, 1), np.float32)
    with pytest.raises(ShapeError, match=r"Residual.*\(2, 6, 6, 1\).*\(2, 8, 8, 1\).*shortcut"):
        Residual(Conv2d(1, 1, 3))(x)
    with pytest.raises(ShapeError, match=r"Concat.*channels only"):
        Concat(Conv2d(1, 1, 3), Identity())(x)
    with pytest.raises(OptionError, match="layers"):
        Sequential(Linear(2, 2), np.tanh)


class Mistaken(Identity):
    def __init__(self, result):
        self.result = result

    def backward(self, dy, cache, *, input_grad=True):
        return self.result(dy)


class WithoutInputGrad(Identity):
    def backward(self, dy, cache):
        return dy, {}


class Doubled(Identity):
    """A TypeError of its own making."""

    def backward(self, dy, cache, *, input_grad=True):
        return "2" * dy, {}


@pytest.mark.parametrize("around", [Sequential, Residual, Concat])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Mistaken(lambda dy: dy),
            r"expected Mistaken\.backward to return \(dx, {parameter name: gradient}\), got ndar",
        ),
        (Mistaken(lambda dy: (dy, None)), r"expected Mistaken\.backward to return \(dx, .*, got tuple"),
        (Mistaken(lambda dy: (dy, dy)), r"expected Mistaken\.backward to return \(dx, .*, got tuple"),
        (Mistaken(lambda dy: (dy, {}, {})), r"expected Mistaken\.backward to return \(dx, .*, got tuple"),
        (Mistaken(lambda dy: (None, {})), r"expected Mistaken\.backward to return \(dx, .*, got no dx"),
        (WithoutInputGrad(), r"expected backward\(dy, cache, \*, input_grad=True\), got no argument input_grad"),
    ],
)
def test_what_a_layer_s_backward_does_wrong_is_said_with_its_name(around, layer, message):
    net = around(layer)
    y, cache = net.forward(np.ones((2, 3)))
    with pytest.raises(OptionError, match=rf"^layer (0|body): .*{message}"):
        net.backward(y, cache)


def test_a_cache_of_none_is_said_with_the_layer_s_name_and_other_errors_stay_as_they_are():
    net = Sequential(Linear(3, 2, rng=0), Tanh())
    y, cache = net.forward(np.ones((2, 3), np.float32))
    with pytest.raises(
        OptionError, match=r"^layer 0: Linear backward: expected the cache that forward ret.*, got None"
    ):
        net.backward(y, [None, cache[1]])
    wrong = Sequential(Doubled())
    y, _ = wrong.forward(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"multiply|str|ufunc"):
        wrong.backward(y, ["a cache"])


def test_empty_sequential_is_the_identity(rng):
    x = rng.normal(size=(2, 3))
    y, cache = Sequential().forward(x)
    assert y is x
    dx, grads = Sequential().backward(y, cache)
    assert dx is x
    assert grads == {}


def test_names_and_repr():
    net = Sequential(Flatten(), Sequential(Linear(2, 3), Dropout(0.5)), Linear(3, 1, bias=False))
    assert list(net.parameters()) == ["1.0.weight", "1.0.bias", "2.weight"]
    assert "Linear(in_features=3, out_features=1, bias=False)" in repr(net)
    assert len(net) == 3
    assert isinstance(net[0], Flatten)


def test_a_network_in_inference_reads_each_setting_once(monkeypatch):
    class Environment(dict):
        read: ClassVar[list[str]] = []

        def get(self, name, default=None):
            self.read.append(name)
            return super().get(name, default)

    environment = Environment(XPCNN_IMPLEMENTATION="reference")
    model, x = Sequential(Sequential(Linear(2, 3, rng=0), ReLU()), Linear(3, 2, rng=0)), xpcnn.asarray([[1.0, 2.0]])
    monkeypatch.setattr("xpcnn.settings.os", SimpleNamespace(environ=environment))
    for _ in range(2):
        environment.read.clear()
        model(x)
        assert environment.read.count("XPCNN_IMPLEMENTATION") == 1
        assert len(set(environment.read)) == len(environment.read)
    environment["XPCNN_IMPLEMENTATION"] = "no such"  # the next call sees another one
    with pytest.raises(OptionError, match="no such"):
        model(x)
