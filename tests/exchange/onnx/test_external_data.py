"""Weights in a second file are read where it is a plain file beside the first; no other file is opened."""

from __future__ import annotations

import os
import time

import numpy as np
import onnx
import pytest

from xpcnn.errors import FileError, FormatError
from xpcnn.exchange import import_onnx

from .graphs import check, node, numbers, write

NODES = [node("Gemm", "x w b", "h"), node("Gemm", "h v", "y")]


def split(folder, **options):
    """A network whose weights lie in a file of their own, "weights"."""
    path = write(folder / "m.onnx", NODES, ["n", 3], w=numbers(3, 4), b=numbers(4), v=numbers(4, 2, seed=1))
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0, **options)
    return path


def change(path, **entries):
    """Other words about where the first weights are; None for none."""
    model = onnx.load(path, load_external_data=False)
    data = model.graph.initializer[0].external_data
    given = {each.key: each.value for each in data} | entries
    del data[:]
    for key, value in given.items():
        if value is not None:
            data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())


def test_it_is_read(tmp_path):
    path = split(tmp_path)
    assert b"weights" in path.read_bytes()
    check(path, 3)
    change(path, location="./weights", checksum="none")
    check(path, 3)


def test_a_file_for_each(tmp_path):
    """Without offsets and lengths."""
    path = split(tmp_path)
    data = (tmp_path / "weights").read_bytes()
    (tmp_path / "own").write_bytes(data[:48])
    change(path, location="own", offset=None, length=None)
    check(path, 3)


def test_it_is_missing(tmp_path):
    path = split(tmp_path)
    (tmp_path / "weights").unlink()
    with pytest.raises(FileError, match=r"w: expected its weights in weights, got No such file .*external_data=False"):
        import_onnx(path)


@pytest.mark.parametrize("name", ["../weights", "/etc/passwd", "a/weights", "a\\weights", "C:weights", "", ".", ".."])
def test_names_that_are_not_plain(tmp_path, name):
    folder = tmp_path / "a"
    folder.mkdir()
    path = split(folder)
    for other in (tmp_path, folder):
        (other / "a").mkdir(exist_ok=True)
        (other / "weights").write_bytes(bytes(1000))
    change(path, location=name)
    with pytest.raises(FormatError, match="weights in a file of the same folder, by a plain name, got"):
        import_onnx(path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_regular_file(tmp_path, kind):
    path = split(tmp_path)
    (tmp_path / "weights").rename(tmp_path / "other")
    if kind == "link":
        (tmp_path / "weights").symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(tmp_path / "weights")
    else:
        (tmp_path / "weights").mkdir()
    begun = time.perf_counter()
    with pytest.raises(FormatError, match="weights in weights, a regular file, got another; copy it there"):
        import_onnx(path)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"offset": 2**40}, r"w: expected weights within weights, got bytes 1099511627776 to .* of 96"),
        ({"offset": 90}, "got bytes 90 to 138 of 96"),
        ({"length": 97}, "got bytes 0 to 97 of 96"),
        ({"offset": 97, "length": None}, "weights within weights"),
        ({"offset": -4}, "offset: a whole number, got '-4'"),
        ({"length": "9" * 30}, "length: a whole number"),
        ({"length": "4.0"}, "length: a whole number"),
        ({"length": 44}, "as many numbers as its shape says, got 11 for"),
        ({"length": None}, "as many numbers as its shape says, got 24 for"),
        ({"location": None}, "by a plain name, got ''"),
    ],
)
def test_parts_that_are_not_in_the_file(tmp_path, entries, text):
    path = split(tmp_path)
    size = (tmp_path / "weights").stat().st_size
    change(path, **entries)
    with pytest.raises(FormatError, match=text.replace("96", str(size))):
        import_onnx(path)


def test_one_part_named_by_very_many_tensors(tmp_path, monkeypatch):
    """Each reads its own copy: all together may be no larger than a file may."""
    path = split(tmp_path)
    size = path.stat().st_size
    monkeypatch.setattr("xpcnn.exchange.onnx.file.MOST_BYTES", size + 96)
    check(path, 3)
    monkeypatch.setattr("xpcnn.exchange.onnx.file.MOST_BYTES", size + 95)
    with pytest.raises(FormatError, match=r"weights of at most .* bytes more"):
        import_onnx(path)


def test_a_constant_in_the_graph_names_no_file(tmp_path):
    tensor = onnx.numpy_helper.from_array(np.ones((3, 2), "float32"), "c")
    onnx.external_data_helper.set_external_data(tensor, "weights")
    tensor.ClearField("raw_data")
    (tmp_path / "weights").write_bytes(bytes(24))
    nodes = [node("Constant", "", "c", value=tensor), node("Gemm", "x c", "y")]
    with pytest.raises(FormatError, match="weights in the file itself, got a reference to another file"):
        import_onnx(write(tmp_path / "m.onnx", nodes, ["n", 3]))
