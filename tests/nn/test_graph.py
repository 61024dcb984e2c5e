"""Graph: the network that is wired is the one that runs, its gradients are sums over uses, and mistakes are named."""

from __future__ import annotations

import copy
import gc
import itertools
import weakref

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.io import load_model, save_model
from xpcnn.nn import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Graph,
    Hooks,
    Identity,
    Linear,
    Maximum,
    MaxPool2d,
    Multiply,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Subtract,
    Tanh,
    Unflatten,
    eval_mode,
    with_hooks,
)
from xpcnn.optim import SGD

from ..arrays import assert_close, needs_torch


def excited() -> Graph:
    """Squeeze-and-excitation between two convolutions, and a value that two later parts use that do not nest."""
    return Graph(
        {
            "conv": (Conv2d(3, 8, 3, padding=1, bias=False, rng=0), "x"),
            "norm": (BatchNorm2d(8), "conv"),
            "relu": (ReLU(), "norm"),
            "pool": (MaxPool2d(2), "relu"),
            "mean": (GlobalAvgPool2d(), "pool"),
            "gate": (Sequential(Linear(8, 8, rng=1), Sigmoid(), Unflatten((1, 1, 8))), "mean"),
            "scaled": (Multiply(), "pool", "gate"),
            "sum": (Add(), "scaled", "pool", "gate"),
            "side": (Concat(), "sum", "pool"),
            "y": (Conv2d(16, 4, 1, rng=2), "side"),
        }
    )


def images(rng, dtype="float32"):
    return rng.normal(size=(3, 8, 8, 3)).astype(dtype)


def numbers(value):
    return [xpcnn.to_numpy(each) for each in (value if isinstance(value, tuple) else (value,))]


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


def several_of_each() -> Graph:
    return Graph(
        {
            "a": (Linear(3, 4, rng=0), "u"),
            "b": (Linear(2, 4, rng=1), "v"),
            "difference": (Subtract(), "a", "b"),
            "largest": (Maximum(), "a", "difference", "b"),
            "twice": (Add(), "b", "b"),
        },
        inputs=("u", "v"),
        outputs=("largest", "twice", "difference"),
    )


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


def test_it_is_saved_and_read(tmp_path, rng):
    graph, x = excited(), images(rng)
    graph.forward(x)
    path = tmp_path / "model.safetensors"
    save_model(graph, path, input_shape=(8, 8, 3))
    read = load_model(path).model
    np.testing.assert_array_equal(read(x), graph(x))
    assert repr(read) == repr(graph)
    two = several_of_each()
    save_model(two, path, input_shape=((3,), (2,)))
    saved = load_model(path)
    assert saved.input_shape == ((3,), (2,))
    given = rng.normal(size=(2, 3)).astype("float32"), rng.normal(size=(2, 2)).astype("float32")
    for one, other in zip(saved.model(given), two(given), strict=True):
        np.testing.assert_array_equal(one, other)
    for wrong in ((3,), ((3,),), ((3,), (2,), (1,))):
        with pytest.raises(OptionError, match="input_shape: a shape for each of 2 inputs"):
            save_model(two, path, input_shape=wrong)


def test_what_looks_into_networks_sees_its_layers(rng):
    graph, x = excited(), images(rng)
    names = []

    class Names(Hooks):
        def forward(self, name, layer, x):
            names.append(name)
            return super().forward(name, layer, x)

    y, _ = with_hooks(graph, Names()).forward(x)
    assert y.shape == (3, 4, 4, 4)
    assert names[:5] == ["conv", "norm", "relu", "pool", "mean"]
    assert "gate.0" in names
    lines = graph.summary((8, 8, 3)).splitlines()
    assert lines[3].split()[:2] == ["conv", "Conv2d"]
    assert any(line.split()[:2] == ["scaled", "Multiply"] for line in lines)
    two = several_of_each()
    assert two.output_shape(((3,), (2,))) == ((4,), (4,), (4,))
    assert "((4,), (4,), (4,))" in two.summary(((3,), (2,)))


def test_inference_with_gradients(rng):
    graph = Graph({"a": (Dropout(0.5, rng=0), "x"), "b": (Linear(3, 3, rng=0), "a"), "y": (Add(), "a", "b")})
    x = rng.normal(size=(2, 3)).astype("float32")
    y, cache = eval_mode(graph).forward(x)
    np.testing.assert_array_equal(y, graph(x))
    dx, _ = eval_mode(graph).backward(np.ones_like(y), cache)
    assert dx.shape == x.shape


def test_copies_are_apart(rng):
    graph, x = excited(), images(rng)
    other, before = copy.deepcopy(graph), graph(x)
    for array in other.parameters().values():
        array[...] = 0
    np.testing.assert_array_equal(graph(x), before)
    assert not np.any(other(x))


