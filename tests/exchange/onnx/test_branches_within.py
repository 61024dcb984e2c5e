"""An `If` whose condition is known from shapes is read as the graph that would run; any other is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx

from .graphs import check, constant, kinds, node, numbers, write

FLOAT = onnx.TensorProto.FLOAT
CONDITION = [
    node("Shape", "p", "shape"), constant("axis", 1), node("Gather", "shape axis", "size", axis=0),
    constant("one", 1), node("Equal", "size one", "is_one"),
]  # fmt: skip


def inner(nodes, output, **weights):
    ends = [helper.make_tensor_value_info(output, FLOAT, None)]
    tensors = [onnx.numpy_helper.from_array(np.asarray(each, "float32"), name) for name, each in weights.items()]
    return helper.make_graph(nodes, "inner", [], ends, tensors)


def chosen(condition="is_one", then=None, other=None):
    then = then or inner([node("Relu", "p", "t")], "t")
    other = other or inner([node("Tanh", "p", "e")], "e")
    return node("If", condition, "q", then_branch=then, else_branch=other)


def graph(*nodes):
    return [node("Conv", "x w", "p"), *nodes, node("Sigmoid", "q", "y")]


@pytest.mark.parametrize(("channels", "expected"), [(1, "ReLU"), (2, "Tanh")])
def test_the_branch_that_runs_is_read(tmp_path, channels, expected):
    w = numbers(channels, 3, 1, 1)
    path = write(tmp_path / "m.onnx", graph(*CONDITION, chosen()), ["n", 3, 4, 5], w=w)
    assert kinds(check(path, 4, 5, 3)) == ["Conv2d", expected, "Sigmoid"]


def test_a_branch_with_weights_and_another_within(tmp_path):
    nested = inner([node("Conv", "p v", "c"), chosen("is_one"), node("Add", "c q2", "s")], "s", v=numbers(2, 2, 1, 1))
    nested.node[1].output[0] = "q2"
    path = write(tmp_path / "m.onnx", graph(*CONDITION, chosen(other=nested)), ["n", 3, 4, 5], w=numbers(2, 3, 1, 1))
    check(path, 4, 5, 3)


def test_a_branch_that_gives_a_constant_or_the_value_itself(tmp_path):
    same = inner([node("Identity", "p", "t")], "t")
    path = write(tmp_path / "m.onnx", graph(*CONDITION, chosen(then=same)), ["n", 3, 4, 5], w=numbers(1, 3, 1, 1))
    assert kinds(check(path, 4, 5, 3)) == ["Conv2d", "Sigmoid"]
    fixed = inner([node("Identity", "k", "t")], "t", k=numbers(1, 1, 1))
    nodes = [*graph(*CONDITION, chosen(then=fixed))[:-1], node("Mul", "p q", "y")]
    check(write(tmp_path / "m.onnx", nodes, ["n", 3, 4, 5], w=numbers(1, 3, 1, 1)), 4, 5, 3)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([node("Shape", "p", "shape"), constant("a", 0), node("Gather", "shape a", "size", axis=0), constant("one", 1),
          node("Equal", "size one", "is_one"), chosen()], "sizes that do not depend on the batch's"),
        ([node("Cast", "p", "is_one", to=9), chosen()], "a floating type, got type 9"),
        ([*CONDITION, chosen(other=inner([node("Relu", "p", "w")], "w"))], "in the order in which they run"),
        ([*CONDITION, chosen(other=inner([node("Tanh", "p", "e")], "e", w=[1.0]))], "each name once, got .'w'. again"),
        ([*CONDITION, chosen(other=inner([node("Tanh", "p", "e")], "f"))], "outputs that its graph makes, got 'f'"),
        ([*CONDITION, node("If", "is_one", "q", then_branch=inner([node("Relu", "p", "t")], "t"))],
         "a graph else_branch with 1 outputs"),
        ([*CONDITION, chosen(other=inner([node("Sin", "p", "e")], "e"))], r"n_e \(Sin\)"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, nodes, text):
    path = write(tmp_path / "m.onnx", graph(*nodes), ["n", 3, 4, 5], w=numbers(2, 3, 1, 1))
    with pytest.raises(FormatError, match=text) as caught:
        import_onnx(path)
    assert "\n" not in str(caught.value)


def test_nodes_within_others_count(tmp_path, monkeypatch):
    path = write(tmp_path / "m.onnx", graph(*CONDITION, chosen()), ["n", 3, 4, 5], w=numbers(2, 3, 1, 1))
    import_onnx(path)
    monkeypatch.setattr("xpcnn.exchange.onnx.graph_state.MOST_NODES", 8)
    with pytest.raises(FormatError, match="at most 8 nodes, with those within others"):
        import_onnx(path)
