"""A network has the same logits here and in PyTorch with the same weights, whichever side they come from.

The witnesses are modules of PyTorch itself, and files that its own safetensors functions wrote.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from xpcnn import data, models, nn
from xpcnn.errors import OptionError, ShapeError
from xpcnn.exchange import load_pytorch, save_pytorch

from ..arrays import assert_close

torch = pytest.importorskip("torch")
T = torch.nn


class Around(T.Module):
    """PyTorch's side of `nn.Residual`, with its names."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class Side(T.Sequential):
    """PyTorch's side of `nn.Concat`, with its names."""

    def forward(self, x):
        return torch.cat([each(x) for each in self], dim=1)


class OptionA(T.Module):
    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        before = self.added // 2
        return T.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.added - before))


class Mean(T.Module):
    def forward(self, x):
        return x.mean((2, 3))


def lenet5():
    return (
        T.Sequential(
            *(T.Conv2d(1, 6, 5, padding=2), T.ReLU(), T.MaxPool2d(2), T.Conv2d(6, 16, 5), T.ReLU(), T.MaxPool2d(2)),
            *(T.Flatten(), T.Linear(400, 120), T.ReLU(), T.Linear(120, 84), T.ReLU(), T.Linear(84, 10)),
        ),
        models.lenet5(),
        (28, 28, 1),
    )


def vgg():
    theirs, channels = [], 3
    for step in (8, 8, "M", 12, 12, "M"):
        if step == "M":
            theirs.append(T.MaxPool2d(2))
        else:
            theirs += [T.Conv2d(channels, step, 3, padding=1, bias=False), T.BatchNorm2d(step), T.ReLU()]
            channels = step
    theirs += [T.Flatten(), T.BatchNorm1d(12 * 2 * 3), T.Dropout(), T.Linear(12 * 2 * 3, 16), T.PReLU(16)]
    ours, channels = [], 3
    for step in (8, 8, "M", 12, 12, "M"):
        if step == "M":
            ours.append(nn.MaxPool2d(2))
        else:
            ours += [nn.Conv2d(channels, step, 3, padding=1, bias=False), nn.BatchNorm2d(step), nn.ReLU()]
            channels = step
    ours += [nn.Flatten(), nn.BatchNorm1d(12 * 2 * 3), nn.Dropout(), nn.Linear(12 * 2 * 3, 16), nn.PReLU(16)]
    return T.Sequential(*theirs, T.Linear(16, 5)), nn.Sequential(*ours, nn.Linear(16, 5)), (8, 12, 3)


def resnet20():
    def block(channels, filters):
        stride = 1 if channels == filters else 2
        body = T.Sequential(
            *(T.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False), T.BatchNorm2d(filters), T.ReLU()),
            *(T.Conv2d(filters, filters, 3, padding=1, bias=False), T.BatchNorm2d(filters)),
        )
        return Around(body, None if stride == 1 else OptionA(filters - channels))

    layers, channels = [T.Conv2d(3, 16, 3, padding=1, bias=False), T.BatchNorm2d(16), T.ReLU()], 16
    for filters in (16, 32, 64):
        for _ in range(3):
            layers += [block(channels, filters), T.ReLU()]
            channels = filters
    return T.Sequential(*layers, Mean(), T.Linear(64, 10)), models.resnet20(), (16, 16, 3)


def depthwise():
    return (
        T.Sequential(
            *(T.Conv2d(4, 8, (3, 2), groups=4), T.PReLU(8), T.Conv2d(8, 6, 1), T.GroupNorm(2, 6)),
            *(T.LayerNorm((6, 5, 6)), T.Conv2d(6, 9, 3, stride=2, groups=3, bias=False), T.Flatten(), T.Linear(36, 3)),
        ),
        nn.Sequential(
            *(nn.Conv2d(4, 8, (3, 2), groups=4), nn.PReLU(8), nn.Conv2d(8, 6, 1), nn.GroupNorm(2, 6)),
            *(nn.LayerNorm((5, 6, 6)), nn.Conv2d(6, 9, 3, stride=2, groups=3, bias=False), nn.Flatten()),
            nn.Linear(36, 3),
        ),
        (7, 7, 4),
    )


def transposed():
    options = {"stride": (2, 1), "padding": 1, "output_padding": (1, 0)}
    return (
        T.Sequential(
            *(T.ConvTranspose2d(4, 6, (3, 2), groups=2, **options), T.ReLU(), T.ConvTranspose2d(6, 2, 3), T.Flatten()),
            *(T.LayerNorm(2 * 14 * 7), T.PReLU(), T.Linear(196, 7)),
        ),
        nn.Sequential(
            *(nn.ConvTranspose2d(4, 6, (3, 2), groups=2, **options), nn.ReLU(), nn.ConvTranspose2d(6, 2, 3)),
            *(nn.Flatten(), nn.LayerNorm(2 * 14 * 7), nn.PReLU(), nn.Linear(196, 7)),
        ),
        (6, 6, 4),
    )


def branches():
    """Flattened images of two sizes side by side, and added to themselves."""
    return (
        T.Sequential(
            Side(T.Sequential(T.Conv2d(2, 3, 2), T.Flatten()), T.Sequential(T.Conv2d(2, 4, 1), T.Flatten())),
            Around(T.Sequential(T.ReLU(), T.BatchNorm1d(3 * 2 * 3 + 4 * 3 * 4))),
            T.Linear(66, 5),
        ),
        nn.Sequential(
            nn.Concat(nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten()), nn.Sequential(nn.Conv2d(2, 4, 1), nn.Flatten())),
            nn.Residual(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(66))),
            nn.Linear(66, 5),
        ),
        (3, 4, 2),
    )


