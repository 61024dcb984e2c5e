"""A file from a stranger gives a network or a FormatError, whatever is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FileError, FormatError, OptionError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.io import SavedModel

from .graphs import node, write

SHAPE = (8, 7, 4)
RELU = [node("Relu", "x", "y")]


def network() -> nn.Sequential:
    """Most operators that there are, in few numbers."""
    return nn.Sequential(
        nn.Conv2d(4, 4, 3, padding="same", groups=2, rng=0),
        nn.BatchNorm2d(4),
        nn.PReLU(4),
        nn.Concat(nn.MaxPool2d(2), nn.Sequential(nn.AvgPool2d(2), nn.GELU()), nn.AdaptiveAvgPool2d((4, 3))),
        nn.GroupNorm(3, 12),
        nn.Residual(nn.Sequential(nn.Conv2d(12, 12, 1, rng=0), nn.SiLU()), nn.Softplus()),
        nn.ConvTranspose2d(12, 4, 2, stride=2, rng=0),
        nn.ZeroPad2d((1, 0, 0, 1)),
        nn.Upsample(2),
        nn.LayerNorm(4),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Concat(
            nn.GlobalAvgPool2d(), nn.GlobalMaxPool2d(), nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(252, 3))
        ),
        *(nn.Linear(11, 12, rng=0), nn.Unflatten((2, 2, 3)), nn.GlobalAvgPool2d()),
        nn.LogSoftmax(),
    )


def write_graph(path: Path, **options: Any) -> None:
    """A file of two inputs and two outputs, in which an `If` holds a graph; its weights in a second file, "w.bin"."""
    entries = {
        "left": (nn.Conv2d(3, 4, 3, rng=0), "a"),
        "right": (nn.Linear(3, 4, rng=1), "b"),
        "gate": (nn.Sequential(nn.Sigmoid(), nn.Unflatten((1, 1, 4))), "right"),
        "product": (nn.Multiply(), "left", "gate"),
        "shifted": (nn.Subtract(), "product", "left"),
        "pooled": (nn.GlobalAvgPool2d(), "shifted"),
        "joined": (nn.Concat(), "pooled", "right"),
        "score": (nn.Linear(8, 2, rng=2), "joined"),
    }
    net = nn.Graph(entries, inputs=("a", "b"), outputs=("score", "product"))
    export_onnx(net, path, input_shape=((6, 5, 3), (3,)), **options)
    model = onnx.load(path)
    after, before = next(node for node in model.graph.node if node.op_type == "Sigmoid"), "right"
    ends = [onnx.helper.make_tensor_value_info(name, 1, None) for name in ("then", "else")]
    branches = [
        onnx.helper.make_graph([onnx.helper.make_node(operator, [before], [end.name])], end.name, [], [end])
        for operator, end in zip(("Relu", "Tanh"), ends, strict=True)
    ]
    nodes = [
        onnx.helper.make_node("Shape", [before], ["shape"]),
        onnx.helper.make_node("Gather", ["shape", "one"], ["size"]),
        onnx.helper.make_node("Equal", ["size", "four"], ["is_four"]),
        onnx.helper.make_node("If", ["is_four"], ["chosen"], then_branch=branches[0], else_branch=branches[1]),
    ]
    for name, number in (("one", 1), ("four", 4)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(number), name))
    at = list(model.graph.node).index(after)
    for each in reversed(nodes):
        model.graph.node.insert(at, each)
    after.input[0] = "chosen"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0, convert_attribute=False)


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Other bytes, and every fourth file cut off."""
    mutated = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        mutated[rng.integers(len(data))] = rng.integers(256)
    return bytes(mutated[: rng.integers(len(data))] if rng.random() < 0.25 else mutated)


NUMBERS = [0, 1, -1, 2, 3, 7, 64, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**62)]
OPERATORS = ["Relu", "Conv", "Reshape", "Add", "Concat", "Flatten", "Transpose", "Gather", "Shape", "Squeeze", "Cast"]
OPERATORS += ["Unsqueeze", "ReduceMean", "Div", "Sub", "Where", "Slice", "ConstantOfShape", "Pad", "Gemm", "Strange"]
OPERATORS += ["Mul", "Sub", "Max", "Split", "DepthToSpace", "Resize", "LRN", "ReduceMax", "MatMul", "Sum"]
OPERATORS += ["Expand", "Pow", "ReduceSum", "ReduceL2", "ReduceLogSumExp", "LpNormalization", "RMSNormalization", "Neg"]
OPERATORS += [
    "Min",
    "Mean",
    "Softmax",
    "InstanceNormalization",
    "SpaceToDepth",
    "LayerNormalization",
    "Range",
    "CastLike",
]


