"""The gradient check itself: it accepts right gradients, and no wrong ones."""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import DTypeError, GradientError, OptionError
from xpcnn.gradient_check import Report, Row, check_pair, gradcheck
from xpcnn.nn import (
    BatchNorm1d,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    LayerNorm,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
)
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer(xp, name):
    layer, x = EXAMPLES[name]()
    x = xp.array(x)
    report = gradcheck(layer, x)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", *layer.parameters()}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(xp, name):
    criterion, y, target = LOSSES[name]()
    target = xp.array(target)
    report = check_pair(
        lambda y: criterion.forward(y, target), lambda dy, cache: (criterion.backward(cache) * dy,), {"y": xp.array(y)}
    )
    assert report.passed, report


def test_every_layer_has_an_example():
    layers = {
        name
        for name in xpcnn.nn.__all__
        if isinstance(each := getattr(xpcnn.nn, name), type) and issubclass(each, xpcnn.nn.Layer)
    }
    assert layers - {"Layer", "OpLayer", "Container"} == EXAMPLES.keys()


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
    with pytest.raises(GradientError, match="differentiable in x, got one at a kink"):
        gradcheck(ReLU(), np.zeros((2, 3)))


def test_wrong_shapes_and_names_are_told(rng):
    with pytest.raises(GradientError, match=r"the gradient of x in its shape \(2, 3\), got \(3, 2\)"):
        check_pair(lambda x: (x, None), lambda dy, cache: [dy.T], {"x": rng.normal(size=(2, 3))})

    class Forgetful(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache)
            return dx, {"weight": grads["weight"]}

    with pytest.raises(GradientError, match=r"Forgetful.*gradients for \['bias', 'weight'\], got \['weight'\]"):
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


def test_mistakes_that_initial_values_hide_are_seen(rng):
    """A scale of 1 missing in dx, a bias of 0 missing in a product: the check changes the parameters first."""

    class ForgetsGamma(BatchNorm1d):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache)
            return dx / self.weight, grads

    assert not gradcheck(ForgetsGamma(3), rng.normal(size=(6, 3))).passed


def test_backward_without_dx_is_checked_too(rng):
    class NoKeyword(Linear):
        def backward(self, dy, cache):
            return super().backward(dy, cache)

    class OtherGradients(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache)
            return dx, grads if input_grad else {name: 2 * grad for name, grad in grads.items()}

    with pytest.raises(TypeError, match="input_grad"):
        gradcheck(NoKeyword(3, 2), rng.normal(size=(2, 3)))
    with pytest.raises(GradientError, match="the same gradient of weight without dx"):
        gradcheck(OtherGradients(3, 2), rng.normal(size=(2, 3)))


def test_what_forward_and_backward_must_return(rng):
    class NoCache(ReLU):
        def forward(self, x):
            return super().forward(x)[0]

    class NoGradients(ReLU):
        def backward(self, dy, cache, *, input_grad=True):
            return dy

    with pytest.raises(GradientError, match=r"NoCache forward: expected to return \(y, cache\), got ndarray"):
        gradcheck(NoCache(), rng.normal(size=(2, 3)))
    with pytest.raises(GradientError, match=r"NoGradients backward: expected to return \(dx, "):
        gradcheck(NoGradients(), rng.normal(size=(2, 3)))
    with pytest.raises(OptionError, match=r"layer 0: expected NoCache.forward to return \(y, cache\), got ndarray"):
        Sequential(NoCache()).forward(rng.normal(size=(2, 3)))


def test_a_small_gradient_beside_a_large_loss_is_not_overlooked(rng):
    def forward(x, b):
        return 1e6 * np.tanh(x) + 1e-3 * b, x

    report = check_pair(
        forward,
        lambda dy, x: [dy * 1e6 * (1 - np.tanh(x) ** 2), np.zeros(1)],
        {"x": rng.normal(size=(1,)), "b": rng.normal(size=(1,))},
    )
    assert {row.argument for row in report.rows if not row.passed} == {"b"}


def test_kinks_close_by_do_not_convict_a_right_gradient():
    """A deep network has kinks within 1e-5 of nearly every point; the check then takes smaller steps."""
    net = Sequential(*list(xpcnn.models.vgg_small((8, 8, 1), 3, rng=2).children().values())[:14])
    x = np.random.default_rng(2).normal(size=(2, 8, 8, 1))
    report = gradcheck(net, x, directions=1)
    assert report.passed, report


@pytest.mark.parametrize("layer", [nn.ELU(), nn.CELU(), nn.Softsign()], ids=repr)
def test_a_kink_of_the_derivative_close_by_does_not_convict_a_right_gradient(layer):
    """Nor does a function that is nearly analytic there; a gradient that is wrong by 1e-5 is found all the same.

    In a direction along which y hardly changes, the kink may be named.
    """
    x = np.array([[1e-6, -3e-5, -6e-8, 2e-6]])
    for part, rng in itertools.product((x, x[:, :1]), range(30)):
        with suppress(GradientError):
            assert gradcheck(layer, part, rng=rng).passed
    wrong = check_pair(layer.forward, lambda dy, cache: [layer.backward(dy * 1.00001, cache)[0]], {"x": x})
    assert not wrong.passed


