"""Figures are drawn without pyplot, display or global state, and written whole or not at all."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from xpcnn import plot
from xpcnn.errors import FileError, MissingExtraError, OptionError
from xpcnn.plot.confusion import shares
from xpcnn.plot.figure import class_name, short


def figure():
    return plot.batch(np.zeros((1, 2, 2, 1)), np.array([0]), classes=["$\\nonsense{ 100 % & <cat>"])


@pytest.mark.parametrize("name", ["batch", "confusion", "grad_cam", "most_wrong", "saliency"])
def test_classes_are_passed_by_name(name):
    parameters = inspect.signature(getattr(plot, name)).parameters
    named = {each for each, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert {"classes", "n"} & parameters.keys() <= named


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")])
def test_each_format_is_what_its_name_says(tmp_path, name, start):
    plot.save(figure(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.gif", "a", "png", "a.png.exe"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(OptionError, match=r"a file that ends in \.png, \.svg, \.pdf"):
        plot.save(figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="free some space"):
        plot.save(figure(), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileError, match="nowhere"):
        plot.save(figure(), tmp_path / "nowhere" / "a.png")


def test_no_pyplot_and_no_global_settings(tmp_path):
    code = f"""
import sys, numpy as np, matplotlib
names = [name for name in matplotlib.rcParams if name != "backend"]  # to ask for it imports pyplot
before = [matplotlib.rcParams[name] for name in names]
from xpcnn import nn, plot
model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d())
image = np.ones((2, 2, 1), np.float32)
for figure in (plot.filters(model), plot.feature_maps(model, image), plot.saliency(model, image),
               plot.grad_cam(model, image), plot.confusion([[1]]), plot.batch(image[None])):
    plot.save(figure, {str(tmp_path / "a.png")!r})
assert "matplotlib.pyplot" not in sys.modules
assert [matplotlib.rcParams[name] for name in names] == before
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND", "XPCNN_BACKEND")
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"plot: expected matplotlib to draw pictures.*xpcnn\[plot\]"):
        figure()


def test_the_numbers_behind_pictures_need_no_matplotlib(monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    assert shares([[1, 1], [0, 2]]).tolist() == [[0.5, 0.5], [0, 1]]


def test_names_are_cut_and_stand_in_one_line():
    assert short("a cat", 5) == "a cat"
    assert short("some cats", 6) == "some…"
    assert short(" a\n\tcat  of\u2028two ", 20) == "a cat of two"
    assert class_name(1, ("cat",)) == "1"
    assert class_name(0, ("cat",)) == "cat"
