"""A network has the same logits here and in PyTorch with the same weights, whichever side they come from.

The witnesses are modules of PyTorch itself, and files that its own safetensors functions wrote.
"""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xpcnn import data, models, nn
from xpcnn.errors import FileError, FormatError, OptionError
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
    for name, array in ours.state_dict().items():
        if array.ndim == 1:
            low, high = (0.5, 2.0) if name.endswith("running_var") else (-0.7, 0.9)
            array[...] = xp.array(rng.uniform(low, high, array.shape), "float32")
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
    optimizer = torch.optim.Adam(theirs.parameters(), lr=3e-3)
    for _ in range(300):
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
    assert (logits.argmax(1) == digits.test.labels).mean() > 0.95


def test_half_precision_is_widened(tmp_path):
    from safetensors.torch import save_file as save_torch

    theirs = T.Linear(3, 2)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        save_torch(theirs.to(dtype).state_dict(), tmp_path / "w.safetensors")
        ours = load_pytorch(nn.Linear(3, 2), tmp_path / "w.safetensors")
        assert ours.weight.dtype == np.float32
        np.testing.assert_array_equal(ours.weight, theirs.weight.detach().float().numpy())


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_other_types_are_refused(tmp_path, dtype):
    from safetensors.torch import save_file as save_torch

    state = {"weight": torch.ones(2, 3).to(dtype), "bias": torch.ones(2)}
    save_torch(state, tmp_path / "w.safetensors")
    with pytest.raises(FormatError, match="wrong: weight of"):
        load_pytorch(nn.Linear(3, 2), tmp_path / "w.safetensors")


def numbered(*names):
    """Convolutions of one shape, each with its own number everywhere, under these names."""
    return {f"{name}.weight": np.full((2, 2, 1, 1), i, "float32") for i, name in enumerate(names)}


def chain(n):
    return nn.Sequential(*(nn.Conv2d(2, 2, 1, bias=False) for _ in range(n)))


def order(model):
    return [int(layer.weight[0, 0, 0, 0]) for _, layer in model.named_layers() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(
    "names",
    [
        ["features.0", "features.3", "features.10"],
        ["conv1", "conv2", "conv10"],
        ["conv", "conv_1", "conv_2"],
        ["net.layer1.0.conv1", "net.layer1.0.conv2", "net.layer1.1.conv1"],
        ["2", "1", "0"],  # the same names
    ],
)
def test_other_names_in_the_order_of_their_numbers(tmp_path, names):
    save_file(numbered(*names), tmp_path / "w")
    expected = [2, 1, 0] if names == ["2", "1", "0"] else [0, 1, 2]
    assert order(load_pytorch(chain(3), tmp_path / "w")) == expected


def test_names_whose_order_only_words_could_tell(tmp_path):
    save_file(numbered("stem", "body", "head"), tmp_path / "w")
    model = chain(3)
    before = [array.copy() for array in model.parameters().values()]
    with pytest.raises(FormatError, match=r"'body' and 'head'; pass names=.*list\(module.state_dict\(\)\)"):
        load_pytorch(model, tmp_path / "w")
    for array, expected in zip(model.parameters().values(), before, strict=True):
        np.testing.assert_array_equal(array, expected)
    in_order = ["stem.weight", "body.weight", "head.weight"]
    for names in (in_order, tuple(each.removesuffix(".weight") for each in in_order)):
        assert order(load_pytorch(chain(3), tmp_path / "w", names=names)) == [0, 1, 2]
    backwards = {"0": "head", "1": "body", "2": "stem"}
    for names in (backwards, backwards.get, {"0": "head", "2": "stem"}):
        assert order(load_pytorch(chain(3), tmp_path / "w", names=names)) == [2, 1, 0]


def test_an_order_of_words_does_not_matter_where_nothing_depends_on_it(tmp_path):
    extra = {f"{name}.weight": np.zeros((3, 3), "f4") for name in ("stem", "head")}
    save_file(numbered("conv1", "conv2") | extra, tmp_path / "w")
    assert order(load_pytorch(chain(2), tmp_path / "w", strict=False)) == [0, 1]
    save_file(numbered("body") | extra, tmp_path / "w")
    assert order(load_pytorch(chain(1), tmp_path / "w", strict=False)) == [0]


def test_names_for_saving(tmp_path):
    for names in ({"0": "conv", "1": "bn"}, {"0": "conv", "1": "bn"}.get):
        save_pytorch(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.PReLU()), tmp_path / "w", names=names)
        state = load_file(tmp_path / "w")
        assert {name.rpartition(".")[0] for name in state} == {"conv", "bn", "2"}
        assert state["bn.num_batches_tracked"].shape == ()
    with pytest.raises(OptionError, match=r"another name for each layer, got a\.weight twice"):
        save_pytorch(chain(2), tmp_path / "w", names=lambda name: "a")
    with pytest.raises(OptionError, match="names: a mapping or a function"):
        save_pytorch(chain(2), tmp_path / "w", names=["a"])