@pytest.mark.parametrize("seed", range(20))
def test_rounding_does_not_convict_a_right_gradient(seed):
    """Large numbers with a small result: a loss of 1e-9 from logits of 17, and nearly equal numbers, normalised."""
    rng = np.random.default_rng(seed)
    criterion, target = CrossEntropyLoss(), np.array([0, 1])
    y = np.array([[17.0, -4.0], [-5.0, 14.0]]) + rng.normal(size=(2, 2))
    report = check_pair(
        lambda y: criterion.forward(y, target),
        lambda dy, cache: [criterion.backward(cache) * dy],
        {"y": y},
        directions=1,
        rng=rng,
    )
    assert report.passed, report
    report = gradcheck(LayerNorm(2), 0.5 + 0.02 * rng.normal(size=(2, 3, 3, 2)), directions=1, rng=rng)
    assert report.passed, report


def test_large_numbers_do_not_convict_a_right_gradient():
    """Their sum is small, but its rounding error is not."""
    report = gradcheck(nn.Identity(), 1e6 * np.random.default_rng(7).normal(size=(5, 4)))
    assert report.passed, report


@pytest.mark.parametrize("layer", [nn.GlobalMaxPool2d(), nn.Max((1, 2)), nn.L2Normalize()], ids=repr)
def test_a_kink_within_the_smallest_step_is_named(layer):
    x = 1e-6 * np.random.default_rng(7).normal(size=(2, 6, 5, 4))
    with pytest.raises(GradientError, match="at a kink"):
        gradcheck(layer, x)


def test_what_cannot_be_checked():
    with pytest.raises(OptionError, match="directions"):
        gradcheck(Linear(3, 2), np.ones((2, 3)), directions=0)
    with pytest.raises(OptionError, match="a layer, got function"):
        gradcheck(lambda x: x, np.ones((2, 3)))
    with pytest.raises(OptionError, match=r"got MSELoss; xpcnn.gradient_check.check_pair takes .* a loss's"):
        gradcheck(MSELoss(), np.ones((2, 3)))
    with pytest.raises(DTypeError, match=r"asarray: expected numbers in rows of one length"):
        gradcheck(Linear(3, 2), (np.ones((2, 3)), np.ones((2, 4))))

    class NoInputGradient(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            return None, super().backward(dy, cache)[1]

    with pytest.raises(GradientError, match="dx, as input_grad is True"):
        gradcheck(NoInputGradient(3, 2), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("witness", "error"), [("central difference", 1e-4), ("complex step", 1e-9), ("adjoint identity", 1e-9)]
)
def test_small_errors_are_seen(rng, witness, error):
    """Each witness's tolerance is as tight as it can be: (1) sees 1e-4 of the gradient, (2) and (3) see 1e-9."""
    x, w = rng.normal(size=(5, 8)), rng.normal(size=(8, 8))
    report = check_pair(
        lambda x, w: (x @ w.T, (x, w)),
        lambda dy, cache: [dy @ cache[1], dy.T @ cache[0] * (1 + error)],
        {"x": x, "w": w},
    )
    rows = {row.witness: row for row in report.rows if row.argument == "w"}
    assert not rows[witness].passed
    assert rows[witness].error == pytest.approx(error, rel=0.1)


def test_the_step_is_chosen_without_a_look_at_the_claim():
    """b·|b| is neither analytic nor linear: only central differences see that its gradient is missing. Smaller
    steps, taken because they disagree with the claim, would hide it in the rounding of the large loss next to it."""
    report = check_pair(
        lambda x, b: (1e4 * np.tanh(x) + 2.5e-4 * b * np.abs(b), x),
        lambda dy, x: [dy * 1e4 * (1 - np.tanh(x) ** 2), np.zeros(1)],
        {"x": np.array([0.7]), "b": np.array([1.0])},
    )
    assert [row.witness for row in report.rows if row.argument == "b"] == ["central difference"]
    assert {row.argument for row in report.rows if not row.passed} == {"b"}


def test_a_report_as_it_is_printed():
    rows = (Row("x", "complex step", 1e-15, 1e-12), Row("weight", "central difference", 0.5, 1e-6))
    assert str(Report("Linear", rows)).splitlines() == [
        "Linear: WRONG GRADIENTS",
        "  x                complex step          1.0e-15  ok",
        "  weight           central difference    5.0e-01  FAILED",
    ]
    assert str(Report("Linear", rows[:1])).splitlines()[0] == "Linear: gradients agree"
    assert not Report("nothing", ()).passed