def edit(data: bytes, rng: np.random.Generator) -> bytes:
    """A whole protocol buffer with other names, numbers, attributes, sizes and types."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.integers(1, 4)):
        _edit(model.graph, rng)
    return model.SerializeToString()


def _edit(graph: Any, rng: np.random.Generator) -> None:
    nodes, tensors = graph.node, graph.initializer
    each, tensor = nodes[rng.integers(len(nodes))], tensors[rng.integers(len(tensors))]
    if each.op_type == "If" and rng.random() < 0.7:  # a node within it
        within = [node for branch in each.attribute for node in branch.g.node]
        each = within[rng.integers(len(within))] if within else each
    names = [name for other in nodes for name in (*other.input, *other.output)] + [t.name for t in tensors] + [""]
    number = NUMBERS[rng.integers(len(NUMBERS))]

    def choose(values: list[Any]) -> Any:
        return values[rng.integers(len(values))]

    def attribute() -> None:
        if each.attribute:
            found = choose(list(each.attribute))
            if found.ints and rng.random() < 0.7:
                found.ints[rng.integers(len(found.ints))] = number
            elif rng.random() < 0.5:
                found.i, found.f = number, float(number) if rng.random() < 0.8 else float("nan")
            else:
                found.type = int(rng.integers(0, 12))

    def size() -> None:
        if tensor.dims:
            tensor.dims[rng.integers(len(tensor.dims))] = number

    def integers() -> None:
        whole = [t for t in tensors if t.data_type == onnx.TensorProto.INT64]
        if whole:
            found = choose(whole)
            array = np.frombuffer(found.raw_data[: len(found.raw_data) // 8 * 8], "int64").copy()
            if array.size:
                array[rng.integers(array.size)] = number
                found.raw_data = array.tobytes()

    def connect() -> None:
        if each.input:
            each.input[rng.integers(len(each.input))] = choose(names)

    def add() -> None:
        name, value = (
            choose(["axis", "perm", "axes", "group", "pads", "to", "auto_pad"]),
            choose([number, [0, 1], "SAME"]),
        )
        each.attribute.append(onnx.helper.make_attribute(name, value))

    def elsewhere() -> None:
        """Its numbers in another file, or another part of one."""
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        del tensor.external_data[:]
        known = ["w.bin", "w.bin", "w.bin", "mutated.onnx", "../w.bin", "/etc/passwd", "", ".", "folder"]
        for key, value in (("location", choose(known)), ("offset", choose([0, 4, number])), ("length", number)):
            if rng.random() < 0.8:
                tensor.external_data.add(key=key, value=str(value))

    def own_size() -> None:
        choose(list(choose(list(graph.input)).type.tensor_type.shape.dim)).dim_value = number

    def output() -> None:
        each.output[0] = choose(names)

    choose([
        attribute, attribute, size, integers, connect, connect, add, own_size, output,
        lambda: setattr(each, "op_type", choose(OPERATORS)),
        lambda: nodes.remove(each) if each in nodes and len(nodes) > 2 else None,
        lambda: each.input.append(choose(names)),
        lambda: each.input.pop() if each.input else None,
        lambda: setattr(tensor, "data_type", int(rng.integers(0, 24))),
        lambda: setattr(tensor, "raw_data", tensor.raw_data[: rng.integers(9)]),
        lambda: setattr(graph.output[0], "name", choose(names)),
        lambda: setattr(tensor, "data_location", 1),
        elsewhere, elsewhere,
        lambda: graph.output.append(onnx.helper.make_tensor_value_info(choose(names), 1, None)),
        lambda: graph.input.append(onnx.helper.make_tensor_value_info(choose([*names, "z"]), 1, [number, 3])),
    ])()  # fmt: skip


def read(path: Path) -> tuple[SavedModel | None, str]:
    """The file's content, or the reason why it is refused."""
    try:
        return import_onnx(path), ""
    except FormatError as error:
        return None, str(error)
    except FileError as error:  # another name of its weights' file
        assert "its weights in" in str(error)  # noqa: PT017
        return None, str(error)
    except OptionError as error:
        assert "input_shape, which the file leaves open" in str(error)  # noqa: PT017
        return None, str(error)


