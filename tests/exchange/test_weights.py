"""`load_weights` takes weights by name from any file, says what it left, and refuses what it was not told of."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import xpcnn
from xpcnn import models, nn
from xpcnn.errors import DataError, FileError, FormatError, OptionError
from xpcnn.exchange import export_onnx, load_weights, save_pytorch
from xpcnn.io import safetensors, save_model

from ..data.conftest import NOWHERE, _own_folders, mirror  # noqa: F401

SHAPE = (6, 5, 3)


def network(classes=4, seed=0):
    return nn.Graph(
        {
            "conv1": (nn.Conv2d(3, 4, 3, rng=seed), "x"),
            "bn1": (nn.BatchNorm2d(4), "conv1"),
            "gate": (nn.Scale(4, bias=False), "bn1"),
            "pool": (nn.GlobalAvgPool2d(), "gate"),
            "fc": (nn.Linear(4, classes, rng=seed + 1), "pool"),
        }
    )


@pytest.fixture
def known(tmp_path):
    """A network whose numbers are all its own, and its files."""
    net = network()
    rng = np.random.default_rng(5)
    net.load_state_dict({key: 1 + rng.random(tuple(array.shape)) for key, array in net.state_dict().items()})
    save_model(net, tmp_path / "model.safetensors", input_shape=SHAPE)
    save_pytorch(net, tmp_path / "torch.safetensors")
    return net


def numbers(net):
    return {key: xpcnn.to_numpy(array).copy() for key, array in net.state_dict().items()}


def assert_equal(net, expected, keys=None):
    for key in keys or expected:
        np.testing.assert_array_equal(numbers(net)[key], expected[key], err_msg=key)


@pytest.mark.parametrize("source", ["model.safetensors", "torch.safetensors", ""])
def test_every_kind_of_file(known, tmp_path, source):
    """xpcnn's own, PyTorch's, and the folder of a run: all arrays, with their layouts."""
    net = network(seed=7)
    done = load_weights(net, tmp_path / source)
    assert_equal(net, numbers(known))
    assert (set(done.taken), done.kept, done.left) == (set(net.state_dict()), (), ())
    assert str(done).startswith(f"took {len(done.taken)} arrays of ")


def test_onnx_by_the_names_of_its_nodes(tmp_path):
    """Names of nested layers too, whose dots are underlines there; a chain has none."""
    pytest.importorskip("onnx")

    def make(seed):
        body = nn.Sequential(nn.Conv2d(3, 3, 1, rng=seed), nn.ReLU(), nn.BatchNorm2d(3))
        return nn.Graph({"a": (body, "x"), "y": (nn.Add(), "a", "x")})

    export_onnx(make(0), tmp_path / "m.onnx", input_shape=SHAPE)
    net = make(1)
    assert len(load_weights(net, tmp_path / "m.onnx").taken) == 6
    assert_equal(net, numbers(make(0)))
    export_onnx(network(), tmp_path / "chain.onnx", input_shape=SHAPE)
    with pytest.raises(
        FormatError, match=r"not in the network: 0.weight, .*; import_onnx\(path\).model is the file's own"
    ):
        load_weights(network(), tmp_path / "chain.onnx")


def test_a_new_head_keeps_its_weights_and_says_so(known, tmp_path):
    net = network(classes=9, seed=3)
    before = numbers(net)
    with pytest.raises(FormatError) as caught:
        load_weights(net, tmp_path / "torch.safetensors")
    assert str(caught.value).endswith(
        "expected the arrays of this network, got 2 of another shape or type: fc.weight (4, 4) of float32, "
        "here (9, 4), fc.bias (4,) of float32, here (9,); take the same architecture; "
        "or new=['fc.*'] keeps the network's own"
    )
    assert_equal(net, before)
    done = load_weights(net, tmp_path / "torch.safetensors", new=["fc.*"])
    assert_equal(net, before, ["fc.weight", "fc.bias"])
    assert_equal(net, numbers(known), done.taken)
    assert done.kept == ("fc.weight", "fc.bias") == tuple(sorted(done.left, reverse=True))
    assert str(done).splitlines()[1:] == [
        "kept 2 of the network's own: fc.weight, fc.bias",
        "left 2 of the file's: fc.bias, fc.weight",
    ]


def test_what_is_missing_and_left_over_is_listed_with_the_way_on(known, tmp_path):
    state = {name: np.zeros(2, "f4") for name in ("aux1.weight", "aux2.weight")}
    state |= {
        name: array for name, array in safetensors.load(tmp_path / "torch.safetensors")[0].items() if "bn" not in name
    }
    safetensors.save(tmp_path / "other.safetensors", state, {}, checksum=False)
    net = network(seed=3)
    with pytest.raises(FormatError) as caught:
        load_weights(net, tmp_path / "other.safetensors")
    said = str(caught.value)
    assert "got 4 missing in the file: bn1.weight, bn1.bias, bn1.running_mean, bn1.running_var; " in said
    assert "2 not in the network: aux1.weight, aux2.weight; take the same architecture; or " in said
    assert said.endswith("new=['bn1.*'] keeps the network's own and unused=['aux1.*', 'aux2.*'] leaves the file's")
    done = load_weights(net, tmp_path / "other.safetensors", new="bn1.*", unused="aux*")
    assert len(done.taken) == 5
    assert done.left == ("aux1.weight", "aux2.weight")


def renamed(tmp_path, name_of, **others):
    """PyTorch's file with other names, and other arrays."""
    state = {name_of(name): array for name, array in safetensors.load(tmp_path / "torch.safetensors")[0].items()}
    state |= {name.replace("__", "."): array for name, array in others.items()}
    safetensors.save(tmp_path / "other.safetensors", state, {}, checksum=False)
    return tmp_path / "other.safetensors"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "state_dict.net.backbone."])