LINEAR = Linear(2, 2, rng=0)
PAIR = Graph({"p": (LINEAR, "x"), "q": (LINEAR, "p")}, outputs=("p", "q"))


@pytest.mark.parametrize(
    ("entries", "options", "said"),
    [
        ({}, {}, "a mapping such as .*, got none"),
        ([LINEAR], {}, "a mapping such as .*, got list"),
        ({"a": LINEAR}, {}, r"Graph, a: expected \(layer, name of what it reads, …\), got Linear"),
        ({"a": (LINEAR,)}, {}, r"what a reads: names without a dot, got \(\)"),
        ({"a": ("x", LINEAR)}, {}, r"Graph, a: expected \(layer"),
        ({"a": (LINEAR, 3)}, {}, "what a reads: names without a dot"),
        ({"a.b": (LINEAR, "x")}, {}, "entries: names without a dot"),
        ({"": (LINEAR, "x")}, {}, "entries: names without a dot"),
        ({3: (LINEAR, "x")}, {}, "entries: names without a dot"),
        ({"a": (LINEAR, "z")}, {}, "Graph, a: expected names of entries and inputs: x, a, got 'z'"),
        ({"x": (LINEAR, "x")}, {}, "Graph, x: expected other names for entries than for inputs"),
        ({"a": (LINEAR, "b"), "b": (LINEAR, "a"), "y": (Add(), "x", "a")}, {}, "a circle among a, b, y"),
        ({"a": (LINEAR, "a"), "y": (Add(), "a", "x")}, {}, "Graph, a: .* a circle among a, y"),
        ({"a": (LINEAR, "x"), "b": (LINEAR, "x")}, {}, "Graph, a: expected an entry that reads it, got none"),
        ({"a": (LINEAR, "x")}, {"inputs": ("x", "z")}, "Graph, z: expected an entry that reads it"),
        ({"a": (LINEAR, "x")}, {"inputs": ("x", "x")}, "inputs: each name once"),
        ({"a": (LINEAR, "x")}, {"inputs": ()}, "inputs: names without a dot"),
        ({"a": (LINEAR, "x")}, {"outputs": "b"}, "outputs: entries, got 'b'; there are a"),
        ({"a": (LINEAR, "x")}, {"outputs": "x"}, "outputs: entries, got 'x'"),
        ({"a": (LINEAR, "x")}, {"outputs": ("a", "a")}, "outputs: each name once"),
        ({"a": (LINEAR, "x", "x")}, {}, "Graph, a: expected 1 values for Linear, got 2: x, x"),
        ({"a": (Add(), "x")}, {}, "Graph, a: expected 2 or more values for Add, got 1: x"),
        ({"a": (PAIR, "x"), "y": (Concat(), "a", "x")}, {}, "Graph, y: expected a, which is several values, alone"),
        ({"a": (PAIR, "x"), "y": (LINEAR, "a")}, {}, "Graph, y: expected 1 values for Linear, got 2: a"),
        ({"a": (Subtract(), "x", "x", "x")}, {}, "Graph, a: expected 2 values for Subtract, got 3"),
    ],
)
def test_mistakes_are_named_when_it_is_built(entries, options, said):
    with pytest.raises(OptionError, match=said):
        Graph(entries, **options)


def test_mistakes_are_named_when_it_runs(rng):
    graph, two = excited(), several_of_each()
    x = images(rng)
    for call in (graph, graph.forward):
        with pytest.raises(ShapeError, match=r"^layer conv: Conv2d"):
            call(x[..., :2])
    for join in (Add(), Concat()):
        unequal = Graph({"pool": (MaxPool2d(2), "x"), "y": (join, "pool", "x")})
        with pytest.raises(ShapeError, match=r"^layer y: .*; bring all to one size, such as with Upsample\(size="):
            unequal(x)
    for call in (two, two.forward):
        with pytest.raises(OptionError, match="input: arrays u, v, as a tuple or by name, got ndarray"):
            call(x)
        with pytest.raises(OptionError, match="input: arrays u, v, as a tuple or by name, got 3"):
            call((x, x, x))
        with pytest.raises(OptionError, match="input: arrays u, v, as a tuple or by name, got u, w"):
            call({"u": x, "w": x})
    y, cache = two.forward((np.ones((1, 3), "float32"), np.ones((1, 2), "float32")))
    with pytest.raises(OptionError, match="dy: arrays largest, twice, difference, as a tuple or by name, got ndarray"):
        two.backward(y[0], cache)
    with pytest.raises(ShapeError, match="a shape for each of u, v"):
        two.output_shape((3,))
