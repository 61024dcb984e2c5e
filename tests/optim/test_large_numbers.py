"""Optimizers and numbers whose squares overflow: right where the state holds them; else nothing is written, or on a
device NaN, which is seen."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.backend import to_numpy
from xpcnn.errors import NonFiniteError
from xpcnn.optim.adam import Adam, AdamW
from xpcnn.optim.adaptive import Adadelta, AdaGrad, RMSProp
from xpcnn.optim.optimizer import Optimizer
from xpcnn.optim.sgd import SGD

from .test_optimizers import CASES, IDS, gradients, start, writable


@pytest.mark.parametrize(
    ("make", "largest"),
    [(Adam, 1e20), (AdamW, 1e20), (RMSProp, 1e20), (lambda p: RMSProp(p, centered=True), 1e20),
     (Adadelta, 4e19), (AdaGrad, 1.2e19)],
)  # fmt: skip
def test_a_large_gradient_whose_average_of_squares_fits(xp, make, largest):
    """float32 as float64, for what overflows as g² and does not where it is averaged; and it moves on afterwards."""
    paths = []
    for dtype in ("float32", "float64"):
        p = writable(xp, np.ones(2), dtype)
        optimizer, path = make({"p": p}), []
        for g in (largest, 1.0, -2.0, largest, 1.0):
            optimizer.step({"p": xp.array([g, -g], dtype)})
            path.append(to_numpy(p).copy())
        assert all(np.isfinite(to_numpy(array)).all() for array in optimizer.state_dict().values())
        paths.append(np.diff(path, axis=0, prepend=1))
    assert np.abs(paths[1]).max() > 1e-4
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-3, atol=1e-6)


EVERY = [(ours, options) for ours, _, options in CASES]


@pytest.mark.parametrize(("ours", "options"), EVERY, ids=IDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_refused(rng, ours, options, bad):
    """At the first step and later ones, and nothing has been written then."""
    params = {name: host.astype("float32") for name, host in start(rng).items()}
    optimizer = ours(params, **options)
    for number, grads in enumerate(gradients(rng, 3)):
        grads = {name: g.astype("float32") for name, g in grads.items()}
        before = {name: array.copy() for name, array in (params | optimizer.state_dict()).items()}
        spoilt = grads["1.weight"].copy()
        spoilt[1, 2] = bad
        with pytest.raises(NonFiniteError, match="step: expected finite gradients, got NaN or infinity in that"):
            optimizer.step(grads | {"1.weight": spoilt})
        assert optimizer.steps == number
        for name, array in (params | optimizer.state_dict()).items():
            np.testing.assert_array_equal(array, before[name])
        optimizer.step(grads)


@pytest.mark.parametrize(
    ("make", "g", "where"),
    [
        (Adam, 1e30, "square_mean.p"),
        (AdamW, 1e30, "square_mean.p"),
        (AdaGrad, 1e20, "sum.p"),
        (RMSProp, 1e30, "square_mean.p"),
        (lambda p: RMSProp(p, centered=True), 1e30, "variance.p"),
        (Adadelta, 1e30, "square_mean.p"),
        (lambda p: Adam(p, eps=0.0), 0.0, "p"),  # 0/0
        (lambda p: SGD(p, lr=1e30), 1e20, "p"),
        (lambda p: SGD(p, lr=1.0, momentum=0.9), 3e38, "p, velocity.p"),
    ],
)
def test_what_would_not_be_finite_is_not_written(make, g, where):
    """In float32, after ordinary steps: the parameters and the state are as they were, and the error says what."""
    p = np.full(2, -1.0, "float32")
    optimizer = make({"p": p})
    one = np.full(2, 1e-3, "float32")
    if optimizer.lr < 1 and getattr(optimizer, "eps", 1):
        optimizer.step({"p": one})
    if where.startswith("p, "):
        optimizer.step({"p": np.full(2, g, "float32")})
    before = {name: array.copy() for name, array in ({"p": p} | optimizer.state_dict()).items()}
    steps = optimizer.steps
    with pytest.raises(NonFiniteError, match=f"numbers to write, got NaN or infinity in {where}.*; nothing has been"):
        optimizer.step({"p": np.full(2, g, "float32")})
    assert optimizer.steps == steps
    for name, array in ({"p": p} | optimizer.state_dict()).items():
        np.testing.assert_array_equal(array, before[name])
    optimizer.lr = 1e-3
    optimizer.step({"p": one})
    assert (p != before["p"]).all()


def test_numbers_that_are_only_large_pass():
    """Sums of squares that overflow are no infinity in what is written."""
    p = np.full(4, 1e30, "float32")
    SGD({"p": p}, lr=1.0).step({"p": np.full(4, -2e38, "float32")})
    np.testing.assert_array_equal(p, np.float32(2e38))


def test_what_has_been_written_is_said():
    """By a rule that divides by 0 after ordinary steps, when no copy was made."""

    class Divides(Optimizer):
        def update(self, p, g):
            p -= g / g

    p = np.ones(2)
    optimizer = Divides({"p": p}, lr=0.1)
    optimizer.step({"p": np.ones(2)})
    with pytest.raises(NonFiniteError, match=r"Divides step: .* got NaN or infinity in p; which has been written"):
        optimizer.step({"p": np.zeros(2)})


@pytest.mark.parametrize("make", [Adam, AdamW, AdaGrad, RMSProp, Adadelta])
def test_on_a_device_what_overflows_is_seen(xp, make):
    """There, nothing is read back: the parameter is NaN, and so is the next loss. It would stand still for good."""
    if xp.backend == "numpy":
        pytest.skip("see above")
    p = writable(xp, [1.0, 1.0], "float32")
    with np.errstate(over="ignore", invalid="ignore"):  # array-api-strict is made of NumPy
        make({"p": p}).step({"p": xp.array([1e38, 1.0], "float32")})
    np.testing.assert_array_equal(np.isnan(to_numpy(p)), [True, False])


def test_a_state_that_was_loaded_is_looked_at_anew():
    """Numbers were small before: what a step makes of large ones is taken back all the same."""
    p = np.ones(2, "float32")
    optimizer = SGD({"p": p}, lr=0.5, momentum=0.9)
    optimizer.step({"p": np.ones(2, "float32")})
    state = {name: np.full_like(array, 3e38) for name, array in optimizer.state_dict().items()}
    p[...] = -3e38
    optimizer.load_state_dict(state, steps=1)
    with pytest.raises(NonFiniteError, match="nothing has been changed"):
        optimizer.step({"p": np.ones(2, "float32")})
    assert (p == np.float32(-3e38)).all()
    assert all((array == state[name]).all() for name, array in optimizer.state_dict().items())
