"""MNIST and its kin are found wherever they may be, downloaded once and checked, or asked for in one clear line."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError

from ..io.test_idx import idx
from .conftest import NOWHERE

module = import_module("xpcnn.data.mnist")
FAMILY = {"mnist": "MNIST", "fashion_mnist": "FASHION_MNIST", "kmnist": "KMNIST"}
OWN = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}  # torchvision's folders


@pytest.fixture(params=FAMILY)
def name(request) -> str:
    return request.param


@pytest.fixture
def contents(rng, monkeypatch):
    """Four tiny files in MNIST's format, by name, whose hashes take the place of the real ones."""
    files = {}
    for file in module._NAMES:
        n = 7 if file.startswith("train") else 3
        array = rng.integers(256, size=(n, 28, 28)) if "images" in file else np.arange(n)
        files[file] = idx(array.astype(np.uint8))
    for source in FAMILY.values():
        real = getattr(module, source)
        tiny = []
        for file in real.files:
            data = gzip.compress(files[file.name[:-3]], mtime=0)
            tiny.append(replace(file, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
        monkeypatch.setattr(module, source, replace(real, files=tuple(tiny)))
    return files


def put(folder, contents, suffix="", spell=str):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / (spell(name) + suffix)).write_bytes(gzip.compress(data, mtime=0) if suffix else data)


def check(data, name, contents):
    assert (data.name, len(data.train), len(data.test), data.input_shape) == (name, 7, 3, (28, 28, 1))
    assert data.train.images.tobytes() == contents["train-images-idx3-ubyte"][16:]
    assert data.train.labels.tolist() == list(range(7))
    assert data.test.images.tobytes() == contents["t10k-images-idx3-ubyte"][16:]
    assert data.test.labels.tolist() == list(range(3))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("spell", [str, lambda name: name.replace("-idx", ".idx")])
def test_finds_every_spelling(tmp_path, name, contents, suffix, spell):
    put(tmp_path / "here", contents, suffix, spell)
    check(load(name, folder=tmp_path / "here", mirrors=[NOWHERE]), name, contents)


@pytest.mark.parametrize("place", ["data/{name}", "data/{own}", "cache/xpcnn/{name}"])
def test_looks_in_xpcnn_data_and_then_in_the_cache(tmp_path, name, contents, monkeypatch, place):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XPCNN_DATA", str(tmp_path / "data"))
    put(tmp_path / place.format(name=name, own=OWN[name]), contents, ".gz")
    check(load(name, mirrors=[NOWHERE]), name, contents)


def test_files_in_xpcnn_data_itself_are_mnist(tmp_path, name, contents, monkeypatch):
    """The three have files of the same names."""
    monkeypatch.setenv("XPCNN_DATA", str(tmp_path / "data"))
    put(tmp_path / "data", contents)
    if name == "mnist":
        check(load(name, mirrors=[NOWHERE]), name, contents)
    else:
        with pytest.raises(DataError, match=f"none in .*data/{name}, .*, nor from"):
            load(name, mirrors=[NOWHERE])


def test_downloads_once_into_the_cache(tmp_path, name, contents, mirror):
    pytest.importorskip("pooch")
    put(mirror.folder, contents, ".gz")
    for _ in range(2):
        check(load(name, mirrors=[NOWHERE, mirror.address]), name, contents)
    expected = sorted(f"{file}.gz" for file in contents)
    assert sorted(mirror.asked) == [f"/{file}" for file in expected]
    assert sorted(path.name for path in (tmp_path / "cache/xpcnn" / name).iterdir()) == expected


def test_downloads_into_the_folder_that_is_named(tmp_path, contents, mirror):
    pytest.importorskip("pooch")
    put(mirror.folder, contents, ".gz")
    (tmp_path / "mine").mkdir()
    check(module.mnist(tmp_path / "mine", mirrors=mirror.address), "mnist", contents)
    assert len(list((tmp_path / "mine").iterdir())) == 4


def test_says_what_is_missing_and_where_to_put_it(tmp_path, name, contents, monkeypatch):
    pytest.importorskip("pooch")
    source = getattr(module, FAMILY[name])
    with pytest.raises(DataError) as caught:
        load(name, mirrors=[NOWHERE])
    line = str(caught.value)
    assert "\n" not in line
    for part in (
        f"{name}: expected the file train-images-idx3-ubyte.gz",
        f"(SHA-256 {source.files[0].sha256}) into {tmp_path / 'cache/xpcnn' / name}",
        "XPCNN_DATA",
        "refused",
    ):
        assert part in line


def test_what_is_published():
    """Each file's size and hash, as the TensorFlow Datasets catalogue has them, are of a plausible form."""
    sources = [getattr(module, source) for source in FAMILY.values()]
    files = [file for source in sources for file in source.files]
    assert len({file.sha256 for file in files}) == 12
    assert all(len(file.sha256) == 64 and int(file.sha256, 16) for file in files)
    assert [sum(file.size for file in source.files) for source in sources] == [11594722, 30878645, 21240888]
    assert all(address.endswith("/") for source in sources for address in source.mirrors)
    assert module.CLOTHES[0] == "T-shirt/top"
    assert module.CLOTHES[9] == "Ankle boot"
    assert len(module.CLOTHES) == len(module.KANA) == 10


def test_folders_that_do_not_exist(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"folder: a folder that exists, got '.*/none'"):
        module.mnist(tmp_path / "none", mirrors=[NOWHERE])
    monkeypatch.setenv("XPCNN_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"XPCNN_DATA: a folder that exists, got '.*/none'"):
        module.mnist(mirrors=[NOWHERE])


def test_files_in_each_others_place(tmp_path, contents):
    names = list(contents)
    contents[names[0]], contents[names[1]] = contents[names[1]], contents[names[0]]
    put(tmp_path / "here", contents)
    with pytest.raises(FormatError, match=r"expected uint8 \(N, 28, 28\), got uint8 \(7,\)"):
        module.mnist(tmp_path / "here", mirrors=[NOWHERE])


def test_images_of_another_size(tmp_path, contents):
    contents["t10k-images-idx3-ubyte"] = idx(np.zeros((3, 28, 27), np.uint8))
    put(tmp_path / "here", contents)
    with pytest.raises(FormatError, match=r"t10k.*: expected uint8 \(N, 28, 28\), got uint8 \(3, 28, 27\)"):
        module.mnist(tmp_path / "here")


def test_a_broken_file_is_named(tmp_path, contents):
    put(tmp_path / "here", contents, ".gz")
    path = tmp_path / "here" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match=r"t10k-labels-idx1-ubyte.gz: expected a whole gzip file"):
        module.mnist(tmp_path / "here")