NETWORKS = [lenet5, vgg, resnet20, depthwise, transposed, branches]


def disturb(module):
    """Every array of a module as training would leave it: none symmetric, none a constant."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, array in module.state_dict().items():
            if name.endswith("running_var"):
                array.uniform_(0.5, 2.0)
            elif array.dtype.is_floating_point and array.ndim == 1:
                array.uniform_(-0.7, 0.9)
    return module.eval()


def disturb_ours(network, xp, rng):
    """The same of a network of ours."""
    for name, array in network.state_dict().items():
        if array.ndim == 1:
            low, high = (0.5, 2.0) if name.endswith("running_var") else (-0.7, 0.9)
            array[...] = xp.array(rng.uniform(low, high, array.shape), "float32")


def same_logits(theirs, ours, shape, xp, rng):
    x = rng.normal(size=(3, *shape)).astype("float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).numpy()
    assert_close(ours(xp.array(x, "float32")), expected, factor=0.5)  # 1e-5


@pytest.mark.parametrize("make", NETWORKS)
def test_same_logits_with_weights_from_pytorch(tmp_path, xp, rng, make):
    from safetensors.torch import save_file as save_torch

    theirs, ours, shape = make()
    disturb(theirs)
    save_torch(theirs.state_dict(), tmp_path / "w.safetensors")
    ours.to_backend()
    own = ours.state_dict()
    assert load_pytorch(ours, tmp_path / "w.safetensors", input_shape=shape) is ours
    assert all(ours.state_dict()[name] is array for name, array in own.items())  # those that an optimizer holds
    same_logits(theirs, ours, shape, xp, rng)


@pytest.mark.parametrize("make", NETWORKS)
def test_same_logits_with_weights_for_pytorch(tmp_path, xp, rng, make):
    from safetensors.torch import load_file as load_torch

    theirs, ours, shape = make()
    ours.to_backend()
    disturb_ours(ours, xp, rng)
    save_pytorch(ours, tmp_path / "w.safetensors", input_shape=shape)
    state = load_torch(tmp_path / "w.safetensors")
    assert state.keys() == theirs.state_dict().keys()
    theirs.load_state_dict(state)
    same_logits(theirs.eval(), ours, shape, xp, rng)


def test_a_network_that_pytorch_trained(tmp_path, rng):
    from safetensors.torch import save_file as save_torch

    digits = data.digits()
    theirs, _, _ = lenet5()
    theirs[7] = T.Linear(16 * 2 * 2, 120)
    ours = models.lenet5((16, 16, 1))

    def images(split):
        doubled = split.images[..., 0].repeat(2, axis=1).repeat(2, axis=2)  # (N, 16, 16)
        return torch.from_numpy(doubled[:, None] / np.float32(255))

    torch.manual_seed(0)
    x, y = images(digits.train), torch.from_numpy(digits.train.labels)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=5e-3)
    for _ in range(120):
        batch = torch.randint(len(y), (64,))
        loss = T.functional.cross_entropy(theirs(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_torch(theirs.state_dict(), tmp_path / "w.safetensors")
    load_pytorch(ours, tmp_path / "w.safetensors", input_shape=(16, 16, 1))
    test = images(digits.test)
    logits = ours(np.ascontiguousarray(test.numpy().transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(logits, theirs(test).detach().numpy(), rtol=1e-5, atol=1e-4)  # logits reach 20
    assert (logits.argmax(1) == digits.test.labels).mean() > 0.9


def test_flattening_needs_the_shape_of_the_images(tmp_path):
    with pytest.raises(OptionError, match="input_shape, because Flatten's order differs"):
        save_pytorch(models.lenet5(), tmp_path / "w")
    save_pytorch(models.lenet5(), tmp_path / "w", input_shape=(28, 28, 1))
    with pytest.raises(OptionError, match="input_shape, because Flatten's order differs"):
        load_pytorch(models.lenet5(), tmp_path / "w")


@pytest.mark.parametrize("function", [load_pytorch, save_pytorch])
@pytest.mark.parametrize("shape", [(32, 32, 1), (28, 28, 3), (4, 4, 1), (28, 28)])
def test_a_wrong_shape_of_the_images_is_named(tmp_path, function, shape):
    model = models.lenet5()
    save_pytorch(model, tmp_path / "w", input_shape=(28, 28, 1))
    with pytest.raises(ShapeError) as caught:
        function(model, tmp_path / "w", input_shape=shape)
    assert str(caught.value).endswith(f"; pass the input_shape that the network is built for, not {shape}")


class Own(nn.Identity):
    def forward(self, x):
        return x + 1, None


@pytest.mark.parametrize(
    "layers",
    [
        [nn.GroupNorm(2, 12)],
        [Own()],
        [nn.Residual(nn.Linear(12, 12))],
        [shared := nn.BatchNorm1d(12), nn.Linear(12, 12), shared],
    ],
)
def test_flattened_columns_that_pytorch_cannot_have(tmp_path, layers):
    model = nn.Sequential(nn.Flatten(), *layers)
    with pytest.raises(OptionError, match="layers whose columns PyTorch can have in its order, from a Flatten"):
        save_pytorch(model, tmp_path / "w", input_shape=(2, 3, 2))
    assert not os.listdir(tmp_path)
    save_pytorch(model, tmp_path / "w", input_shape=(1, 1, 12))  # nothing to reorder
