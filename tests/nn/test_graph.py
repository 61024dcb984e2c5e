"""Graph: the network that is wired is the one that runs, its gradients are sums over uses, and mistakes are named."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest

import xpcnn
from xpcnn.gradient_check import gradcheck
from xpcnn.nn import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Graph,
    Identity,
    Linear,
    MaxPool2d,
    Multiply,
    ReLU,
    Residual,
    Sequential,
    Subtract,
    Tanh,
)
from xpcnn.optim import SGD

from ..arrays import assert_close, needs_torch
from .graphs import excited, images, several_of_each


@pytest.mark.parametrize("seed", range(3))
def test_a_graph_of_nests_is_the_nests(xp, seed):
    """The same layers as Sequential, Residual and Concat: outputs, gradients and running statistics."""
    rng = np.random.default_rng(seed)

    def layers():
        return (
            Conv2d(3, 4, 3, padding=1, rng=0),
            BatchNorm2d(4),
            Conv2d(4, 4, 3, padding=1, rng=1),
            Conv2d(4, 2, 1, rng=2),
        )

    a, norm, b, c = layers()
    nest = Sequential(a, norm, ReLU(), Residual(Sequential(b, ReLU())), Concat(c, MaxPool2d(1)))
    a_, norm_, b_, c_ = layers()
    graph = Graph(
        {
            "side": (Concat(), "c", "pool"),
            "c": (c_, "sum"),
            "pool": (MaxPool2d(1), "sum"),
            "a": (a_, "x"),
            "norm": (norm_, "a"),
            "relu": (ReLU(), "norm"),
            "b": (b_, "relu"),
            "relu2": (ReLU(), "b"),
            "sum": (Add(), "relu2", "relu"),
        },
        outputs="side",
    )
    x = xp.array(images(rng), "float32")
    for _ in range(2):
        (y, cache), (y_, cache_) = nest.forward(x), graph.forward(x)
        assert_close(y_, xpcnn.to_numpy(y))
        (dx, grads), (dx_, grads_) = nest.backward(y, cache), graph.backward(y_, cache_)
        assert_close(dx_, xpcnn.to_numpy(dx))
        assert grads_.keys() == graph.parameters().keys()
        pairs = {"0": "a", "1": "norm", "3.body.0": "b", "4.0": "c"}
        for name, gradient in grads.items():
            place, _, key = name.rpartition(".")
            assert_close(grads_[f"{pairs[place]}.{key}"], xpcnn.to_numpy(gradient), factor=10)
    assert_close(graph(x), xpcnn.to_numpy(nest(x)))
    assert_close(norm_.running_var, xpcnn.to_numpy(norm.running_var))


def test_gradients(xp, rng):
    report = gradcheck(excited(), xp.array(images(rng), "float64"))
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", *excited().parameters()}


def test_several_inputs_and_outputs(xp, rng):
    graph, (u, u_), (v, v_) = several_of_each(), xp.normal(rng, 5, 3), xp.normal(rng, 5, 2)
    report = gradcheck(graph, (u_, v_))
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x1", "x2", *graph.parameters()}
    graph.astype("float64")
    y, cache = graph.forward({"v": v_, "u": u_})
    w = {name: xpcnn.to_numpy(array) for name, array in graph.parameters().items()}
    a, b = u @ w["a.weight"].T + w["a.bias"], v @ w["b.weight"].T + w["b.bias"]
    for ours, expected in zip(y, (np.maximum(np.maximum(a, a - b), b), 2 * b, a - b), strict=True):
        assert_close(ours, expected)
    by_tuple, by_name = graph.backward(y, cache), graph.backward(dict(zip(graph.outputs, y, strict=True)), cache)
    for one, other in zip(by_tuple[0], by_name[0], strict=True):
        assert_close(one, xpcnn.to_numpy(other))


def test_an_output_that_no_loss_depends_on(rng):
    graph = several_of_each().astype("float64")
    x = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    y, cache = graph.forward(x)
    (du, dv), grads = graph.backward((None, y[1], None), cache)
    assert du is None
    assert not np.any(grads["a.weight"])
    assert np.any(grads["b.weight"])
    assert dv.shape == (5, 2)
    SGD(graph.parameters(), lr=0.1).step(grads)
    graph.parameters()["a.weight"][0, 0] = -np.inf  # an unused weight may be infinite, its gradient not
    assert not np.any(graph.backward((None, y[1], None), cache)[1]["a.weight"])


def two_of_two():
    entries = {"p": (Linear(4, 4, rng=1), "a"), "q": (Linear(4, 4, rng=2), "b")}
    return Graph(entries, inputs=("a", "b"), outputs=("p", "q"))


@pytest.mark.parametrize("used", ["10000", "01000", "00010", "10100", "01001", "11010", "00110"])
def test_outputs_of_inner_graphs_that_no_loss_depends_on(rng, used):
    """A value that is read several times gets a gradient from some of its uses, for some of its arrays."""
    entries = {"g": (two_of_two(), "x", "x"), "h": (two_of_two(), "g"), "s": (Add(), "g"), "k": (two_of_two(), "g")}
    graph = Graph(entries, outputs=("h", "s", "k")).astype("float64")
    _, cache = graph.forward(xpcnn.asarray(rng.normal(size=(3, 4)), dtype="float64"))
    flags = [each == "1" for each in used]  # for the outputs of h, s and k
    dys = [xpcnn.asarray(rng.normal(size=(3, 4)), dtype="float64") for _ in flags]
    some = [dy if each else None for dy, each in zip(dys, flags, strict=True)]
    zeros = [dy if each else 0 * dy for dy, each in zip(dys, flags, strict=True)]
    dx, grads = graph.backward(((some[0], some[1]), some[2], [some[3], some[4]]), cache)
    expected_dx, expected = graph.backward(((zeros[0], zeros[1]), zeros[2], (zeros[3], zeros[4])), cache)
    assert_close(dx, xpcnn.to_numpy(expected_dx))
    assert grads.keys() == expected.keys()
    for name, gradient in grads.items():
        assert_close(gradient, xpcnn.to_numpy(expected[name]))


@needs_torch
def test_against_autograd(rng):
    import torch

    graph, x = excited().astype("float64"), images(rng, "float64")
    y, cache = graph.forward(x)
    dy = rng.normal(size=y.shape)
    dx, grads = graph.backward(dy, cache)
    w = {name: torch.tensor(array, requires_grad=True) for name, array in graph.parameters().items()}
    t = torch.tensor(x, requires_grad=True)

    def conv(x, name, **options):
        weight = w[f"{name}.weight"].permute(0, 3, 1, 2)
        return torch.nn.functional.conv2d(x, weight, w.get(f"{name}.bias"), **options)

    hidden = conv(t.permute(0, 3, 1, 2), "conv", padding=1)
    hidden = torch.nn.functional.batch_norm(hidden, None, None, w["norm.weight"], w["norm.bias"], training=True)
    pool = torch.nn.functional.max_pool2d(hidden.relu(), 2)
    gate = torch.sigmoid(torch.nn.functional.linear(pool.mean((2, 3)), w["gate.0.weight"], w["gate.0.bias"]))
    gate = gate[:, :, None, None]
    summed = pool * gate + pool + gate
    expected = conv(torch.cat([summed, pool], 1), "y").permute(0, 2, 3, 1)
    expected.backward(torch.tensor(dy))
    assert_close(y, expected.detach().numpy())
    assert_close(dx, t.grad.numpy())
    for name, gradient in grads.items():
        assert_close(gradient, w[name].grad.numpy(), factor=10)


def test_what_is_not_needed_is_left_out(rng):
    asked = []

    class Asked(Identity):
        def __init__(self, name):
            self.name = name

        def backward(self, dy, cache, *, input_grad=True):
            asked.append((self.name, input_grad))
            return super().backward(dy, cache, input_grad=input_grad)

    graph = Graph(
        {
            "before": (Asked("before"), "x"),
            "around": (Asked("around"), "x"),
            "trained": (Linear(3, 3, rng=0), "before"),
            "after": (Asked("after"), "trained"),
            "y": (Add(), "after", "around"),
        }
    ).astype("float64")
    y, cache = graph.forward(rng.normal(size=(2, 3)))
    dx, grads = graph.backward(y, cache, input_grad=False)
    assert dx is None
    assert asked == [("after", True)]
    full, same = graph.backward(y, cache)
    assert {name for name, _ in asked} == {"before", "around", "after"}
    assert full.shape == (2, 3)
    assert all(np.array_equal(grads[name], same[name]) for name in grads)


def test_values_are_let_go_as_soon_as_nothing_reads_them(rng):
    alive = []

    class Seen(Identity):
        def __call__(self, x):
            y = x + 1
            gc.collect()
            alive.append([ref() is not None for ref in refs])
            refs.append(weakref.ref(y))
            return y

    refs = []
    graph = Graph(
        {
            "a": (Seen(), "x"),
            "b": (Seen(), "a"),
            "c": (Seen(), "a"),
            "d": (Seen(), "b"),
            "y": (Add(), "c", "d"),
        }
    )
    graph(rng.normal(size=(2, 3)))
    assert alive == [[], [True], [True, True], [False, True, True]]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_entries_in_any_order(rng, order):
    entries = [
        ("a", (Linear(3, 3, rng=0), "x")),
        ("b", (Tanh(), "a")),
        ("c", (Linear(3, 3, rng=1), "b")),
        ("y", (Add(), "c", "a")),
    ]
    x = rng.normal(size=(2, 3)).astype("float32")
    expected = Graph(dict(entries))(x)
    graph = Graph(dict(entries[i] for i in order), outputs="y")
    np.testing.assert_array_equal(graph(x), expected)
    assert next(iter(graph.parameters())) == "a.weight"


def test_a_layer_that_stands_in_several_places_has_one_gradient(xp, rng):
    shared = Linear(4, 4, rng=0)
    graph = Graph({"a": (shared, "x"), "b": (Tanh(), "a"), "c": (shared, "b"), "y": (Multiply(), "c", "a")})
    assert list(graph.parameters()) == ["a.weight", "a.bias"]
    report = gradcheck(graph, xp.array(rng.normal(size=(3, 4))))
    assert report.passed, report


def test_a_graph_in_a_graph(xp, rng):
    inner = Graph({"s": (Subtract(), "p", "q"), "t": (Tanh(), "s")}, inputs=("p", "q"), outputs=("t", "s"))
    outer = Graph(
        {"a": (Linear(3, 3, rng=0), "x"), "both": (inner, "a", "x"), "y": (Multiply(), "both")},
    )
    x = xp.array(rng.normal(size=(2, 3)))
    report = gradcheck(outer, x)
    assert report.passed, report
