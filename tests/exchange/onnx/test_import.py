"""`import_onnx` returns a network of the right shape and dtype on every backend; it trains, is saved and exported."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import xpcnn
from xpcnn import models, nn
from xpcnn.errors import FileError, OptionError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.io import load_model, save_model
from xpcnn.nn import CrossEntropyLoss
from xpcnn.optim import SGD

from .graphs import (
    assert_near,
    check,
    host,
    node,
    numbers,
    randomize,
    run,
    write,
)


def test_what_the_file_leaves_open(tmp_path):
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1])]
    path = write(tmp_path / "m.onnx", nodes, ["n", 2, "h", "w"], w=numbers(3, 2, 3, 3))
    check(path, 5, 7, 2, input_shape=(5, 7, 2))
    with pytest.raises(OptionError, match=r"m.onnx: expected input_shape, which the file leaves open, got none; pass"):
        import_onnx(path)
    for shape in ((5, 7, 3), (5, 7)):
        with pytest.raises(OptionError, match=r"expected input_shape \(any, any, 2\), got \(5, 7"):
            import_onnx(path, input_shape=shape)
    with pytest.raises(OptionError, match=r"each axis of input_shape: .*got 0"):
        import_onnx(path, input_shape=(0, 7, 2))
    with pytest.raises(OptionError, match=r"layout: .*got 'HWC'"):
        import_onnx(path, layout="HWC")


def test_a_layout_that_cannot_be_seen(tmp_path):
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", "y")]
    path = write(tmp_path / "m.onnx", nodes, ["n", 4, 5, 3], w=numbers(60, 2))
    check(path, 4, 5, 3, turned=False, layout="NHWC")
    check(path, 5, 3, 4)


def test_double_precision(tmp_path):
    nodes = [node("Gemm", "x w", "l"), node("BatchNormalization", "l g g g g", "y")]
    double = onnx.TensorProto.DOUBLE
    path = write(tmp_path / "m.onnx", nodes, ["n", 3], dtype=double, w=numbers(3, 4), g=numbers(4) ** 2)
    saved = import_onnx(path)
    assert {str(array.dtype) for array in saved.model.state_dict().values()} == {"float64"}
    x = numbers(2, 3)
    np.testing.assert_allclose(saved.model(x), run(path, x), atol=1e-11)  # the file has ε in float32


def test_on_every_backend(tmp_path, xp, rng):
    model = models.build("lenet5", (12, 12, 2), 3, rng=0)
    export_onnx(model, tmp_path / "m.onnx", input_shape=(12, 12, 2))
    x = rng.random((2, 12, 12, 2), dtype="float32")
    read = import_onnx(tmp_path / "m.onnx").model
    kind = type(xp.array([0.0]))
    assert all(isinstance(array, kind) for array in read.state_dict().values())
    assert_near(host(read, x), host(model, x))


@pytest.mark.parametrize("name", ["lenet5", "vgg_small", "resnet20"])
def test_a_network_trains_on_from_where_it_was(tmp_path, rng, name):
    """Two steps after a round trip give what two steps without one give."""
    shape = (12, 13, 2)
    model = randomize(models.build(name, shape, 3, rng=0), rng)
    export_onnx(model, tmp_path / "m.onnx", input_shape=shape, classes=["a", "b", "c"])
    saved = import_onnx(tmp_path / "m.onnx")
    assert saved.classes == ("a", "b", "c")
    x, target, losses = rng.random((6, *shape), dtype="float32"), np.array([0, 1, 2, 0, 1, 2]), []
    for each in (model, saved.model):
        criterion, optimizer, own = CrossEntropyLoss(), SGD(each.parameters(), lr=1e-4), []
        for _ in range(3):
            y, cache = each.forward(x)
            loss, loss_cache = criterion.forward(y, target)
            optimizer.step(each.backward(criterion.backward(loss_cache), cache)[1])
            own.append(float(loss))
        losses.append(own)
    assert losses[0][0] > losses[0][1] > losses[0][2]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_what_is_read_can_be_saved_and_written_again(tmp_path, rng):
    model = models.build("resnet20", (8, 9, 1), 3, rng=0)
    export_onnx(model, tmp_path / "1.onnx", input_shape=(8, 9, 1), layout="NHWC")
    saved = import_onnx(tmp_path / "1.onnx")
    save_model(saved.model, tmp_path / "model", input_shape=saved.input_shape, extra=saved.extra)
    again = load_model(tmp_path / "model")
    assert again.extra == {"producer": f"xpcnn {xpcnn.__version__}"}
    x = rng.random((2, 8, 9, 1), dtype="float32")
    assert_near(host(again.model, x), host(model, x))
    for name in ("2.onnx", "3.onnx"):
        export_onnx(again.model, tmp_path / name, input_shape=(8, 9, 1), layout="NHWC")
        again = import_onnx(tmp_path / name)
        assert again.model.parameters().keys() == saved.model.parameters().keys()
    assert (tmp_path / "2.onnx").read_bytes() == (tmp_path / "3.onnx").read_bytes()
    assert_near(host(again.model, x), host(model, x))


def test_reading_changes_no_file_and_shares_nothing(tmp_path):
    export_onnx(nn.Linear(3, 2), tmp_path / "m.onnx", input_shape=(3,))
    one, other = (import_onnx(tmp_path / "m.onnx").model for _ in range(2))
    before = other[0].weight.copy()
    one[0].weight *= 0  # as optimizers do, in place
    np.testing.assert_array_equal(other[0].weight, before)
    assert np.any(import_onnx(tmp_path / "m.onnx").model[0].weight)


def test_properties_that_are_something_else(tmp_path):
    """Another program's "classes", or as many as there are no outputs: none, and no error."""
    path = tmp_path / "m.onnx"
    export_onnx(nn.Linear(3, 2), path, input_shape=(3,), classes="ab")
    assert import_onnx(path).classes == ("a", "b")
    for text in ('["a"]', '["a", 1]', "[1", "{}", "a,b", "[" * 100_000):
        file = onnx.load(path)
        for each in file.metadata_props:
            each.value = text
        (tmp_path / "other.onnx").write_bytes(file.SerializeToString())
        assert import_onnx(tmp_path / "other.onnx").classes == ()


def test_missing_files(tmp_path):
    with pytest.raises(FileError, match="a readable file, got No such file"):
        import_onnx(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="a readable file"):
        import_onnx(tmp_path)