@pytest.mark.parametrize(
    ("state", "options", "text"),
    [
        (numbered("0"), {}, r"got missing: 1\.weight"),
        (numbered("0", "1", "2"), {}, r"got unknown: 2\.weight"),
        (numbered("0", "a", "b"), {}, r"missing: 1\.weight; unknown: a\.weight, b\.weight"),
        ({"a.gain": np.zeros(2, "f4")}, {"strict": False}, "arrays of this network, got none"),
        (numbered("0", "1") | {"1.bias": np.zeros(2)}, {}, r"unknown: 1\.bias"),
        (
            numbered("0") | {"1.weight": np.zeros((2, 2, 3, 1), "f4")},
            {"strict": False},
            r"wrong: 1\.weight \(2, 2, 3, 1\) for 1\.weight, which is \(2, 2, 1, 1\) there; build",
        ),
        (numbered(*"1abcdefghi"), {}, r"missing: 0\.weight; unknown: .* and 4 more"),
        (numbered("a.1", "a.2", "a.3"), {}, r"got unknown: a\.3\.weight"),
        (numbered("a.1"), {}, r"got missing: 1\.weight"),
        (numbered("0", "1"), {"names": {"0": "a"}}, "'a' of the file, which is none"),
        (numbered("0", "1"), {"names": {"7": "1"}}, "'7' of the network, which is none"),
        (numbered("0", "1"), {"names": {"0": "1", "1": "1"}}, "one for several"),
        (numbered("a", "b"), {"names": ["a"]}, r"names= with all of the file's layers, got none of b"),
        (numbered("0", "1"), {"names": "a"}, "a mapping, a function or a sequence"),
        (numbered("0", "1"), {"names": 3}, "a mapping, a function or a sequence"),
    ],
)
def test_what_does_not_fit_is_listed_in_a_line_and_changes_nothing(tmp_path, state, options, text):
    save_file(state, tmp_path / "w")
    model = chain(2)
    before = [array.copy() for array in model.parameters().values()]
    with pytest.raises((FormatError, OptionError), match=text) as caught:
        load_pytorch(model, tmp_path / "w", **options)
    assert "\n" not in str(caught.value)
    for array, expected in zip(model.parameters().values(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_not_strict_passes_over_what_one_side_lacks(tmp_path):
    save_file(numbered("0", "7", "8"), tmp_path / "w")
    model = chain(2)
    second = model[1].weight.copy()
    load_pytorch(model, tmp_path / "w", strict=False)
    assert (model[0].weight == 0).all()
    np.testing.assert_array_equal(model[1].weight, second)


def test_flattening_needs_the_shape_of_the_images(tmp_path):
    with pytest.raises(OptionError, match="input_shape, because Flatten's order differs"):
        save_pytorch(models.lenet5(), tmp_path / "w")
    save_pytorch(models.lenet5(), tmp_path / "w", input_shape=(28, 28, 1))
    with pytest.raises(OptionError, match="input_shape, because Flatten's order differs"):
        load_pytorch(models.lenet5(), tmp_path / "w")


class Own(nn.Identity):
    pass


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
    with pytest.raises(OptionError, match="layers whose columns after Flatten"):
        save_pytorch(model, tmp_path / "w", input_shape=(2, 3, 2))
    assert not os.listdir(tmp_path)
    save_pytorch(model, tmp_path / "w", input_shape=(1, 1, 12))  # nothing to reorder


def test_pickles_get_a_line_that_says_how_to_convert(tmp_path):
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save(T.Linear(2, 2).state_dict(), tmp_path / "w.pt", **options)
        with pytest.raises(FormatError, match=r"safetensors\.torch\.save_file\(torch\.load"):
            load_pytorch(nn.Linear(2, 2), tmp_path / "w.pt")


def test_a_header_of_any_length_is_no_pickle(tmp_path):
    arrays = {"weight": np.ones((2, 2), "float32"), "bias": np.ones(2, "float32")}
    lengths = set()
    for padding in range(0, 260, 4):  # a header of 128, 384, 640 … bytes begins with the byte 80, as pickles do
        save_file({**arrays, "0." + padding * "x": np.ones(1, "float32")}, tmp_path / "w")
        lengths.add((tmp_path / "w").read_bytes()[0])
        layer = load_pytorch(nn.Linear(2, 2), tmp_path / "w", strict=False)
        assert float(layer.weight.sum()) == 4
    assert 0x80 in lengths


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        struct.pack("<Q", 2) + b"{}x",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 64) + b'{"weight":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}  '[:64] + b"x",
        struct.pack("<Q", 64) + b'{"weight":{"dtype":"F32","shape":[90,99],"data_offsets":[0,4]}}  '[:64] + b"1234",
    ],
)
def test_broken_files(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(FormatError) as caught:
        load_pytorch(nn.Linear(1, 1), tmp_path / "w")
    assert "\n" not in str(caught.value)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match="a readable file"):
            load_pytorch(nn.Linear(1, 1), path)


def test_a_layer_alone_and_layers_that_are_shared(tmp_path):
    shared = nn.Conv2d(2, 2, 1)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    save_pytorch(model, tmp_path / "w")
    assert sorted(load_file(tmp_path / "w")) == ["0.bias", "0.weight"]
    other = nn.Conv2d(2, 2, 1)
    load_pytorch(other, tmp_path / "w", names={"": "0"})
    np.testing.assert_array_equal(other.weight, shared.weight)
    save_pytorch(other, tmp_path / "w")
    assert sorted(load_file(tmp_path / "w")) == ["bias", "weight"]
