"""`xpcnn export`: other programs give the answers of `predict`; wrong turns are one line, and lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import asarray, exchange, models, to_numpy
from xpcnn.io.model_file import load_model, save_model

from .command import xpcnn_command


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.safetensors"
    save_model(models.lenet5(rng=0), path, input_shape=(28, 28, 1), classes="0123456789")
    return path


def test_onnx_for_onnxruntime(model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    x = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    expected = to_numpy(load_model(model).model(asarray(x)))
    for layout, given in (("NCHW", x.transpose(0, 3, 1, 2)), ("NHWC", x)):
        done = xpcnn_command("export", model, "model.onnx", "--layout", layout, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {"input": given})[0], expected, atol=1e-5)


@pytest.mark.parametrize(("words", "load"), [((), exchange.load_pytorch), (("--to", "mlx"), exchange.load_mlx)])
def test_weights_that_come_back(model, tmp_path, words, load):
    assert xpcnn_command("export", model, "weights.safetensors", *words, cwd=tmp_path).returncode == 0
    other = models.lenet5(rng=1)
    load(other, tmp_path / "weights.safetensors", **({} if words else {"input_shape": (28, 28, 1)}))
    for name, array in load_model(model).model.state_dict().items():
        np.testing.assert_array_equal(to_numpy(array), to_numpy(other.state_dict()[name]))


@pytest.mark.parametrize("words", [(), ("--to", "mlx")])
def test_weights_alone_lack_the_normalisation_and_it_is_said(tmp_path, words):
    network = models.normalized(models.mlp((2, 2, 3), 2, rng=0), (0.25, 0.5, 0.125), (0.5, 0.25, 1))
    save_model(network, tmp_path / "model.safetensors", input_shape=(2, 2, 3), classes="ab")
    done = xpcnn_command("export", "model.safetensors", "weights.safetensors", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "layer 0, which is not in it, is (x - mean) / std: mean (0.25, 0.5, 0.125), std (0.5, 0.25, 1.0)"
    assert done.stdout.splitlines()[1:] == [said]
    done = xpcnn_command("export", "model.safetensors", "model.onnx", cwd=tmp_path)  # which has all layers
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model.txt",), "export: expected a file .onnx, .py or .safetensors, or --to, got model.txt"),
        (("/proc/nowhere/model.onnx",), "/proc/nowhere/model.onnx"),
        (("model.onnx", "--layout", "CHW"), "invalid choice: 'CHW'"),
    ],
)
def test_wrong_turns(model, tmp_path, words, said):
    done = xpcnn_command("export", model, *words, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_the_model_s_own_file_is_not_written_over(model):
    before = model.read_bytes()
    done = xpcnn_command("export", model, model, cwd=model.parent)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "another file than the model's own" in done.stderr
    assert model.read_bytes() == before
