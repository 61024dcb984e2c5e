"""Images that a network makes of rows are the same here and in PyTorch with the same weights, whichever side they are
from; the witnesses are modules of PyTorch itself."""

from __future__ import annotations

import os

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.exchange import load_pytorch, save_pytorch

from ..arrays import assert_close

torch = pytest.importorskip("torch")
T = torch.nn

from .test_pytorch import Around, disturb, disturb_ours  # noqa: E402  which is of PyTorch's modules


def autoencoder():
    return (
        T.Sequential(
            *(T.Conv2d(2, 3, 3), T.ReLU(), T.Flatten(), T.Linear(36, 5), T.Linear(5, 24), T.BatchNorm1d(24), T.ReLU()),
            *(T.Dropout(), T.Unflatten(1, (4, 3, 2)), T.ConvTranspose2d(4, 2, (4, 3), stride=(1, 3)), T.Sigmoid()),
        ),
        nn.Sequential(
            *(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5), nn.Linear(5, 24), nn.BatchNorm1d(24)),
            *(nn.ReLU(), nn.Dropout(), nn.Unflatten((3, 2, 4)), nn.ConvTranspose2d(4, 2, (4, 3), stride=(1, 3))),
            nn.Sigmoid(),
        ),
        (6, 5, 2),
    )


def generator():
    return (
        T.Sequential(T.Linear(5, 24), T.PReLU(24), T.Unflatten(1, (2, 3, 4)), T.Conv2d(2, 3, 2)),
        nn.Sequential(nn.Linear(5, 24), nn.PReLU(24), nn.Unflatten((3, 4, 2)), nn.Conv2d(2, 3, 2)),
        (5,),
    )


def branches():
    """Rows that are added to a flattened image, that become an image, and that were one before."""
    return (
        T.Sequential(
            *(T.Conv2d(2, 2, 1), T.Flatten(), T.Flatten(), Around(T.Linear(24, 24), T.PReLU(24))),
            T.Linear(24, 24, bias=False),
            *(Around(T.Sequential(T.PReLU(24), T.Linear(24, 24)), T.Linear(24, 24)), T.LayerNorm(24)),
            *(T.Unflatten(1, (2, 3, 4)), T.Conv2d(2, 3, 2), T.Flatten(), T.ReLU(), T.Unflatten(1, (3, 2, 3))),
            T.Conv2d(3, 1, 1),
        ),
        nn.Sequential(
            *(nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Flatten(), nn.Residual(nn.Linear(24, 24), nn.PReLU(24))),
            nn.Linear(24, 24, bias=False),
            nn.Residual(nn.Sequential(nn.PReLU(24), nn.Linear(24, 24)), nn.Linear(24, 24)),
            *(nn.LayerNorm(24), nn.Unflatten((3, 4, 2)), nn.Conv2d(2, 3, 2), nn.Flatten(), nn.ReLU()),
            *(nn.Unflatten((2, 3, 3)), nn.Conv2d(3, 1, 1)),
        ),
        (3, 4, 2),
    )


def shared():
    """One Linear in two places, whose columns are its rows' of before."""
    theirs, ours = T.Linear(12, 12), nn.Linear(12, 12)
    return (
        T.Sequential(T.Flatten(), theirs, T.Tanh(), theirs, T.Unflatten(1, (2, 3, 2)), T.Conv2d(2, 1, 2)),
        nn.Sequential(nn.Flatten(), ours, nn.Tanh(), ours, nn.Unflatten((3, 2, 2)), nn.Conv2d(2, 1, 2)),
        (3, 2, 2),
    )


NETWORKS = [autoencoder, generator, branches, shared]


def same_images(theirs, ours, shape, xp, rng):
    x = rng.normal(size=(3, *shape)).astype("float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).numpy()
    assert_close(ours(xp.array(x, "float32")), expected.transpose(0, 2, 3, 1), factor=0.5)  # 1e-5


@pytest.mark.parametrize("make", NETWORKS)
def test_same_images_with_weights_from_pytorch(tmp_path, xp, rng, make):
    theirs, ours, shape = make()
    disturb(theirs)
    ours.to_backend()
    state = {name: array for name, array in theirs.state_dict().items() if make is not shared or name[0] != "3"}
    from safetensors.torch import save_file as save_torch

    save_torch(state, tmp_path / "w.safetensors")
    load_pytorch(ours, tmp_path / "w.safetensors", input_shape=shape)
    same_images(theirs, ours, shape, xp, rng)


@pytest.mark.parametrize("make", NETWORKS)
def test_same_images_with_weights_for_pytorch(tmp_path, xp, rng, make):
    from safetensors.torch import load_file as load_torch

    theirs, ours, shape = make()
    ours.to_backend()
    disturb_ours(ours, xp, rng)
    save_pytorch(ours, tmp_path / "w.safetensors", input_shape=shape)
    theirs.load_state_dict(load_torch(tmp_path / "w.safetensors"), strict=make is not shared)
    same_images(theirs.eval(), ours, shape, xp, rng)


def test_a_decoder_needs_the_shape_of_its_rows(tmp_path):
    _, model, shape = generator()
    with pytest.raises(OptionError, match="input_shape, because Unflatten's order differs"):
        save_pytorch(model, tmp_path / "w")
    save_pytorch(model, tmp_path / "w", input_shape=shape)
    with pytest.raises(OptionError, match="input_shape, because Unflatten's order differs"):
        load_pytorch(model, tmp_path / "w")


twice = nn.Linear(12, 12)


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [nn.ReLU()],
        [nn.Linear(12, 12), nn.GroupNorm(2, 12)],
        [nn.Concat(nn.Linear(12, 6), nn.Linear(12, 6)), nn.ReLU()],
        [nn.Residual(nn.Linear(12, 12))],
        [twice, nn.GroupNorm(2, 12), twice],
        [nn.Linear(12, 12), nn.Unflatten((1, 4, 3)), nn.Flatten()],
    ],
)
def test_rows_that_pytorch_cannot_have(tmp_path, layers):
    model = nn.Sequential(*layers, nn.Unflatten((2, 3, 2)))
    with pytest.raises(OptionError, match=rf"at {len(layers)}, got Unflatten; put a Linear before it"):
        save_pytorch(model, tmp_path / "w", input_shape=(12,))
    assert not os.listdir(tmp_path)


def test_images_of_one_pixel_or_one_channel_have_one_order(tmp_path):
    for image in ((1, 1, 12), (4, 3, 1)):
        model = nn.Sequential(nn.Linear(12, 12, rng=0), nn.Unflatten(image))
        save_pytorch(model, tmp_path / "w", input_shape=(12,))
        other = load_pytorch(nn.Linear(12, 12), tmp_path / "w", names={"": "0"})
        np.testing.assert_array_equal(xpcnn.to_numpy(other.weight), xpcnn.to_numpy(model[0].weight))
        model = nn.Sequential(nn.Unflatten(image), nn.Flatten(), nn.GroupNorm(2, 12))  # rows that were fixed before
        save_pytorch(model, tmp_path / "w", input_shape=(12,))
