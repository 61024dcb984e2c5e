"""A graph is a layer like others: it is saved, copied and looked into; mistakes are named, when built and when run."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from xpcnn.errors import OptionError, ShapeError
from xpcnn.io import load_model, save_model
from xpcnn.nn import (
    Add,
    Concat,
    Dropout,
    Graph,
    Hooks,
    Linear,
    MaxPool2d,
    Subtract,
    eval_mode,
    with_hooks,
)

from .graphs import excited, images, several_of_each


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