def test_names_of_wrappers_are_taken_off_and_said(known, tmp_path, prefix):
    net = network(seed=3)
    path = renamed(tmp_path, lambda name: prefix + name, n_averaged=np.array(7))
    assert load_weights(net, path).notes == (f"took {prefix!r} off the names",)
    assert_equal(net, numbers(known))


def test_a_file_of_two_networks(known, tmp_path):
    """None is chosen silently; `prefix` chooses, and the rest is listed."""
    averaged = {f"ema__{name.replace('.', '__')}": np.zeros_like(a) for name, a in numbers(known).items()}
    path = renamed(tmp_path, lambda name: "net." + name, **averaged)
    net = network(seed=3)
    with pytest.raises(FormatError, match=r"prefix='(ema|net)\.' takes the names that begin so") as caught:
        load_weights(net, path)
    assert "\n" not in str(caught.value)
    done = load_weights(net, path, prefix="net.")
    assert_equal(net, numbers(known))
    assert len(done.left) == len(averaged)
    assert "ema.fc.bias" in done.left
    load_weights(net, path, prefix="ema.", new="gate.*", unused="gate.weight")
    assert not numbers(net)["fc.weight"].any()
    with pytest.raises(
        OptionError, match=r"prefix: .*, got 'emma\.'; those before names of this network: 'ema\.', 'net\.'"
    ):
        load_weights(net, path, prefix="emma.")


def test_densenets_as_torchvision_publishes_them(tmp_path):
    block = {"norm1": (nn.BatchNorm2d(3), "x"), "conv1": (nn.Conv2d(3, 3, 1, bias=False, rng=0), "norm1")}
    net = nn.Graph({"denselayer12": (nn.Graph(block), "x")})
    save_pytorch(net, tmp_path / "torch.safetensors")
    path = renamed(tmp_path, lambda name: name.replace("norm1", "norm.1").replace("conv1", "conv.1"))
    assert len(load_weights(net, path).taken) == 5


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_precision_becomes_the_networks_type_and_is_said(known, tmp_path, kind):
    torch = pytest.importorskip("torch") if kind == "bfloat16" else None
    path = tmp_path / "half.safetensors"
    arrays = safetensors.load(tmp_path / "torch.safetensors")[0]
    if torch is None:
        arrays = {
            name: array if name.endswith("num_batches_tracked") else array.astype(kind)
            for name, array in arrays.items()
        }
        safetensors.save(path, arrays, {}, checksum=False)
    else:
        from safetensors.torch import save_file

        save_file({name: torch.tensor(array).bfloat16() for name, array in arrays.items() if array.ndim}, path)
    net = network(seed=3)
    assert load_weights(net, path).notes == (f"converted 9 arrays of {kind}",)
    np.testing.assert_allclose(numbers(net)["fc.weight"], numbers(known)["fc.weight"], rtol=1e-2)
    assert numbers(net)["fc.weight"].dtype == np.float32