@pytest.mark.parametrize("mutate", [flip, edit])
@pytest.mark.parametrize("files", [500, pytest.param(2_500, marks=pytest.mark.slow)])
def test_mutated_files_give_nothing_but_format_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[bytes, np.random.Generator], bytes], files: int
):
    """And what is read although the file was mutated runs, and gives a batch of what the file says."""
    for module in ("importer", "graph_state"):
        monkeypatch.setattr(f"xpcnn.exchange.onnx.{module}.MOST_NUMBERS", 2**14)
    (tmp_path / "w.bin").write_bytes(np.ones(1000, "float32").tobytes())
    (tmp_path / "folder").mkdir()
    originals = []
    for opset, layout in ((17, "NCHW"), (20, "NHWC")):
        export_onnx(network(), tmp_path / "m.onnx", input_shape=SHAPE, opset=opset, layout=layout)
        originals.append((tmp_path / "m.onnx").read_bytes())
    write_graph(tmp_path / "m.onnx")
    originals.append((tmp_path / "m.onnx").read_bytes())
    rng = np.random.default_rng(7)
    refused, path = 0, tmp_path / "mutated.onnx"
    for i in range(files):
        path.write_bytes(mutate(originals[i % 3], rng))
        saved, error = read(path)
        if saved is None:
            refused += 1
            assert "\n" not in error
            assert len(error) < 1000
        else:
            with np.errstate(all="ignore"):  # weights of any size
                shapes = saved.input_shape if saved.model.arity[0] > 1 else (saved.input_shape,)
                x = tuple(xpcnn.asarray(np.zeros((2, *shape), "float32")) for shape in shapes)
                y = saved.model(x if len(x) > 1 else x[0])
                assert all(len(each) == 2 for each in (y if isinstance(y, tuple) else (y,)))
    assert files // 10 < refused < files


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.graph.node.append(node("Relu", "y", "y")), r"in the order in which they run, got \['y'\]"),
        (lambda m: m.graph.node.insert(0, node("Add", "x y", "z")), r"in the order in which they run, got \['y'\]"),
        (lambda m: m.graph.node.append(node("Relu", "z", "z")), "in the order in which they run"),
        (lambda m: m.graph.node.append(onnx.helper.make_node("Relu", ["x"], [])), "in the order in which they run"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "Relu~"), r"names in UTF-8, got b'Relu\\xff'"),
        (lambda m: setattr(m.graph.node[0], "name", "Relu~"), "names in UTF-8"),
        (lambda m: m.graph.initializer.add(name="Relu~"), "names in UTF-8"),
        (lambda m: m.graph.input.add(name="Relu~"), "names in UTF-8"),
        (lambda m: m.graph.output.add(name="Relu~"), "names in UTF-8"),
        (lambda m: m.graph.ClearField("node"), "1 to 10000 nodes, got 0"),
        (lambda m: m.graph.node.extend([node("Relu", "x", "z")] * 10_000), "1 to 10000 nodes, got 10001"),
        (lambda m: m.ClearField("opset_import"), "one opset, 7 to .*got none"),
        (lambda m: setattr(m.opset_import[0], "version", 6), "one opset, 7 to .*got 6"),
        (lambda m: setattr(m.opset_import[0], "version", 999), "got 999; upgrade onnx"),
        (lambda m: m.graph.input.append(m.graph.input[0]), "1 to 64 inputs, each once, got 2"),
        (lambda m: m.graph.ClearField("output"), "1 to 64 outputs, each once, got 0"),
        (lambda m: setattr(m.graph.output[0], "name", "none"), "an output with an axis besides the batch's"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 10), "float64, got element type 10"),
        (lambda m: m.graph.input[0].ClearField("type"), "float32 or float64, got element type 0"),
        (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), r"an input \(N, …\) of sizes ≥ 1"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 0), "of sizes ≥ 1"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 2**60), "an input of at most"),
        (lambda m: m.graph.sparse_initializer.add(), "dense weights"),
    ],
)  # fmt: skip
def test_graphs_that_are_none(tmp_path, change, text):
    model = onnx.load(write(tmp_path / "m.onnx", RELU, ["n", 4]))
    change(model)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString().replace(b"Relu~", b"Relu\xff"))
    with pytest.raises(FormatError, match=text) as caught:
        import_onnx(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"PK\x03\x04", b"\xff" * 100, b"\x80\x04\x95cposix\nsystem\n", b"\x3a\x7f"]
)
def test_files_that_are_no_onnx(tmp_path, data):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(FormatError) as caught:
        import_onnx(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dims", [[2**40, 2**40], [2**31], [-1], [-2, -2], [3], [1] * 9, [0]])
def test_tensors_that_claim_another_size(tmp_path, dims):
    model = onnx.load(write(tmp_path / "m.onnx", [node("Gemm", "x w", "y")], ["n", 2], w=np.ones((2, 2))))
    model.graph.initializer[0].dims[:] = dims
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match="as many numbers as its shape says, got 4 for"):
        import_onnx(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT16, onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, 0, 99])
def test_tensors_of_other_types(tmp_path, kind):
    model = onnx.load(write(tmp_path / "m.onnx", [node("Gemm", "x w", "y")], ["n", 2], w=np.ones((2, 2))))
    model.graph.initializer[0].data_type = kind
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match=f"float32, .*got element type {kind}"):
        import_onnx(tmp_path / "m.onnx")
