"""Compiled loops that treat each number by itself, losses, and steps: the reference's numbers, everywhere.

`test_compiled.py` tries them on several threads, and without being compiled.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from xpcnn import nn, optim, use_implementation
from xpcnn.errors import DataError, NonFiniteError
from xpcnn.kernels.compiled import cross_entropy, elementary, prelu, runs, steps
from xpcnn.kernels.compiled.loop import In1, Out1, loop_with
from xpcnn.ops import dispatch
from xpcnn.ops.implementations import ACTIVATIONS

from .cases import DTYPES, assert_independent_of_threads, assert_same, orders
from .test_compiled import compare, needs_numba, own, results

pytestmark = [pytest.mark.usefixtures("any_batch"), needs_numba]
OPTIONS = {
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": 0}],
    "elu": [{}, {"alpha": 0.3}],
    "celu": [{}, {"alpha": 0.3}],
    "clip": [{}, {"low": -1.0, "high": 2.0}, {"low": 0}],
    "hard_sigmoid": [{}, {"alpha": 0.2, "beta": 0.4}],
}
SPECIAL = [
    *(math.nan, math.inf, -math.inf, 0.0, 1e-30, -1e-30, 3, -3, 6, 5.9, 17, -17, 20, 40, -40, 87, -87),
    *(89, -89, 103, -103, 710, -710, 746, -746, 1e4, -1e4, 1e30, -1e30),
]


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("op", sorted({"relu", *ACTIVATIONS} - {"tanh"}))
def test_activations(rng, monkeypatch, op, dtype):
    monkeypatch.setattr(runs, "BLOCK", 50)
    x = 4 * rng.normal(size=(9, 4, 5, 3)).astype(dtype)
    special = np.array(SPECIAL, dtype).reshape(-1, 1)
    reference = dispatch.implementations(op)[-1]
    for options in OPTIONS.get(op, [{}]):
        compare(op, [x], options, rng)
        with np.errstate(all="ignore"):
            expected = results(reference, [special], options, np.ones_like(special))
        for actual, wanted in zip(results(own(op), [special], options, np.ones_like(special)), expected, strict=True):
            for a, b in zip(actual.ravel(), wanted.ravel(), strict=True):
                np.testing.assert_allclose(a, b, rtol=50 * np.finfo(dtype).eps, atol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_prelu(rng, monkeypatch, dtype):
    monkeypatch.setattr(prelu, "PIECE", 60)
    slopes = rng.normal(size=3).astype(dtype)
    for shape in ((9, 4, 5, 3), (9, 3)):
        for slope in (slopes, slopes[:1], slopes[::-1]):
            compare("prelu", [rng.normal(size=shape).astype(dtype), slope], {}, rng)
    y, cache = own("prelu").forward(rng.normal(size=(9, 3)).astype(dtype), slopes)
    assert own("prelu").backward(y, cache, input_grad=False)[0] is None


def test_activations_refuse(rng):
    x = rng.normal(size=(9, 4)).astype("f4")
    assert own("leaky_relu").refuses(x, negative_slope=-0.1) == "y > 0 does not say whether x > 0"
    assert own("leaky_relu").refuses(x, negative_slope=math.nan) == "negative_slope is nan"
    assert own("elu").refuses(x, alpha=-1.0) == "alpha is -1.0"
    assert own("clip").refuses(x, low="0") == "low is '0'"


def numbers(x: In1, first: int, last: int, y: Out1) -> None:
    x, y = x[first:last], y[first:last]
    for k in range(len(x)):
        y[k] = formula(x[k])  # noqa: F821


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "low", "high"), [("exp", -87, 88), ("expm1", -100, 0), ("tanh", -20, 20), ("log1p", 0, 1)]
)
def test_elementary_functions_are_right_to_three_units_in_the_last_place(dtype, name, low, high):
    function = getattr(elementary, name)
    each = loop_with(numbers, f"test_{name}_{dtype}", formula=function)
    x = np.linspace(low, high, 100_001).astype(dtype)
    x = np.concatenate([x, (low or high) * 2.0 ** -np.arange(60)]).astype(dtype)
    y = np.empty_like(x)
    each(x, 0, len(x), y)
    exact = getattr(np, name)(x.astype(np.longdouble))
    error = np.abs(y - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= 3
    alone = [float(function(number)) for number in x[::5000]]  # in Python
    np.testing.assert_allclose(alone, exact[::5000].astype(float), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["add", "maximum", "minimum"])
def test_joins(rng, monkeypatch, op, dtype):
    monkeypatch.setattr(runs, "BLOCK", 50)
    a, b = (np.round(rng.normal(size=(9, 4, 5, 3)), 1).astype(dtype) for _ in range(2))  # equal ones, too
    a[0, 0, 0], b[0, 0, 1], b[1], a[1, 0, 0] = (np.nan, np.inf, -np.inf), np.nan, a[1], np.inf
    if op == "add":
        return compare(op, [a, b], {}, rng)
    reference, dy = dispatch.implementations(op)[-1], rng.normal(size=a.shape).astype(dtype)
    with np.errstate(invalid="ignore"):
        expected = results(reference, [(a, b)], {}, dy)
    for name, each in orders(a).items():
        assert own(op).refuses((each, b)) is None
        for actual, wanted in zip(results(own(op), [(each, b)], {}, orders(dy)[name]), expected, strict=True):
            assert_same(actual, wanted)
    assert own(op).refuses((a, b, b)) == own(op).refuses(a) == "not two arrays"
    assert own(op).refuses((a, b[:1])) == "arrays of several shapes"
    return None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 5), (33, 20), (4, 3, 2, 7)], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [(), ("weight",), ("item_weight",), ("weight", "item_weight", "ignore_index")])
def test_cross_entropy(rng, monkeypatch, dtype, shape, smoothing, weighted):
    monkeypatch.setattr(cross_entropy, "BLOCK", 40)
    all_options = {"weight": rng.random(shape[-1]).astype(dtype), "item_weight": rng.random(shape[0])}
    all_options["weight"][1], all_options["item_weight"][2] = 0, 0
    labels = rng.integers(0, shape[-1], shape[:-1]).astype("u1")
    if "ignore_index" in weighted:
        labels.ravel()[::3], all_options["ignore_index"] = 255, 255
    options = {name: all_options[name] for name in weighted} | {"label_smoothing": smoothing}
    y = (9 * rng.normal(size=shape)).astype(dtype)
    reference = dispatch.implementations("cross_entropy")[-1]
    for reduction in ("mean", "sum"):
        expected = results(reference, (y, labels), options | {"reduction": reduction}, None)
        for each in orders(y).values():
            found = results(own("cross_entropy"), (each, labels), options | {"reduction": reduction}, None)
            for actual, wanted in zip(found, expected, strict=True):
                assert_same(actual, wanted)
    if not smoothing:
        y = y.copy()
        y[0, ..., 0], y[1, ..., 1], y[2] = -np.inf, np.nan, -np.inf
        with np.errstate(invalid="ignore"):
            expected = results(reference, (y, labels), options, None)
        for actual, wanted in zip(results(own("cross_entropy"), (y, labels), options, None), expected, strict=True):
            assert_same(actual, wanted)


def test_cross_entropy_refuses(rng):
    y, labels = rng.normal(size=(9, 5)).astype("f4"), np.zeros(9, int)
    assert own("cross_entropy").refuses(y, y) == "targets that are probabilities"
    assert own("cross_entropy").refuses(y, labels.tolist()) == "the arrays are not NumPy's"
    with pytest.raises(DataError, match=r"labels 0 … 4, got 0 … 5"):
        own("cross_entropy").forward(y, labels + 5 * (np.arange(9) == 3))
    assert np.isnan(own("cross_entropy").forward(y, labels, ignore_index=0)[0])


OPTIMIZERS = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p),
}


def trained(make, dtype, implementation):
    rng = np.random.default_rng(3)
    p = {name: rng.normal(size=shape).astype(dtype) for name, shape in (("w", (40, 7)), ("b", (7,)), ("s", (1, 1)))}
    optimizer = make(p)
    with use_implementation(implementation):
        for _ in range(3):
            gradients = {name: rng.normal(size=each.shape).astype(dtype) for name, each in p.items()}
            optimizer.step({name: np.array(each, order="F") for name, each in gradients.items()})
    return [*p.values(), *optimizer.state_dict().values()]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_steps(monkeypatch, make, dtype):
    monkeypatch.setattr(steps, "BLOCK", 50)
    done, step = [], steps.step
    monkeypatch.setattr(steps, "step", lambda *given: done.append(step(*given)) or done[-1])
    for actual, wanted in zip(trained(make, dtype, "numba"), trained(make, dtype, "reference"), strict=True):
        assert_same(np.atleast_1d(actual), np.atleast_1d(wanted))
    assert done == [True] * 3
    assert_independent_of_threads(lambda: trained(make, dtype, "numba"), monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("xpcnn.kernels.compiled.loop.Loop.__call__", lambda self, *given: self.function(*given))
        for actual, wanted in zip(trained(make, dtype, "numba"), trained(make, dtype, "reference"), strict=True):
            assert_same(np.atleast_1d(actual), np.atleast_1d(wanted))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_that_overflows_changes_nothing(make):
    p = {"w": np.ones((40, 7), "f4")}
    optimizer = make(p)
    optimizer.lr = 1e38
    before = [each.copy() for each in (p["w"], *optimizer.state_dict().values())]
    with use_implementation("numba"), pytest.raises(NonFiniteError, match="nothing has been changed"):
        optimizer.step({"w": np.full((40, 7), 1e30, "f4")})
    for each, kept in zip((p["w"], *optimizer.state_dict().values()), before, strict=True):
        np.testing.assert_array_equal(each, kept)


def test_steps_refuse():
    p = np.zeros((4, 4), "f4")
    assert steps.refuses("p -= g > 0 ? g : 0;", [(p, p, p)]) == "a text that is no Python, or calls more than sqrt"
    assert steps.refuses("p -= fabs(g) * v;", [(p, p, p)]) is not None
    assert steps.refuses("p -= g;", [(p, p)]) == "without slots NumPy is as fast"
    assert steps.refuses("p -= g;", [(p, p, p), (p, p, p.astype("f8"))]) == "arrays of several kinds"
    assert (
        steps.refuses("p -= g;", [(p, p.T, p), (p.T, p, p)]) == "arrays that are not contiguous, aligned and writable"
    )
    assert steps.refuses("p -= g;", [(p, p.T, p)]) is None


def test_a_network_trains_on_them(rng):
    network = nn.Sequential(nn.Linear(20, 30, rng=0), nn.SiLU(), nn.Linear(30, 5, rng=1))
    x, labels = rng.normal(size=(16, 20)).astype("f4"), rng.integers(0, 5, 16)
    with use_implementation("numba"):
        optimizer, losses = optim.Adam(network.parameters(), lr=0.01), []
        criterion = nn.CrossEntropyLoss()
        for _ in range(20):
            y, cache = network.forward(x)
            loss, loss_cache = criterion.forward(y, labels)
            losses.append(float(loss))
            optimizer.step(network.backward(criterion.backward(loss_cache), cache)[1])
    assert losses[-1] < losses[0] / 2