@pytest.mark.parametrize("name", ["resnet18.pt", "resnet18-f37072fd.pth"])
def test_a_pickle_is_refused_with_what_converts_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\3\4" + bytes(50))
    with pytest.raises(FormatError) as caught:
        load_weights(network(), tmp_path / name)
    stem = name.rpartition(".")[0]
    assert str(caught.value).endswith(
        "import safetensors.torch, torch; "
        f'state = torch.load("{name}", map_location="cpu", weights_only=True); '
        f'safetensors.torch.save_file(state, "{stem}.safetensors")'
    )


def test_a_file_of_keras_names_the_function_that_reads_it(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK\3\4" + bytes(50))
    with pytest.raises(FormatError, match=r"got a file of Keras; xpcnn\.exchange\.load_keras reads it"):
        load_weights(network(), tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"new": "fd.*"},
            r"new: names of the network's arrays, got 'fd\.\*', which matches none of conv1.weight, .* and",
        ),
        ({"unused": ["aux*"]}, r"unused: names of the file's arrays, got 'aux\*', which matches none of"),
        ({"new": 3}, r'new: names such as "fc\.\*", got 3'),
        ({"new": [None]}, r"new: names of the network's arrays, got None, which"),
    ],
)
def test_a_pattern_that_matches_nothing(known, tmp_path, options, text):
    with pytest.raises(OptionError, match=text) as caught:
        load_weights(network(), tmp_path / "torch.safetensors", **options)
    assert "\n" not in str(caught.value)


def test_nothing_is_taken_is_an_error(known, tmp_path):
    with pytest.raises(FormatError, match="none that is to be taken"):
        load_weights(network(), tmp_path / "torch.safetensors", new="*")
    with pytest.raises(FileError):
        load_weights(network(), tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "torch.safetensors").read_bytes()[:-9])
    with pytest.raises(FormatError, match="a whole safetensors file"):
        load_weights(network(), tmp_path / "half.safetensors")


def test_rows_after_a_flatten_have_pytorchs_order(tmp_path):
    save_pytorch(models.lenet5((12, 12, 2), 3, rng=0), tmp_path / "w.safetensors", input_shape=(12, 12, 2))
    net = models.lenet5((12, 12, 2), 3, rng=1)
    with pytest.raises(OptionError, match="input_shape"):
        load_weights(net, tmp_path / "w.safetensors")
    load_weights(net, tmp_path / "w.safetensors", input_shape=(12, 12, 2))
    assert_equal(net, numbers(models.lenet5((12, 12, 2), 3, rng=0)))


def test_from_an_address_once(known, tmp_path, mirror):  # noqa: F811
    pytest.importorskip("pooch")
    data = (tmp_path / "torch.safetensors").read_bytes()
    (mirror.folder / "net.safetensors").write_bytes(data)
    address = f"{mirror.address}net.safetensors#sha256={hashlib.sha256(data).hexdigest()}"
    for _ in range(2):
        net = network(seed=3)
        done = load_weights(net, address)
        assert_equal(net, numbers(known))
    assert mirror.asked == ["/net.safetensors"]
    with open(done.source, "r+b") as file:
        file.write(b"damage")
    with pytest.raises(FormatError, match=r"a file with the SHA-256 .*, got another; remove it"):
        load_weights(network(), address)


def test_an_address_with_another_hash_or_none(known, tmp_path, mirror):  # noqa: F811
    pytest.importorskip("pooch")
    (mirror.folder / "net.safetensors").write_bytes(b"something else")
    with pytest.raises(DataError) as caught:
        load_weights(network(), f"{mirror.address}net.safetensors#sha256={'0' * 64}")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    for address in (
        "net.safetensors",
        "net.safetensors#sha256=12",
        "#sha256=" + "0" * 64,
        "%2e%2e%2fa#sha256=" + "0" * 64,
    ):
        with pytest.raises(OptionError, match="weights: expected"):
            load_weights(network(), mirror.address + address)
    assert mirror.asked == ["/net.safetensors"]


