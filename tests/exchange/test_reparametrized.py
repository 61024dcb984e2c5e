"""Weights that PyTorch stores in parts (weight norm, spectral norm, pruning) arrive as the weights it computes.

PyTorch itself writes the files where it is; the equations are also computed here by loops.
"""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError
from xpcnn.exchange import load_pytorch, load_weights
from xpcnn.exchange.reparametrized import folded
from xpcnn.io import safetensors


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_weight_norm_by_loops(axis, newer, rng):
    v = rng.normal(size=(3, 2, 4))
    index = [[...]] if axis is None else [(slice(None),) * axis + (i,) for i in range(v.shape[axis])]
    expected = np.zeros_like(v)
    g = np.zeros(() if axis is None else [n if i == axis else 1 for i, n in enumerate(v.shape)])
    for i, at in enumerate(index):
        at = tuple(at)
        length = sum(float(number) ** 2 for number in v[at].ravel()) ** 0.5
        g.reshape(-1)[i] = 1.5 + i
        expected[at] = (1.5 + i) * v[at] / length
    names = ("a.parametrizations.w.original0", "a.parametrizations.w.original1") if newer else ("a.w_g", "a.w_v")
    made, said = folded("f", {"b": v, **dict(zip(names, (g, v), strict=True))})
    assert list(made) == ["b", "a.w"]
    assert said == ["computed 1 weights from weight norm: a.w"]
    np.testing.assert_allclose(made["a.w"], expected, rtol=1e-14)


def torch_module(torch, kind):
    from torch.nn.utils import prune

    T, norms = torch.nn, torch.nn.utils
    torch.manual_seed(0)
    module = T.Sequential(T.Conv2d(3, 5, 3), T.ConvTranspose2d(5, 5, 2), T.Conv2d(5, 4, 1))
    for i, layer in enumerate(module):
        if kind == "pruning":
            prune.random_unstructured(layer, "weight", 0.3)
        elif kind == "weight norm, older":
            norms.weight_norm(layer, dim=(0, 1, None)[i])
        elif kind == "weight norm":
            norms.parametrizations.weight_norm(layer, dim=(0, 1, None)[i])
        elif kind == "spectral norm, older":
            norms.spectral_norm(layer)
        else:
            norms.parametrizations.spectral_norm(layer)
    for _ in range(20):  # u and v of spectral norm settle
        module(torch.zeros(1, 3, 8, 8))
    return module.eval()


@pytest.mark.parametrize(
    "kind", ["weight norm", "weight norm, older", "spectral norm", "spectral norm, older", "pruning"]
)
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_files_of_pytorch(tmp_path, kind):
    torch = pytest.importorskip("torch")
    module = torch_module(torch, kind)
    x = torch.randn(2, 3, 8, 7)
    state = {name: array.detach().numpy() for name, array in module.state_dict().items()}
    safetensors.save(tmp_path / "w.safetensors", state, {}, checksum=False)

    def network():
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ConvTranspose2d(5, 5, 2), nn.Conv2d(5, 4, 1))

    net = network()
    done = load_weights(net, tmp_path / "w.safetensors")
    assert done.notes == (f"computed 3 weights from {kind.partition(',')[0]}: 0.weight, 1.weight, 2.weight",)
    expected = module(x).detach().numpy().transpose(0, 2, 3, 1)
    y = xpcnn.to_numpy(net(xpcnn.asarray(x.numpy().transpose(0, 2, 3, 1).copy())))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    other = load_pytorch(network(), tmp_path / "w.safetensors")
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(xpcnn.to_numpy(other.state_dict()[name]), xpcnn.to_numpy(array))


SQUARE = np.eye(3)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        (
            {"a.parametrizations.weight.original": SQUARE, "a.parametrizations.weight.0.base": SQUARE},
            "0.base, original",
        ),
        ({"a.weight_orig": SQUARE, "a.weight_u": np.ones(3)}, "before 1.0, without v"),
        ({"a.weight_g": np.ones((2, 1)), "a.weight_v": np.ones((3, 2))}, r"a g \(2, 1\) for a v \(3, 2\)"),
        ({"a.weight_g": np.ones((3, 1)), "a.weight_v": np.zeros((3, 2))}, "norm 0"),
        ({"a.weight_orig": SQUARE, "a.weight_u": np.ones(3), "a.weight_v": np.ones(3)}, "fit several axes"),
        ({"a.weight_orig": SQUARE, "a.weight_u": np.ones(2), "a.weight_v": np.ones(3)}, r"a u \(2,\)"),
        ({"a.weight_orig": SQUARE, "a.weight_mask": np.ones(3)}, "a mask"),
        ({"a.weight_g": np.ones((3, 1), "i4"), "a.weight_v": SQUARE}, "no floats"),
        ({"a.weight": SQUARE, "a.weight_g": np.ones((3, 1)), "a.weight_v": SQUARE}, "a.weight_g, a.weight_v too"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(arrays, text):
    with pytest.raises(FormatError, match=text) as caught:
        folded("f", arrays)
    assert "weight norm, spectral norm or pruning at a.weight, got" in str(caught.value)


def test_other_names_that_end_alike_stay():
    arrays = {"conv_v.weight": SQUARE, "linear_g": SQUARE, "alpha_v": SQUARE, "alpha_u": SQUARE}
    assert folded("f", arrays) == (arrays, [])
