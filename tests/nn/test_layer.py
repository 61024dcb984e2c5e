"""Every layer has names, state and conversion; the contract holds for a layer of one's own, too."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import FormatError, OptionError
from xpcnn.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, Linear, Sequential

from ..arrays import assert_close


class Scale(Layer):
    """One that does not know how to save the work without dx: its container leaves dx out."""

    parameter_names = ("factor",)

    def __init__(self):
        self.factor = xpcnn.asarray([2.0])

    def forward(self, x):
        return x * self.factor, x

    def backward(self, dy, cache, *, input_grad=True):
        xp = xpcnn.backend.array_namespace(dy)
        return dy * self.factor, {"factor": xp.reshape(xp.sum(dy * cache), (1,))}


class Block(Layer):
    """A composite that is no container: children in attributes and lists are found."""

    def __init__(self):
        self.first = Linear(3, 3, rng=0)
        self.rest = [Scale(), Scale()]

    def forward(self, x):
        caches = []
        for layer in (self.first, *self.rest):
            x, cache = layer.forward(x)
            caches.append(cache)
        return x, caches

    def backward(self, dy, cache, *, input_grad=True):
        grads = {}
        names = ["first", "rest.0", "rest.1"]
        for name, layer, own in reversed(list(zip(names, (self.first, *self.rest), cache, strict=True))):
            dy, each = layer.backward(dy, own)
            grads |= {f"{name}.{key}": value for key, value in each.items()}
        return dy, grads


def test_a_layer_of_ones_own(xp, rng):
    net = Sequential(Block(), Linear(3, 2, rng=1))
    assert list(net.parameters()) == [
        "0.first.weight", "0.first.bias", "0.rest.0.factor", "0.rest.1.factor", "1.weight", "1.bias",
    ]  # fmt: skip
    assert xpcnn.gradcheck(net, xp.normal(rng, 4, 3)[1]).passed
    assert net.output_shape((3,)) == (2,)


def test_state_dict_holds_buffers_and_loads_from_any_backend(xp):
    net, other = (Sequential(Conv2d(2, 3, 3, rng=seed), BatchNorm2d(3)) for seed in (0, 1))
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    state = {name: xpcnn.to_numpy(array) + 1 for name, array in net.state_dict().items()}
    held = other.state_dict()
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        assert array is held[name]  # copied into, not replaced: an optimizer keeps its arrays
        assert_close(array, state[name])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("bias"), r"missing \['bias'\]"),
        (lambda s: s.update(extra=s["bias"]), r"unknown \['extra'\]"),
        (lambda s: s.update(bias=s["bias"][:1]), r"bias \(3,\), got \(1,\)"),
    ],
)
def test_loading_what_does_not_fit_changes_nothing(change, text):
    layer = Linear(2, 3, rng=0)
    state = {name: array + 1 for name, array in layer.state_dict().items()}
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    change(state)
    with pytest.raises(FormatError, match=text):
        layer.load_state_dict(state)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict_passes_over_names():
    layer = Linear(2, 3, rng=0)
    held = layer.bias
    layer.load_state_dict({"bias": np.ones(3), "extra": np.ones(1)}, strict=False)
    np.testing.assert_array_equal(layer.bias, np.ones(3, "float32"))
    assert layer.bias is held


@pytest.mark.parametrize("integer", [np.uint8, np.int16, np.int64])
def test_numpy_integers_as_sizes_do_not_overflow(integer):
    """200 · 3 · 3 inputs to each output: more than a uint8 holds."""
    cases = [
        lambda n: Conv2d(n(200), n(8), n(3), rng=0),
        lambda n: ConvTranspose2d(n(200), n(8), n(3), rng=0),
        lambda n: Linear(n(200), n(100), weight_init="glorot_normal", rng=0),
    ]
    for make in cases:
        layer = make(integer)
        np.testing.assert_array_equal(layer.weight, make(int).weight)
        assert all(type(value) is not integer for value in layer.config().values())


def test_astype_and_to_backend(xp):
    with xpcnn.use_backend("numpy"):
        layer = Linear(2, 3, rng=0)
    values = layer.weight.copy()
    layer.to_backend()
    assert_close(layer.weight, values)
    layer.astype("float64")
    assert_close(layer.weight, values.astype("float64"))


def test_the_same_seed_gives_the_same_weights_on_every_backend(xp):
    with xpcnn.use_backend("numpy"):
        expected = Conv2d(3, 4, 3, rng=5).weight
    assert_close(Conv2d(3, 4, 3, rng=5).weight, expected)
    xpcnn.seed(9)
    first = xpcnn.to_numpy(Linear(4, 4).weight)
    xpcnn.seed(9)
    assert_close(Linear(4, 4).weight, first)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Conv2d(0, 4, 3), "in_channels"),
        (lambda: Conv2d(4, 4, 3, groups=3), "groups that divide 4 and 4"),
        (lambda: Conv2d(4, 4, 3, weight_init="xavier"), "he_normal"),
        (lambda: Linear(2, 2.5), "out_features"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(OptionError, match=text):
        make()
