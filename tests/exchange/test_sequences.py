"""Networks of sequences: weights and ONNX files from other programs, and for them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError
from xpcnn.exchange import import_onnx, load_keras, load_mlx, load_pytorch, save_mlx, save_pytorch

from ..arrays import assert_close
from .onnx import graphs


def network(seed=0):
    return nn.Sequential(
        nn.Conv1d(3, 8, 3, padding=1, bias=False, rng=seed),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(8, 16, 3, groups=8, rng=seed),
        nn.PReLU(16),
        nn.ConvTranspose1d(16, 4, 4, stride=2, padding=1, rng=seed),
        nn.Flatten(),
        nn.Linear(32, 5, rng=seed),
    )


def pytorch():
    T = pytest.importorskip("torch").nn
    return T.Sequential(
        *(T.Conv1d(3, 8, 3, padding=1, bias=False), T.BatchNorm1d(8), T.ReLU(), T.MaxPool1d(2)),
        *(T.Conv1d(8, 16, 3, groups=8), T.PReLU(16), T.ConvTranspose1d(16, 4, 4, stride=2, padding=1)),
        *(T.Flatten(), T.Linear(32, 5)),
    )


def test_weights_of_pytorch_both_ways(tmp_path, rng):
    torch, save_file = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch").save_file
    theirs = pytorch().eval()
    with torch.no_grad():
        theirs[1].running_mean.normal_()
        theirs[1].weight.uniform_(0.5, 2)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = load_pytorch(network(), tmp_path / "theirs.safetensors", input_shape=(12, 3))
    x = rng.normal(size=(2, 12, 3)).astype("float32")

    def logits(module):
        with torch.no_grad():
            return module(torch.tensor(np.moveaxis(x, 2, 1).copy())).numpy()

    assert_close(ours(xpcnn.asarray(x)), logits(theirs))
    save_pytorch(ours, tmp_path / "ours.safetensors", input_shape=(12, 3))
    again = pytorch().eval()
    again.load_state_dict(pytest.importorskip("safetensors.torch").load_file(tmp_path / "ours.safetensors"))
    np.testing.assert_array_equal(logits(again), logits(theirs))


def test_weights_of_keras_as_it_lays_them_out(tmp_path):
    """By its equations: y[j,f] = Σ x[j+v,c] · kernel[v,c,f]; depthwise, y[j,c·M+m] = Σ x[j+v,c] · kernel[v,c,m]."""
    h5py = pytest.importorskip("h5py")
    model, other = network(0), network(1)
    conv, depthwise, transposed = (model[k].weight for k in (0, 4, 6))
    deep = np.zeros((3, 8, 2), "float32")
    for v, c, m in np.ndindex(*deep.shape):
        deep[v, c, m] = depthwise[c * 2 + m, v, 0]
    arrays = {
        "conv1d": [np.moveaxis(conv, 0, 2)],
        "batch_normalization": [model[1].weight, model[1].bias, model[1].running_mean, model[1].running_var],
        "depthwise_conv1d": [deep, model[4].bias],
        "p_re_lu": [model[5].weight[None]],
        "conv1d_transpose": [np.moveaxis(transposed, 0, 2), model[6].bias],
        "dense": [model[8].weight.T, model[8].bias],
    }
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for name, each in arrays.items():
            for number, array in enumerate(each):
                file[f"layers/{name}/vars/{number}"] = np.asarray(array)
    names = {str(k): f"layers/{name}" for k, name in zip((0, 1, 4, 5, 6, 8), arrays, strict=True)}
    load_keras(other, tmp_path / "model.weights.h5", names=names)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_weights_of_mlx_both_ways(tmp_path):
    model = network(0)
    save_mlx(model, tmp_path / "w.npz")
    arrays = np.load(tmp_path / "w.npz")
    assert arrays["layers.0.weight"].shape == (8, 3, 3)
    np.testing.assert_array_equal(arrays["layers.6.weight"], np.transpose(model[6].weight, (2, 1, 0)))
    other = load_mlx(network(1), tmp_path / "w.npz")
    np.testing.assert_array_equal(other[6].weight, model[6].weight)


LAYERS = [
    nn.Conv1d(4, 6, 3, stride=2, padding=(2, 1), dilation=2, groups=2, rng=0),
    nn.Conv1d(4, 6, 3, padding="same", rng=0),
    nn.ConvTranspose1d(4, 6, 3, stride=2, padding=(0, 1), output_padding=1, rng=0),
    nn.ZeroPad1d((2, 1)),
    nn.ReflectionPad1d((3, 8)),
    nn.ReplicationPad1d((0, 12)),
    nn.MaxPool1d(2, ceil_mode=True),
    nn.MaxPool1d(2, stride=1, padding=2, dilation=3),
    nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True),
    nn.AvgPool1d(3, stride=2, padding=(1, 0), count_include_pad=False),
    *(nn.AdaptiveAvgPool1d(n) for n in (1, 3, 9, 20)),
    nn.GlobalMaxPool1d(),
    nn.GlobalAvgPool1d(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_files_of_onnx(tmp_path, rng, layer):
    pytest.importorskip("onnxruntime")
    x = rng.normal(size=(2, 9, 4)).astype("float32") - 1
    back = graphs.compare(tmp_path / "m.onnx", graphs.randomize(layer, rng), x)
    alike = isinstance(layer, nn.AdaptiveAvgPool1d) and 9 % layer.output_size == 0 and layer.output_size > 1
    assert [type(each) for each in back.children().values()] == [nn.AvgPool1d if alike else type(layer)]


def test_padding_and_what_is_cut_off_again(tmp_path, rng):
    """With output_padding ≥ stride, zeros are put after the sequence."""
    pytest.importorskip("onnxruntime")
    layer = nn.ConvTranspose1d(4, 6, 2, dilation=3, output_padding=2, rng=0)
    graphs.compare(tmp_path / "m.onnx", layer.to_backend(), rng.normal(size=(2, 9, 4)).astype("float32"))


def test_rows_become_sequences(tmp_path, rng):
    torch, save_file = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch").save_file
    T = torch.nn
    theirs = T.Sequential(T.Linear(5, 12), T.ReLU(), T.Unflatten(1, (3, 4)), T.Conv1d(3, 2, 3, padding=1), T.Flatten())
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    ours = nn.Sequential(
        nn.Linear(5, 12), nn.ReLU(), nn.Unflatten((4, 3)), nn.Conv1d(3, 2, 3, padding=1), nn.Flatten()
    ).to_backend()
    load_pytorch(ours, tmp_path / "w.safetensors", input_shape=(5,))
    x = rng.normal(size=(2, 5)).astype("float32")
    with torch.no_grad():
        y = theirs(torch.tensor(x)).numpy()
    np.testing.assert_allclose(graphs.host(ours, x).reshape(2, 4, 2).transpose(0, 2, 1).reshape(2, 8), y, atol=1e-6)
    again = graphs.compare(tmp_path / "m.onnx", nn.Sequential(*list(ours)[:4]), x)
    assert isinstance(again[2], nn.Unflatten)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_padding_that_onnx_works_out(tmp_path, auto):
    pytest.importorskip("onnxruntime")
    nodes = [
        graphs.node("Conv", "x w", "a", auto_pad=auto, strides=[2]),
        graphs.node("MaxPool", "a", "b", kernel_shape=[2], auto_pad=auto),
        graphs.node("ConvTranspose", "b t", "y", strides=[2], **({} if auto == "VALID" else {"output_shape": [7]})),
    ]
    arrays = {"w": graphs.numbers(4, 3, 4), "t": graphs.numbers(4, 2, 3)}
    graphs.check(graphs.write(tmp_path / "m.onnx", nodes, [2, 3, 9], **arrays), 9, 3)


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_network_of_pytorch(tmp_path, rng, dynamo):
    torch = pytest.importorskip("torch")
    if dynamo:
        pytest.importorskip("onnxscript")
    theirs = pytorch().eval()
    x = torch.tensor(rng.normal(size=(2, 3, 12)).astype("float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(theirs, (x,), tmp_path / "m.onnx", dynamo=dynamo, verbose=False)
    saved = import_onnx(tmp_path / "m.onnx")
    assert saved.input_shape == (12, 3)
    with torch.no_grad():
        graphs.assert_near(graphs.host(saved.model, graphs.last(x.numpy())), theirs(x).numpy())


def test_a_kernel_of_images_over_sequences_is_refused(tmp_path):
    nodes = [graphs.node("Conv", "x w", "y")]
    path = graphs.write(tmp_path / "m.onnx", nodes, [1, 3, 9], w=graphs.numbers(4, 3, 2, 2))
    with pytest.raises(FormatError, match="weights of 3 axes"):
        import_onnx(path)
