"""Files that would take much time or memory, far more than they hold, are refused before they do."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx
import pytest

from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx
from xpcnn.exchange.onnx.protobuf_size import other_than_weights

from ...limits import at_most
from .graphs import node, write

RELU = [node("Relu", "x", "y")]


def test_files_that_are_larger_than_they_may_be(tmp_path, monkeypatch):
    path = write(tmp_path / "m.onnx", RELU, ["n", 4])
    monkeypatch.setattr("xpcnn.exchange.onnx.file.MOST_BYTES", 50)
    with pytest.raises(FormatError, match="an ONNX file of at most 50 bytes, got one of"):
        import_onnx(path)


def test_weights_named_by_very_many_nodes(tmp_path, monkeypatch):
    """Each use gets its own copy: a megabyte named ten thousand times would be ten gigabytes."""
    monkeypatch.setattr("xpcnn.exchange.onnx.graph_state.MOST_BYTES", 3 * 16)
    for count, fits in ((3, True), (4, False)):
        nodes = [node("MatMul", f"{'x' if i == 0 else i - 1} w", str(i)) for i in range(count)]
        path = write(tmp_path / "m.onnx", nodes, ["n", 2], str(count - 1), w=np.ones((2, 2)))
        if fits:
            assert len(import_onnx(path).model) == 3
        else:
            with pytest.raises(FormatError, match="weights of at most 48 bytes in all"):
                import_onnx(path)


def test_very_many_small_fields_are_not_parsed(tmp_path, monkeypatch):
    """Ten million empty nodes are 20 MB in a file, and a gigabyte once they are objects."""
    monkeypatch.setattr("xpcnn.exchange.onnx.file.MOST_OTHER", 2**16)
    monkeypatch.setattr("xpcnn.exchange.onnx.protobuf_size.MOST_FIELDS", 2**10)
    size = 2**17
    data = b"\x3a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + b"\x0a\x00" * (size // 2)
    (tmp_path / "m.onnx").write_bytes(data)
    with (
        at_most(2**20),
        pytest.raises(FormatError, match=f"at most 65536 bytes that are not weights, got {len(data)}"),
    ):
        import_onnx(tmp_path / "m.onnx")


def test_bytes_that_are_weights(tmp_path):
    """Raw and as numbers, as tensors of the graph and in Constant nodes."""
    plain = len(write(tmp_path / "m.onnx", RELU, ["n", 4]).read_bytes())
    path = write(tmp_path / "m.onnx", RELU, ["n", 4], w=np.ones((50, 50)))
    assert other_than_weights(path.read_bytes()) in range(plain, plain + 40)
    tensor = onnx.helper.make_tensor("c", onnx.TensorProto.FLOAT, [1000], np.ones(1000))
    write(path, [node("Constant", "", "c", value=tensor), *RELU], ["n", 4])
    assert len(tensor.float_data) == 1000
    assert other_than_weights(path.read_bytes()) in range(plain, plain + 80)
    for broken in (b"\x3a\x05\x00", b"\x12\x7f", b"\x3a" + b"\xff" * 11, b"\x3f", b"\x3a"):
        with pytest.raises((ValueError, IndexError)):
            other_than_weights(broken)


def nested(depth: int) -> list[Any]:
    """Sums around sums around sums."""
    down = [node("Relu", "x" if i == 0 else f"a{i - 1}", f"a{i}") for i in range(depth)]
    ups = [node("Add", f"a{i} {'b' if i == depth - 1 else f's{i + 1}'}", f"s{i}") for i in reversed(range(depth))]
    return [*down, node("Relu", f"a{depth - 1}", "b"), *ups]


def test_branches_within_branches(tmp_path):
    for depth in (60, 3000):
        model = import_onnx(write(tmp_path / "m.onnx", nested(depth), ["n", 4], "s0")).model
        np.testing.assert_array_equal(model(np.ones((1, 4), "float32")), [[depth + 1] * 4])


def test_the_worst_structure_takes_seconds_at_most(tmp_path):
    """A long chain, and then sums that each begin at its end and at its beginning: as many nodes as there may be."""
    many = 5000
    chain = [node("Relu", "x" if i == 0 else f"c{i - 1}", f"c{i}") for i in range(many)]
    sums = [node("Add", f"{f's{i - 1}' if i else f'c{many - 1}'} x", f"s{i}") for i in reversed(range(many))]
    path = write(tmp_path / "m.onnx", [*chain, *sums[::-1]], ["n", 4], f"s{many - 1}")
    begun = time.perf_counter()
    model = import_onnx(path).model
    assert time.perf_counter() - begun < 5
    np.testing.assert_array_equal(model(np.ones((1, 4), "float32")), [[many + 1] * 4])


def test_values_that_grow(tmp_path):
    """Each joins what is there to itself: forty of them would be a terabyte; or is spread over the other."""
    nodes = [
        node("Concat", f"{'x' if i == 0 else i - 1} {'x' if i == 0 else i - 1}", str(i), axis=1) for i in range(40)
    ]
    with pytest.raises(FormatError, match="at most 67108864 numbers, got"):
        import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 4], "39"))
    nodes = [node("MaxPool", "x", "h", kernel_shape=[2**10, 1]), node("MaxPool", "x", "w", kernel_shape=[1, 2**10])]
    nodes = [*nodes, node("Concat", " ".join(["h"] * 128), "c", axis=1), node("Mul", "c w", "y")]
    with pytest.raises(FormatError, match="at most 67108864 numbers, got"):
        import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 1, 2**10, 2**10]))


def test_names_that_are_all_alike(tmp_path):
    """After what parameters' names cannot hold has gone."""
    nodes = [node("Add", f"{'x' if i == 0 else i - 1} x", str(i)) for i in range(3000)]
    for each in nodes:
        each.name = "a" * 100
    begun = time.perf_counter()
    model = import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 4], "2999")).model
    assert time.perf_counter() - begun < 5
    assert max(map(len, model.children())) == 64


