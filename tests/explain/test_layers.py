"""Explanations of layers of one kind: convolutions and pooling of every geometry, and the remarks of each."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import ShapeError
from xpcnn.explain import explain
from xpcnn.explain.explain_layer import show
from xpcnn.explain.explanation import Explanation, Ref
from xpcnn.explain.run import Visit

GEOMETRIES = [
    {"stride": (2, 1), "padding": (0, 2, 1, 0)},
    {"stride": 3, "padding": 1, "dilation": (1, 2)},
    {"padding": "same", "dilation": 2},
    {"stride": (1, 3), "bias": False, "groups": 2},
]


@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_convolutions_of_every_geometry(rng, options):
    layer = nn.Conv2d(2, 4, (3, 2), rng=0, **options).astype("float64")
    x = rng.normal(size=(2, 6, 5, 2))
    assert explain(layer, "", x, dy=rng.normal(size=layer(x).shape)).check(1e-11) > 150
    if options.get("padding") != "same":  # which a transposed convolution has not
        layer = nn.ConvTranspose2d(2, 4, (3, 2), rng=0, **options).astype("float64")
        assert explain(layer, "", x, dy=rng.normal(size=layer(x).shape)).check(1e-11) > 150


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    "options", [{"stride": 1}, {"stride": 2, "padding": 1, "ceil_mode": True}, {"stride": (1, 3), "padding": "same"}]
)
def test_pooling_of_every_geometry(rng, kind, options):
    layer = kind((3, 2), **options)
    x = np.round(rng.normal(size=(2, 7, 6, 2)))  # with ties
    assert explain(layer, "", x, dy=rng.normal(size=layer(x).shape)).check(1e-11) > 150


def test_batch_norm_says_whose_statistics_it_shows():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2, rng=0))
    x = np.arange(8, dtype="float32").reshape(2, 2, 2, 1)
    assert any("this batch of 2" in note for note in explain(model, "0", x).notes)
    alone = explain(model, "0", x[:1])
    assert any("this one item" in note for note in alone.notes)
    assert alone.arrays["μ"].values == 1.5
    assert explain(model, "0", x).arrays["μ"].values == 3.5
    with pytest.raises(ShapeError, match="more than one value a channel"):
        explain(nn.BatchNorm1d(4), "", x.reshape(2, 4)[:1], dy=np.ones((1, 4), "float32"))


def test_max_pooling_says_how_often_an_element_won():
    x = np.array([[1, 9, 2], [0, 3, 0], [0, 0, 0]], "float64")[None, :, :, None]
    page = explain(nn.MaxPool2d(2, stride=1), "", x, dy=np.ones((1, 2, 2, 1)))
    dx = page.steps[-1]
    assert dx.focus == (0, 0, 1, 0)
    (label, _, _), *_ = dx.work((0, 0, 1, 0)).remarks
    assert label == "2 windows read it, it won in 2"
    assert page.arrays["dx"].values[0, 0, 1, 0] == 2
    assert dx.work((0, 0, 0, 0)).pieces == ("0",)


def test_global_max_pooling_says_where_the_first_maximum_stands():
    x = np.array([[1.0, 5.0, 2.0], [0.0, 5.0, 3.0]])[None, :, :, None]
    page = explain(nn.GlobalMaxPool2d(), "", x, dy=np.full((1, 1), 7.0))
    last = page.steps[-1]
    assert last.focus == (0, 0, 1, 0)
    for index, pieces in (((0, 0, 1, 0), (Ref("dy", (0, 0)),)), ((0, 1, 1, 0), ("0",))):
        worked = last.work(index)
        assert worked.pieces == pieces
        assert worked.remarks[0][0] == "the first maximum of channel 0 stands at (0, 1)"


def test_the_three_ways_through_batch_norm_add_up(rng):
    layer = nn.BatchNorm1d(3).astype("float64")
    layer.weight[...] = [1.0, -2.0, 0.5]
    x, dy = rng.normal(size=(2, 6, 3))
    page = explain(layer, "", x, dy=dy)
    worked = page.steps[-1].work((2, 1))
    assert [label for label, *_ in worked.remarks] == ["directly", "through μ", "through σ²"]
    assert sum(value for *_, value in worked.remarks) == pytest.approx(page.arrays["dx"].values[2, 1], abs=1e-12)
    direct = -2.0 * dy[2, 1] / np.sqrt(x[:, 1].var() + layer.eps)
    assert worked.remarks[0][2] == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("join", [nn.Add(), nn.Multiply(), nn.Concat()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("shape", [(2, 3, 4, 2), (2, 1, 4, 2)], ids=["alike", "one is repeated"])
def test_joins(rng, join, shape):
    """Of values that have the same shape, and of one that is repeated along an axis."""
    if isinstance(join, nn.Concat):
        shape = (2, 3, 4, 5)
    x = (rng.normal(size=(2, 3, 4, 2)), rng.normal(size=shape))
    y, cache = join.forward(x)
    dy = rng.normal(size=y.shape)
    dx, _ = join.backward(dy, cache)
    page = Explanation("", "")
    show(page, Visit(join, x, y, cache, dy, dx), (1, 0, 2, 1))
    assert page.check(1e-12) == y.size + sum(each.size for each in dx)
    worked = page.steps[0].work((1, 2, 0, 1))
    assert worked.refs()[1].at == (1, 2, 0, 1)
