"""A Graph's weights to PyTorch and back: flattened columns that several entries read, and what cannot be said."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.exchange import load_pytorch, save_pytorch

torch = pytest.importorskip("torch")
T = torch.nn


class Gated(T.Module):
    """Two uses of a flattened image, of which one gates the other, beside a third."""

    def __init__(self):
        super().__init__()
        self.conv = T.Conv2d(2, 3, 3)
        self.gate = T.Linear(36, 36)
        self.end = T.Linear(41, 4)
        self.side = T.Linear(36, 5)

    def forward(self, x):
        flat = self.conv(x).flatten(1)
        joined = torch.maximum(flat * torch.sigmoid(self.gate(flat)) - flat, flat)
        return self.end(torch.cat([joined, self.side(flat)], 1))


def gated() -> nn.Graph:
    return nn.Graph(
        {
            "conv": (nn.Conv2d(2, 3, 3, rng=0), "x"),
            "flat": (nn.Flatten(), "conv"),
            "gate": (nn.Linear(36, 36, rng=1), "flat"),
            "sigmoid": (nn.Sigmoid(), "gate"),
            "product": (nn.Multiply(), "flat", "sigmoid"),
            "difference": (nn.Subtract(), "product", "flat"),
            "largest": (nn.Maximum(), "difference", "flat"),
            "side": (nn.Linear(36, 5, rng=2), "flat"),
            "joined": (nn.Concat(), "largest", "side"),
            "end": (nn.Linear(41, 4, rng=3), "joined"),
        }
    )


@pytest.mark.parametrize("way", ["to", "from"])
def test_the_same_numbers(tmp_path, rng, way):
    ours, theirs, path = gated(), Gated(), tmp_path / "weights.safetensors"
    x = rng.normal(size=(3, 6, 5, 2)).astype("float32")
    if way == "to":
        save_pytorch(ours, path, input_shape=(6, 5, 2))
        from safetensors.torch import load_file

        theirs.load_state_dict(load_file(path))
    else:
        from safetensors.torch import save_file

        save_file(theirs.state_dict(), path)
        load_pytorch(ours, path, input_shape=(6, 5, 2))
    expected = theirs(torch.tensor(x).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5)


def test_columns_in_two_orders_are_refused(tmp_path):
    net = nn.Graph(
        {
            "flat": (nn.Flatten(), "x"),
            "square": (nn.Unflatten((2, 2, 9)), "flat"),
            "again": (nn.Flatten(), "square"),
            "y": (nn.Add(), "again", "flat"),
        }
    )
    with pytest.raises(OptionError, match=r"an Unflatten, at (square|y)"):
        save_pytorch(net, tmp_path / "w.safetensors", input_shape=(3, 4, 3))


def test_flattened_columns_within_a_graph_of_several_inputs(tmp_path, rng):
    """The layers of a graph in a graph are walked, whatever number of values it reads."""
    inner = nn.Graph(
        {
            "flat": (nn.Flatten(), "u"),
            "fc": (nn.Linear(24, 5, rng=0), "flat"),
            "y": (nn.Add(), "fc", "v"),
            "z": (nn.Multiply(), "fc", "v"),
        },
        inputs=("u", "v"),
        outputs=("y", "z"),
    )
    net = nn.Graph(
        {
            "conv": (nn.Conv2d(2, 2, 1, rng=1), "x"),
            "mean": (nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(2, 5, rng=2)), "conv"),
            "in": (inner, "conv", "mean"),
            "end": (nn.Multiply(), "in"),
        }
    )
    save_pytorch(net, tmp_path / "w.safetensors", input_shape=(3, 4, 2))
    from safetensors.numpy import load_file

    saved = load_file(tmp_path / "w.safetensors")["in.fc.weight"]
    theirs = np.moveaxis(net.parameters()["in.fc.weight"].reshape(5, 3, 4, 2), -1, 1).reshape(5, 24)
    np.testing.assert_array_equal(saved, theirs)
