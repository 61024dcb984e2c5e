"""Graphs that are no chains: what several nodes read, joins, several outputs, features; equal to onnxruntime."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper

from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.io import load_model, save_model

from .graphs import assert_near, check, compare, constant, first, host, kinds, last, node, numbers, run, write

IMAGE = ["n", 4, 6, 5]
W = {"w": numbers(4, 4, 1, 1), "v": numbers(4, 4, 3, 3, seed=1), "r": numbers(2, 4, 1, 1), "e": numbers(4, 2, 1, 1)}
BRANCHES = {
    "crossing": [
        node("Relu", "x", "a"), node("Tanh", "a", "b"), node("Add", "a b", "c"), node("Elu", "b", "d"),
        node("Add", "c d", "y"),
    ],
    "dense": [
        node("Conv", "x w", "a"), node("Concat", "x a", "b", axis=1), node("Relu", "b", "c"),
        node("Concat", "x a c", "d", axis=1), node("Concat", "c d a", "y", axis=1),
    ],
    "the input at the end": [node("Conv", "x w", "a"), node("Mul", "a x", "y")],
    "one value twice": [node("Relu", "x", "a"), node("Mul", "a a", "b"), node("Sub", "b a", "c"),
                        node("Add", "c c", "y")],
    "many": [node("Relu", "x", "a"), node("Tanh", "x", "b"), node("Sum", "a b x", "c"), node("Max", "c a b", "y")],
    "one": [node("Sum", "x", "a"), node("Max", "a", "b"), node("Concat", "b", "y", axis=1)],
    "squeeze and excitation": [
        node("Conv", "x v", "a", pads=[1] * 4), node("GlobalAveragePool", "a", "b"), node("Conv", "b r", "c"),
        node("Relu", "c", "d"), node("Conv", "d e", "f"), node("Sigmoid", "f", "g"), node("Mul", "g a", "y"),
    ],
    "squeeze and excitation, by ReduceMean": [
        constant("axes", [2, 3]), node("ReduceMean", "x axes", "b"), node("Conv", "b r", "c"), node("Relu", "c", "d"),
        node("Conv", "d e", "f"), node("Sigmoid", "f", "g"), node("Mul", "x g", "y"),
    ],
    "squeeze and excitation, of rows": [
        node("GlobalAveragePool", "x", "b"), node("Flatten", "b", "c"), node("Gemm", "c m", "d"),
        node("Sigmoid", "d", "g"), constant("to", [-1, 4, 1, 1]), node("Reshape", "g to", "h"),
        node("Mul", "x h", "y"),
    ],
    "attention to places": [node("Conv", "x one", "a"), node("Sigmoid", "a", "b"), node("Mul", "x b", "y")],
    "both are spread": [
        node("Conv", "x one", "a"), node("GlobalMaxPool", "x", "b"), node("Sub", "a b", "c"), node("Max", "b a", "d"),
        node("Add", "c d", "y"),
    ],
    "channels last": [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Sigmoid", "t", "s"), node("Mul", "t s2", "u"),
        node("Concat", "t u", "c", axis=-1), node("Transpose", "c", "y", perm=[0, 3, 1, 2]),
    ],
    "a product and its bias, both read": [
        node("Conv", "x w", "a"), node("Add", "a bias", "b"), node("Mul", "a b", "y"),
    ],
}  # fmt: skip
BRANCHES["channels last"].insert(2, node("Softplus", "s", "s2"))
CONSTANTS = W | {"one": numbers(1, 4, 1, 1), "m": numbers(4, 4), "bias": numbers(4, 1, 1)}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches(tmp_path, name):
    check(write(tmp_path / "m.onnx", BRANCHES[name], IMAGE, **CONSTANTS), 6, 5, 4)


@pytest.mark.parametrize("name", BRANCHES)
def test_what_is_read_is_saved_and_written_again(tmp_path, name):
    saved = import_onnx(write(tmp_path / "m.onnx", BRANCHES[name], IMAGE, **CONSTANTS))
    save_model(saved.model, tmp_path / "model", input_shape=saved.input_shape)
    compare(tmp_path / "again.onnx", load_model(tmp_path / "model").model, numbers(2, 6, 5, 4).astype("float32"))


def test_entries_have_the_names_of_nodes(tmp_path):
    nodes = BRANCHES["crossing"]
    for each, name in zip(nodes, ["/features/0.1/Relu", "", "tanh", "tanh/", "x"], strict=True):
        each.name = name
    model = check(write(tmp_path / "m.onnx", nodes, IMAGE), 6, 5, 4)
    assert list(model.reads) == ["features_0_1_Relu", "Tanh_1", "tanh", "tanh_2", "x_2"]


ROWS = {
    "a sum": [node("Gemm", "f k", "g"), node("Add", "f g", "y")],
    "side by side": [node("Gemm", "f q", "g"), node("Concat", "f g", "y", axis=1)],
    "a number for all": [node("Gemm", "f one", "g"), node("Mul", "f g", "y")],
    "the same order": [node("Tanh", "f", "g"), node("Mul", "f g", "h"), node("Gemm", "h q", "y")],
    "both": [node("Gemm", "f k", "g"), node("Add", "f g", "h"), node("Mul", "h f", "i"), node("Gemm", "i q", "y")],
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("between", [[], [node("Relu", "f0", "f")]])
def test_rows_that_were_images(tmp_path, name, between):
    """Their numbers are in the layers' order, and in the graph's where they meet others, or come out."""
    nodes = [node("Flatten", "x", "f0" if between else "f"), *between, *ROWS[name]]
    weights = {"k": numbers(24, 24), "q": numbers(24, 3), "one": numbers(24, 1)}
    check(write(tmp_path / "m.onnx", nodes, ["n", 2, 3, 4], **weights), 3, 4, 2)


def test_features_are_the_output(tmp_path):
    path = tmp_path / "m.onnx"
    model = check(write(path, [node("Flatten", "x", "y")], ["n", 2, 3, 4]), 3, 4, 2)
    assert kinds(model) == ["Flatten", "ChannelShuffle"]
    nodes = [node("Conv", "x w", "a"), node("Flatten", "a", "b"), node("Relu", "b", "y")]
    model = check(write(path, nodes, IMAGE, **W), 6, 5, 4)
    compare(tmp_path / "again.onnx", model, numbers(2, 6, 5, 4).astype("float32"))


def two(path, nodes, outputs, **weights):
    model = onnx.load(write(path, nodes, IMAGE, outputs[0], **weights))
    for name in outputs[1:]:
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())
    return path


HEADS = [
    node("Conv", "x w", "a"), node("Relu", "a", "b"), node("GlobalAveragePool", "b", "p"), node("Flatten", "p", "f"),
    node("Gemm", "f m", "y"), node("Transpose", "b", "t", perm=[0, 2, 3, 1]), node("Flatten", "a", "z"),
]  # fmt: skip


@pytest.mark.parametrize("outputs", [("y", "b"), ("b", "y", "a"), ("y", "x"), ("t", "b", "z"), ("y", "z")])
def test_several_outputs(tmp_path, outputs):
    import onnxruntime

    path = two(tmp_path / "m.onnx", HEADS, outputs, **CONSTANTS)
    x = numbers(2, 6, 5, 4).astype("float32")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(list(outputs), {"x": first(x)})
    model = import_onnx(path).model
    assert len(model.outputs) == len(outputs)
    for name, ours, theirs in zip(outputs, model(x), expected, strict=True):
        turned = theirs.ndim == 4 and name != "t"
        assert_near(ours, last(theirs) if turned else theirs)
        alone = import_onnx(path, output=name).model
        assert_near(host(alone, x), last(theirs) if turned else theirs)


def test_one_value_of_all(tmp_path):
    """Also one that is no output; what comes after it may be what no layer stands for."""
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Det", "b", "y")]
    path = write(tmp_path / "m.onnx", nodes, IMAGE, **W)
    with pytest.raises(FormatError, match=r"n_y \(Det\): expected an operator that .*; output='b' reads what comes"):
        import_onnx(path)
    assert kinds(import_onnx(path, output="b").model) == ["Conv2d", "ReLU"]
    for wrong in ("c", "w", ""):
        with pytest.raises(OptionError, match=r"m.onnx: expected output: y, or another value, got"):
            import_onnx(path, output=wrong)


def test_an_output_that_can_be_read(tmp_path):
    path = two(tmp_path / "m.onnx", [*HEADS, node("Det", "b", "d")], ("d", "y"), **CONSTANTS)
    with pytest.raises(FormatError, match=r"n_d \(Det\).*; output='y' can be read"):
        import_onnx(path)
    assert kinds(import_onnx(path, output="y").model)[-1] == "Linear"


def test_all_kinds_that_stop_it_are_named(tmp_path):
    nodes = [node("Conv", "x w", "a"), node("Det", "a", "b"), node("Sin", "b", "c"), node("Sin", "c", "d"),
             node("LSTM", "d", "l"), node("Relu", "a", "f"), node("Gelu", "f", "g", approximate="none", odd=1),
             node("Pow", "f two", "h"), node("Flatten", "a", "i", axis=2), node("Sum", "l g h i", "y")]  # fmt: skip
    with pytest.raises(FormatError) as caught:
        import_onnx(write(tmp_path / "m.onnx", nodes, IMAGE, two=2.0, **W))
    said = str(caught.value)
    assert "node n_b (Det): expected an operator that layers of xpcnn.nn stand for, got Det" in said
    assert "what stops the file: 1 Det (first n_b), 2 Sin (first n_c), 1 LSTM (first n_l, recurrent)" in said
    assert "1 Flatten (first n_i)" in said


def test_one_kind_that_is_out_of_scope_is_named_as_such(tmp_path):
    with pytest.raises(FormatError, match=r"what stops the file: 1 QuantizeLinear .first n_y, quantised.$"):
        import_onnx(write(tmp_path / "m.onnx", [node("QuantizeLinear", "x", "y")], IMAGE))


@pytest.mark.parametrize("batch", [-1, 0, "n"])
def test_an_unknown_batch(tmp_path, batch):
    """-1 is how Paddle writes it."""
    nodes = [node("Shape", "x", "s"), constant("zero", [0]), node("Gather", "s zero", "n"), constant("rest", [-1]),
             node("Concat", "n rest", "to", axis=0), node("Reshape", "x to", "f"),
             node("Gemm", "f m", "y")]  # fmt: skip
    path = write(tmp_path / "m.onnx", nodes, IMAGE, m=numbers(120, 3))
    model = onnx.load(path)
    dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    if batch == -1:
        dim.dim_value = -1
    elif batch == "n":
        dim.dim_param = "n"
    path.write_bytes(model.SerializeToString())
    saved = import_onnx(path)
    dim.Clear()
    (tmp_path / "run.onnx").write_bytes(model.SerializeToString())
    x = numbers(2, 6, 5, 4).astype("float32")
    assert_near(host(saved.model, x), run(tmp_path / "run.onnx", first(x)))


@pytest.mark.parametrize(
    ("sizes", "to", "after"),
    [
        ([6, 5, 1], [-1, 1, 6, 5], [node("Conv", "r k", "y")]),
        ([1, 6, 5], [0, 6, 5, 1], [node("Transpose", "r", "t", perm=[0, 3, 1, 2]), node("Conv", "t k", "y")]),
        ([4, 1, 1], [0, 1, 1, 4], [node("Transpose", "r", "t", perm=[0, 3, 1, 2]), node("Conv", "t j", "y")]),
    ],
)
def test_a_reshape_that_moves_axes_of_length_one(tmp_path, sizes, to, after):
    nodes = [node("Reshape", "x to", "r"), *after]
    path = write(tmp_path / "m.onnx", nodes, ["n", *sizes], to=to, k=numbers(2, 1, 3, 3), j=numbers(2, 4, 1, 1))
    layout = "NHWC" if sizes == [6, 5, 1] else "NCHW"
    saved = import_onnx(path, layout=layout)
    assert kinds(saved.model) == ["Conv2d"]
    x = numbers(2, *saved.input_shape).astype("float32")
    assert_near(host(saved.model, x), last(run(path, x if layout == "NHWC" else first(x))))


def test_a_chain_stays_a_sequential(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(4, 2, rng=1))
    export_onnx(model, tmp_path / "m.onnx", input_shape=(5, 5, 3))
    assert list(import_onnx(tmp_path / "m.onnx").model.parameters()) == list(model.parameters())


CHANNELS = {
    "a number": [node("Mul", "x two", "a"), node("Add", "a two", "b"), node("Sub", "two b", "c"),
                 node("Sub", "c two", "d"), node("Div", "d two", "y")],
    "a number a channel": [node("Mul", "per x", "a"), node("Add", "a other", "b"), node("Sub", "b per", "c"),
                           node("Div", "c other", "y")],
    "a product that is read twice": [node("Mul", "x per", "a"), node("Add", "a two", "b"), node("Sub", "a b", "y")],
    "rows that were images": [node("Flatten", "x", "f"), node("Mul", "f row", "g"), node("Add", "g row", "y")],
    "slices": [node("Slice", "x zero one one1", "a"), node("Slice", "x one end one1", "b"),
               node("Slice", "x zero one negative", "c"), node("Concat", "b a c", "y", axis=1)],
    "all of it": [node("Slice", "x zero end one1", "y")],
    "a split": [node("Split", "x parts", "a b", axis=1), node("Concat", "b a", "y", axis=1)],
    "equal parts": [node("Split", "x", "a b", axis=1, num_outputs=2), node("Mul", "a b", "y")],
    "a shuffle": [constant("to", [0, 2, 2, 6, 5]), node("Reshape", "x to", "a"),
                  node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]), constant("back", [0, -1, 6, 5]),
                  node("Reshape", "b back", "y")],
    "blocks": [node("DepthToSpace", "x", "y", blocksize=2)],
    "blocks of pixels": [node("DepthToSpace", "x", "a", blocksize=2, mode="CRD"),
                         node("SpaceToDepth", "a", "y", blocksize=2)],
    "blocks written out": [constant("to", [-1, 1, 2, 2, 6, 5]), node("Reshape", "x to", "a"),
                           node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]), constant("back", [-1, 1, 12, 10]),
                           node("Reshape", "b back", "y")],
    "a product of pixels": [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("MatMul", "t q", "u"),
                            node("Add", "u three", "v"), node("Transpose", "v", "y", perm=[0, 3, 1, 2])],
}  # fmt: skip
NUMBERS = {"two": 2.0, "per": numbers(4, 1, 1), "other": numbers(1, 4, 1, 1, seed=3), "row": numbers(120)}
NUMBERS |= {"zero": [0], "one": [1], "end": [2**31], "one1": [1], "negative": [-3], "parts": [1, 3]}
NUMBERS |= {"q": numbers(4, 3), "three": numbers(3)}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels(tmp_path, name):
    check(write(tmp_path / "m.onnx", CHANNELS[name], IMAGE, **NUMBERS), 6, 5, 4)


AXES = {"of channels": [1], "of height": [2], "of height and channels": [1, 2], "of all": [1, 2, 3], "of width": [-1]}


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceMax"])
def test_means_and_maxima_over_axes(tmp_path, name, operator):
    nodes = [node(operator, "x axes", "a"), node("Add", "a x", "y")]
    check(write(tmp_path / "m.onnx", nodes, IMAGE, axes=AXES[name]), 6, 5, 4)
    if len(AXES[name]) == 2:
        nodes = [node(operator, "x axes", "a", keepdims=0), node("Relu", "a", "y")]
        check(write(tmp_path / "m.onnx", nodes, IMAGE, axes=AXES[name]), 6, 5, 4, turned=True)


@pytest.mark.parametrize("how", ["half_pixel", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize("size", [[9, 7], [12, 10], [3, 2], [6, 11]])
def test_bilinear_upsampling(tmp_path, how, size):
    """By sizes and by scales."""
    nodes = [node("Resize", "x - - size", "y", mode="linear", coordinate_transformation_mode=how)]
    check(write(tmp_path / "m.onnx", nodes, IMAGE, size=[2, 4, *size]), 6, 5, 4)
    nodes = [node("Resize", "x - scales", "y", mode="linear", coordinate_transformation_mode=how)]
    path = write(tmp_path / "m.onnx", nodes, IMAGE, scales=[1.0, 1.0, (size[0] + 0.3) / 6, (size[1] + 0.2) / 5])
    if how == "align_corners":  # ONNX divides by the size before it is rounded, onnxruntime by the one after
        with pytest.raises(FormatError, match="scales by which sizes are whole numbers"):
            import_onnx(path)
    else:
        check(path, 6, 5, 4)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 3, 0], [0, 0, 0, 0, 0, 0, 2, 1], [0, 0, 5, 4, 0, 0, 5, 4]])
def test_padding_with_the_image_s_own_numbers(tmp_path, mode, pads):
    check(write(tmp_path / "m.onnx", [node("Pad", "x p", "y", mode=mode)], IMAGE, p=pads), 6, 5, 4)
