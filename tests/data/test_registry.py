"""One `load` for names and paths; what it does not know, it says together with all that it does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn.data.image_folder import image_folder
from xpcnn.data.mask_folder import mask_folder
from xpcnn.data.option_types import _KINDS
from xpcnn.data.picture_table import picture_table
from xpcnn.data.registry import KNOWN, READERS, load, names
from xpcnn.errors import DataError, OptionError

from ..snapshot import assert_same

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "data_sets.md"


def test_names():
    assert load("digits").name == "digits"
    for name in names():
        assert getattr(xpcnn.data, name) is KNOWN[name].make


def test_what_the_list_says_is_so():
    data, known = load("digits"), KNOWN["digits"]
    assert (len(data.train), len(data.test), data.input_shape, len(data.classes)) == (
        known.train, known.test, known.input_shape, known.classes,
    )  # fmt: skip
    assert [name for name, known in KNOWN.items() if known.source is None] == ["digits"]
    for name, known in KNOWN.items():
        assert known.source is None or known.source.name == name


@pytest.mark.parametrize("name", KNOWN)
def test_docstrings_and_the_documentation_say_what_the_table_says(name):
    known, (height, width, channels) = KNOWN[name], KNOWN[name].input_shape
    said = known.make.__doc__.partition("\n\n")[0]
    for words in (f"(N, {height}, {width}, {channels})", f"{known.train:,} to train", f"{known.test:,} to test on"):
        assert words in said
    (row,) = (line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and f"`{name}`" in line)
    images = f"{height}×{width} {'grey' if channels == 1 else 'RGB'}"
    expected = (images, str(known.classes), f"{known.train:,} and {known.test:,}")
    for cell, words in zip(row.split(" | ")[1:], expected, strict=True):
        assert re.match(rf"{words}(?![\w,]*\d)", cell)


@pytest.mark.parametrize("name", ["os", "mnist ", "./nothing", "nothing.csv", "", 5, None])
def test_what_nobody_knows(name):
    with pytest.raises(OptionError) as caught:
        load(name)
    line = str(caught.value)
    assert "\n" not in line
    if isinstance(name, str) and name:
        for part in (
            "digits, mnist, fashion_mnist",
            "folder of pictures or file (.npz .npy .csv .csv.gz .tsv .tsv.gz .tar .h5 .hdf5)",
            name,
        ):
            assert part in line


def test_an_ending_that_nobody_reads(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(
        OptionError, match=r"file \(.npz .npy .csv .csv.gz .tsv .tsv.gz .tar .h5 .hdf5\), got '.*a.txt'"
    ):
        load(tmp_path / "a.txt")


def test_a_name_goes_before_a_path(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load("digits").train) == 1437
    with pytest.raises(xpcnn.data.dataset.DataError, match="a folder of pictures for each class"):
        load("./digits")


def test_endings_in_capitals_and_home(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2, 2), np.uint8), y=[0, 1, 0, 1])
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load("~/A.NPZ").name == "A"
    assert load(str(tmp_path / "A.NPZ")).name == "A"


def test_options_that_its_function_does_not_take(tmp_path):
    with pytest.raises(OptionError, match="load digits: expected options among none, got folder"):
        load("digits", folder="x")
    with pytest.raises(OptionError, match="load mnist: expected options among folder, mirrors, got coarse, size"):
        load("mnist", size=3, coarse=True)
    np.save(tmp_path / "x.npy", np.zeros((2, 2, 2)))
    with pytest.raises(OptionError, match=r"options among labels, test, classes, .*, got path"):
        load(tmp_path / "x.npy", path="y")


def test_every_option_of_a_function_has_a_default():
    """So that a name or a path is enough."""
    for known in KNOWN.values():
        assert all(each.default is not each.empty for each in inspect.signature(known.make).parameters.values())


_NAMES = 'classes: the classes\' names, which differ, such as ["cat", "dog"]'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"image_shape": 24}, "image_shape: (H, W) or (H, W, C), such as (28, 28, 1), got 24"),
        ({"image_shape": "(4,6,1)"}, "image_shape: (H, W) or (H, W, C), such as (28, 28, 1), got '(4,6,1)'"),
        ({"image_shape": (4, 0)}, "image_shape: (H, W) or (H, W, C), such as (28, 28, 1), got (4, 0)"),
        ({"channels_first": "False"}, "channels_first: True or False, got 'False'"),
        ({"regression": "no"}, "regression: True or False, got 'no'"),
        ({"regression": None}, "regression: True or False, got None"),
        ({"classes": 5}, _NAMES + ", got 5"),
        ({"classes": [1, 2]}, _NAMES + ", got [1, 2]"),
        ({"classes": "abc"}, _NAMES + ", got 'abc'"),
        ({"classes": ["a", "b", "a"]}, _NAMES + ", got ['a', 'b', 'a']"),
        ({"most_bytes": 2**63}, "most_bytes: an integer from 1 to 2⁶³ − 1, got 9223372036854775808"),
        ({"labels": ""}, "labels: a path, got ''"),
        ({"most_bytes": "x"}, "most_bytes: an integer from 1 to 2⁶³ − 1, got 'x'"),
        ({"labels": 5}, "labels: a path, got 5"),
    ],
)
def test_options_of_another_kind_are_refused_by_name_before_the_file_is_read(tmp_path, options, expected):
    (tmp_path / "pictures.npy").write_bytes(b"never read")
    with pytest.raises(OptionError) as refused:
        load(tmp_path / "pictures.npy", **options)
    assert str(refused.value).endswith(f"pictures.npy: expected {expected}")


def test_every_option_is_checked():
    makes = {*READERS.values(), image_folder, mask_folder, picture_table, *(known.make for known in KNOWN.values())}
    options = {name for make in makes for name in inspect.signature(make).parameters}
    by_the_functions = {"label", "seed", "size", "test_fraction"}
    assert options - {"path"} == {*_KINDS, *by_the_functions}


def test_one_mirror_may_be_a_text(tmp_path, monkeypatch):
    asked = []

    def download(name, file, mirrors, folders):
        asked.append(mirrors)
        raise DataError(name, file.name, "none")

    monkeypatch.setattr("xpcnn.data.locations.download", download)
    for mirrors in ("http://one/", ["http://one/"]):
        with pytest.raises(DataError):
            load("mnist", folder=tmp_path, mirrors=mirrors)
    assert asked == [("http://one/",)] * 2
    with pytest.raises(OptionError, match="mirrors: addresses, got 5"):
        load("mnist", mirrors=5)


def test_options_that_may_be_left_open_may_be_none(tmp_path):
    np.savez(tmp_path / "pictures.npz", images=np.zeros((4, 2, 2), np.uint8), labels=[0, 1, 0, 1])
    dataset = load(tmp_path / "pictures.npz", image_shape=None, channels_first=None, labels=None)
    assert dataset.input_shape == (2, 2, 1)


def test_what_is_downloaded_and_from_where():
    said = []
    for name, entry in KNOWN.items():
        said.append(f"{name}: {entry.train} + {entry.test} images {entry.input_shape}, {entry.classes} classes")
        if entry.source is not None:
            said += [f"  {each.name} {each.size} {each.sha256} {' '.join(each.also)}" for each in entry.source.files]
            said += [f"  from {mirror}" for mirror in entry.source.mirrors]
            said.append(f"  in {' '.join(map(repr, entry.source.subfolders))}")
    assert_same(Path(__file__).parent / "snapshots" / "registry.txt", said)
