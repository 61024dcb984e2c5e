"""MNIST is found wherever it may be, downloaded once and checked, or asked for in one clear line."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from functools import partial
from importlib import import_module

import numpy as np
import platformdirs
import pytest

from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError, OptionError

from .test_idx import idx

module = import_module("xpcnn.data.mnist")
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refuses at once


@pytest.fixture
def contents(rng, monkeypatch):
    """Four tiny files in MNIST's format, by name, and their sums in place of the real ones."""
    files = {}
    for name in module.MD5:
        n = 7 if name.startswith("train") else 3
        array = rng.integers(256, size=(n, 28, 28)) if "images" in name else np.arange(n)
        files[name] = idx(array.astype(np.uint8))
    monkeypatch.setattr(module, "MD5", {name: hashlib.md5(data).hexdigest() for name, data in files.items()})
    return files


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("XPCNN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server(tmp_path):
    """A mirror on this machine: its folder, address, and the paths that were asked for."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def put(folder, contents, suffix="", spell=str):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / (spell(name) + suffix)).write_bytes(gzip.compress(data) if suffix else data)


def check(data, contents):
    assert (data.name, len(data.train), len(data.test), data.input_shape) == ("mnist", 7, 3, (28, 28, 1))
    pixels = contents["train-images-idx3-ubyte"][16:]
    assert data.train.images.tobytes() == pixels
    assert data.train.labels.tolist() == list(range(7))
    assert data.test.images.tobytes() == contents["t10k-images-idx3-ubyte"][16:]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("spell", [str, lambda name: name.replace("-idx", ".idx")])
def test_finds_every_spelling(tmp_path, contents, suffix, spell):
    put(tmp_path / "here", contents, suffix, spell)
    check(module.mnist(tmp_path / "here", mirror=NOWHERE), contents)


@pytest.mark.parametrize("place", ["data", "data/mnist", "cache/xpcnn/mnist"])
def test_looks_in_xpcnn_data_and_then_in_the_cache(tmp_path, contents, monkeypatch, place):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XPCNN_DATA", str(tmp_path / "data"))
    put(tmp_path / place, contents, ".gz")
    check(load("mnist", mirror=NOWHERE), contents)


def test_downloads_once_into_the_cache(tmp_path, contents, server):
    folder, address, asked = server
    put(folder, contents, ".gz")
    check(module.mnist(mirror=address), contents)
    check(module.mnist(mirror=address), contents)
    assert sorted(asked) == sorted(f"/{name}.gz" for name in contents)
    assert sorted(path.name for path in (tmp_path / "cache/xpcnn/mnist").iterdir()) == sorted(
        f"{name}.gz" for name in contents
    )


def test_downloads_into_the_folder_that_is_named(tmp_path, contents, server):
    folder, address, _ = server
    put(folder, contents, ".gz")
    (tmp_path / "mine").mkdir()
    check(module.mnist(tmp_path / "mine", mirror=address + "/"), contents)
    assert len(list((tmp_path / "mine").iterdir())) == 4


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda data: gzip.compress(data[:-1] + b"\xff"), "another file, MD5"),
        (lambda data: gzip.compress(data)[:-20], "a broken file"),
        (lambda data: b"<html>sign in</html>", "a broken file"),
        (lambda data: gzip.compress(data + bytes(70 * 2**20), 1), "a larger file"),
    ],
)
def test_keeps_no_wrong_download(tmp_path, contents, server, spoil, text):
    folder, address, _ = server
    put(folder, contents, ".gz")
    name = "train-images-idx3-ubyte"
    (folder / f"{name}.gz").write_bytes(spoil(contents[name]))
    with pytest.raises(DataError, match=text):
        module.mnist(mirror=address)
    assert not list((tmp_path / "cache").rglob("*.*"))


@pytest.mark.parametrize("there", [True, False])
def test_says_what_is_missing_and_where_to_put_it(tmp_path, contents, server, there):
    with pytest.raises(DataError) as caught:
        module.mnist(mirror=server[1] if there else NOWHERE)
    line = str(caught.value)
    assert "\n" not in line
    for part in ("train-images-idx3-ubyte.gz", f"put it into {tmp_path / 'cache/xpcnn/mnist'}", "XPCNN_DATA"):
        assert part in line
    assert ("404" if there else "refused") in line


def test_folders_that_do_not_exist(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"folder: a folder that exists, got '.*/none'"):
        module.mnist(tmp_path / "none", mirror=NOWHERE)
    monkeypatch.setenv("XPCNN_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"XPCNN_DATA: a folder that exists, got '.*/none'"):
        module.mnist(mirror=NOWHERE)


def test_files_in_each_others_place(tmp_path, contents):
    names = list(contents)
    contents[names[0]], contents[names[1]] = contents[names[1]], contents[names[0]]
    put(tmp_path / "here", contents)
    with pytest.raises(FormatError, match=r"expected uint8 \(N, 28, 28\), got uint8 \(7,\)"):
        module.mnist(tmp_path / "here", mirror=NOWHERE)


def test_the_registry_is_closed():
    assert load("digits").name == "digits"
    with pytest.raises(OptionError, match="one of digits, mnist, got 'os'"):
        load("os")
    with pytest.raises(OptionError, match="load digits: expected options among none, got folder"):
        load("digits", folder="x")
