"""Plans of graphs: values that are read twice, joins, several inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nn.plans import NUMPY_AS_USUAL
from xpcnn import nn
from xpcnn.errors import OptionError

pytestmark = NUMPY_AS_USUAL


def residual(cin: int, cout: int) -> nn.Layer:
    return nn.Residual(
        nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, rng=0), nn.BatchNorm2d(cout), nn.ReLU()),
        nn.Conv2d(cin, cout, 1, rng=1),
    )


def graph() -> nn.Graph:
    """Values that are read twice, joins that broadcast, parallel branches, a residual, an output that is read again."""
    return nn.Graph(
        {
            "a": (nn.Conv2d(3, 4, 3, padding=1, rng=0), "x"),
            "r": (nn.ReLU(), "a"),
            "b": (residual(4, 4), "r"),
            "gate": (
                nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(4, 4, rng=2), nn.Sigmoid(), nn.Unflatten((1, 1, 4))),
                "b",
            ),
            "scaled": (nn.Multiply(), "b", "gate"),
            "branches": (
                nn.Concat(nn.Conv2d(4, 2, 1, rng=3), nn.MaxPool2d(3, stride=1, padding=1), nn.Identity()),
                "scaled",
            ),
            "joined": (nn.Concat(), "branches", "r", "a"),
            "least": (nn.Subtract(), "joined", "joined"),
            "more": (nn.Maximum(), "joined", "least"),
            "dropped": (nn.Dropout(0.5, rng=0), "more"),
            "y": (nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(18 * 36, 5, rng=4)), "dropped"),
        },
        outputs=["y", "r", "dropped"],
    )


def test_a_graph_with_several_outputs():
    model = graph()
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype("float32")
    plan = nn.plan(model, (6, 6, 3))
    for _ in range(2):
        for got, expected in zip(plan(x), model(x), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_an_output_that_a_layer_reads_is_not_written_over():
    model = nn.Graph({"a": (nn.Linear(2, 2, rng=0), "x"), "y": (nn.ReLU(), "a")}, outputs=["a", "y"])
    x = np.array([[1, -1], [-1, 1]], np.float32)
    a, y = nn.plan(model, (2,))(x)
    np.testing.assert_allclose(a, model(x)[0], rtol=1e-6)
    assert (a < 0).any()
    assert (y >= 0).all()


def test_several_inputs():
    model = nn.Graph({"y": (nn.Add(), "a", "b")}, inputs=["b", "a"])
    a, b = np.ones((2, 4, 4, 3), np.float32), np.full((2, 1, 1, 3), 2, np.float32)
    plan = nn.plan(model, [(1, 1, 3), (4, 4, 3)])
    assert (plan((b, a)) == 3).all()
    assert (plan({"a": a, "b": b}) == 3).all()
    with pytest.raises(OptionError, match="arrays b, a"):
        plan(a)