def test_a_short_hash_in_the_files_name(known, tmp_path, mirror):  # noqa: F811
    """As PyTorch's hub names files: the first digits of the SHA-256."""
    pytest.importorskip("pooch")
    data = (tmp_path / "torch.safetensors").read_bytes()
    digits = hashlib.sha256(data).hexdigest()[:8]
    for name in (f"net-{digits}.safetensors", "net-00000000.safetensors"):
        (mirror.folder / name).write_bytes(data)
    for _ in range(2):
        load_weights(network(seed=3), f"{mirror.address}net-{digits}.safetensors")
    assert len(mirror.asked) == 1
    with pytest.raises(DataError, match="does not match the known hash 00000000"):
        load_weights(network(), f"{mirror.address}net-00000000.safetensors")


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("hf:timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k/resolve/main/model.safetensors"),
        ("hf-hub:timm/net/deep/w.safetensors@v1", "timm/net/resolve/v1/deep/w.safetensors"),
        ("hf://a/b/w.safetensors@refs/pr/1", "a/b/resolve/refs%2Fpr%2F1/w.safetensors"),
    ],
)
def test_a_file_on_the_hub(known, tmp_path, mirror, monkeypatch, written, asked):  # noqa: F811
    pytest.importorskip("pooch")
    monkeypatch.setenv("HF_ENDPOINT", mirror.address)
    data = (tmp_path / "torch.safetensors").read_bytes()
    (mirror.folder / asked).parent.mkdir(parents=True)
    (mirror.folder / asked).write_bytes(data)
    net = network(seed=3)
    with pytest.raises(OptionError, match=r"expected hf:OWNER/NAME/FILE@REVISION#sha256=HASH, .*page on the hub"):
        load_weights(net, written)
    load_weights(net, f"{written}#sha256={hashlib.sha256(data).hexdigest()}")
    assert_equal(net, numbers(known))
    assert mirror.asked == [f"/{asked}"]


def test_the_page_of_a_file_on_the_hub():
    from xpcnn.data.remote_weights import _parsed

    sha256 = "ab" * 32
    for way in (
        "blob/main/a/w.safetensors",
        "resolve/main/a/w.safetensors",
        "resolve/main/a/w.safetensors?download=true",
    ):
        found = _parsed(f"https://huggingface.co/timm/net/{way}#sha256={sha256}")
        assert found == ("https://huggingface.co/timm/net/resolve/main/a/", "w.safetensors", sha256)


def test_no_network_or_half_a_file_leaves_nothing(known, tmp_path, mirror, monkeypatch):  # noqa: F811
    pytest.importorskip("pooch")
    data = (tmp_path / "torch.safetensors").read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    (mirror.folder / "net.safetensors").write_bytes(data[:-100])
    mirror.promised["/net.safetensors"] = len(data)
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    for address in (f"{mirror.address}net.safetensors", "hf:a/b", f"{NOWHERE}net.safetensors"):
        with pytest.raises(DataError) as caught:
            load_weights(network(), f"{address}#sha256={sha256}")
        assert "\n" not in str(caught.value)
        assert sha256 in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "numbers for fc.bias, got NaN in 1 of"), (1e300, "got 1e.300")])
@pytest.mark.parametrize("load", [load_weights, xpcnn.exchange.load_pytorch])
def test_numbers_that_are_none_here_are_refused(known, tmp_path, load, bad, said):
    arrays, _ = safetensors.load(tmp_path / "torch.safetensors")
    arrays["fc.bias"] = np.array([1, bad, 2, 3], np.float64)
    safetensors.save(tmp_path / "spoilt.safetensors", arrays, {}, checksum=False)
    net = network()
    with pytest.raises(FormatError, match=said):
        load(net, tmp_path / "spoilt.safetensors")
    assert_equal(net, numbers(network()))
    arrays["fc.bias"][1] = np.inf
    safetensors.save(tmp_path / "spoilt.safetensors", arrays, {}, checksum=False)
    with pytest.warns(xpcnn.errors.XpcnnWarning, match="1 of the 4 numbers for fc.bias are infinite"):
        load(net, tmp_path / "spoilt.safetensors")
