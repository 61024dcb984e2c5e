"""The gradient check itself: it believes right gradients, and no wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import DTypeError, OptionError
from xpcnn.gradcheck import check_pair, gradcheck
from xpcnn.nn import BatchNorm1d, Conv2d, Dropout, Linear, ReLU, Sequential, Sigmoid
from xpcnn.nn.examples import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer(xp, name):
    layer, x = EXAMPLES[name]()
    x = xp.array(x)
    report = gradcheck(layer, x)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", *layer.parameters()}


def test_every_layer_has_an_example():
    layers = {
        name
        for name in xpcnn.nn.__all__
        if isinstance(each := getattr(xpcnn.nn, name), type) and issubclass(each, xpcnn.nn.Layer)
    }
    assert layers - {"Layer", "Container"} == EXAMPLES.keys()


@pytest.mark.parametrize("witness", ["central difference", "complex step", "adjoint identity"])
@pytest.mark.parametrize("mistake", ["sign", "factor", "one element", "axis", "nan"])
def test_each_witness_alone_convicts(xp, rng, witness, mistake):
    """y = x wᵀ with a wrong dw: every witness sees it, also in one element of many."""
    _, x = xp.normal(rng, 5, 8)
    _, w = xp.normal(rng, 8, 8)
    spoil = np.ones((8, 8))
    spoil[3, 2] = 0.5 if mistake == "one element" else 1.0

    def backward(dy, cache):
        right = dy.T @ cache
        wrong = {"sign": -right, "factor": right * 2, "axis": right.T, "nan": right * float("nan")}
        return dy @ w, wrong.get(mistake, right * xp.array(spoil))

    report = check_pair(lambda x, w: (x @ w.T, x), backward, {"x": x, "w": w})
    rows = {row.witness: row for row in report.rows if row.argument == "w"}
    assert not rows[witness].passed
    assert all(row.passed for row in report.rows if row.argument == "x")
    assert "WRONG GRADIENTS" in str(report)


def test_witnesses_speak_only_where_they_can(rng):
    def spoken(layer, x):
        return {row.witness for row in gradcheck(layer, x).rows if row.argument == "x"}

    x = rng.normal(size=(3, 4))
    assert spoken(Linear(4, 2, rng=0), x) == {"central difference", "complex step", "adjoint identity"}
    assert "adjoint identity" not in spoken(Sigmoid(), x)
    assert "complex step" in spoken(Sigmoid(), x)
    absolute = check_pair(lambda x: (np.abs(x), np.sign(x)), lambda dy, sign: [dy * sign], {"x": x})
    assert absolute.passed
    assert "complex step" not in {row.witness for row in absolute.rows}


def test_a_kink_is_named():
    with pytest.raises(OptionError, match="differentiable in x, got one at a kink"):
        gradcheck(ReLU(), np.zeros((2, 3)))


def test_wrong_shapes_and_names_are_told(rng):
    with pytest.raises(OptionError, match=r"the gradient of x in its shape \(2, 3\), got \(3, 2\)"):
        check_pair(lambda x: (x, None), lambda dy, cache: [dy.T], {"x": rng.normal(size=(2, 3))})

    class Forgetful(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache)
            return dx, {"weight": grads["weight"]}

    with pytest.raises(OptionError, match=r"Forgetful.*gradients for \['bias', 'weight'\], got \['weight'\]"):
        gradcheck(Forgetful(3, 2), rng.normal(size=(2, 3)))
    with pytest.raises(DTypeError):
        gradcheck(Linear(3, 2), [[1, 2, 3]])


def test_the_layer_is_as_it_was_afterwards(xp, rng):
    layer = Sequential(Conv2d(1, 2, 3, rng=0), xpcnn.nn.Flatten(), BatchNorm1d(8), Dropout(0.5, rng=3))
    before = dict(layer.state_dict())
    copies = {name: xpcnn.to_numpy(array).copy() for name, array in before.items()}
    state = layer[3].rng.bit_generator.state
    assert gradcheck(layer, xp.normal(rng, 3, 4, 4, 1)[1]).passed
    after = layer.state_dict()
    assert all(after[name] is array for name, array in before.items())
    assert all((xpcnn.to_numpy(after[name]) == copies[name]).all() for name in before)
    assert layer[3].rng.bit_generator.state == state