def test_constants_that_grow(tmp_path):
    """Each joins what is there to itself: forty of them would be a terabyte."""
    nodes = [node("Concat", f"a{i} a{i}", f"a{i + 1}", axis=0) for i in range(40)]
    path = write(tmp_path / "m.onnx", [*nodes, node("Reshape", "x a40", "y")], ["n", 4], a0=[1, 2, 3])
    with pytest.raises(FormatError, match="a few numbers"):
        import_onnx(path)


@pytest.mark.parametrize("operator", ["Add", "Mod"])
def test_arithmetic_of_constants(tmp_path, operator):
    """Constants may be broadcast to a huge size, have no size, or be divided by zero."""
    path, wide = tmp_path / "m.onnx", np.ones((1, 2**16), int)
    nodes = [node(operator, "a b", "c"), node("Reshape", "x c", "y")]
    for a, b, text in (
        (wide, wide.T, "a few integers"),
        ([1.5, 2.0], [1, 2], "a few integers"),
        (*(([-1, 4], [1, 0], "no division by 0") if operator == "Mod" else ([1], [1.0], "a few integers")),),
    ):
        with pytest.raises(FormatError, match=text):
            import_onnx(write(path, nodes, ["n", 4], a=a, b=b))
    a, b = ([-2, 1], [1, 3]) if operator == "Add" else ([-1, -1], [-5, 5])
    assert len(import_onnx(write(path, nodes, ["n", 4], a=a, b=b)).model) == 0


def test_windows_of_which_one_would_take_hours(tmp_path):
    for nodes in (
        [node("MaxPool", "x", "y", kernel_shape=[2**14, 2**14], pads=[2**13] * 4, strides=[1, 1])],
        [node("Upsample", "x s", "z"), node("MaxPool", "z", "y", kernel_shape=[1, 1])],
        [node("Pad", "x p", "z"), node("MaxPool", "z", "y", kernel_shape=[1, 1])],
        [node("ConvTranspose", "x w", "y", strides=[2**14, 2**14])],
    ):
        weights = {"s": [1.0, 1.0, 2.0**40, 1.0], "p": [0, 0, 2**50, 0, 0, 0, 0, 0], "w": np.ones((1, 1, 1, 1))}
        begun = time.perf_counter()
        with pytest.raises(FormatError):
            import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 1, 100, 100], opset=9, **weights))
        assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("where", ["onnx.numpy_helper.to_array", "xpcnn.exchange.onnx.file.other_than_weights"])
def test_where_memory_is_short_the_file_is_not_at_fault(tmp_path, monkeypatch, where):
    monkeypatch.setattr("xpcnn.exchange.onnx.file.MOST_OTHER", 1)
    monkeypatch.setattr(where, lambda given: (_ for _ in ()).throw(MemoryError))
    if "to_array" in where:
        monkeypatch.setattr("xpcnn.exchange.onnx.file.other_than_weights", lambda data: 0)
    with pytest.raises(MemoryError):
        import_onnx(write(tmp_path / "m.onnx", [node("MatMul", "x w", "y")], ["n", 2], w=np.ones((2, 2))))
