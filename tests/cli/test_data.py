"""`xpcnn data`: what there is, where it is, and what is in it, as a user reads it; one line for what is amiss."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import platformdirs
import pytest

import xpcnn
from xpcnn import data, plot
from xpcnn.cli import main
from xpcnn.cli.data import dataset_options
from xpcnn.data.registry import KNOWN
from xpcnn.errors import OptionError

from ..data.conftest import mirror  # noqa: F401  (a fixture)
from ..io.test_idx import idx


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("XPCNN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def say(capsys):
    """The exit status, output and errors of a command."""

    def run(*words: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        told = capsys.readouterr()
        return end.value.code, told.out, told.err

    return run


def test_list(say, tmp_path):
    (tmp_path / "cache/xpcnn/cifar10").mkdir(parents=True)
    (tmp_path / "cache/xpcnn/cifar10/cifar-10-binary.tar.gz").write_bytes(b"")
    code, output, _ = say("data", "list")
    assert code == 0
    heading, _, *rows = output.splitlines()
    lines = {line.split()[0]: line for line in (heading, *rows)}
    assert list(lines) == ["name", *data.names()]
    assert lines["digits"].split()[1:5] == ["8×8×1", "1437", "360", "10"]
    assert lines["digits"].endswith("comes with xpcnn")
    assert lines["cifar10"].endswith(str(tmp_path / "cache/xpcnn/cifar10"))
    assert lines["cifar100"].split()[1:5] == ["32×32×3", "50000", "10000", "100"]
    assert lines["cifar100"].endswith("no; xpcnn data get cifar100, 169 MB")
    put = f"no; put train_signs.h5 and test_signs.h5 into {tmp_path / 'cache/xpcnn/signs'}"
    assert lines["signs"].endswith(put)
    widths = {line.index(word) for line, word in ((lines["mnist"], "no;"), (lines["name"], "on this"))}
    assert len(widths) == 1


def test_get(say, tmp_path, monkeypatch, mirror):  # noqa: F811
    pytest.importorskip("pooch")
    module = import_module("xpcnn.data.mnist")
    files = []
    for file in module.MNIST.files:
        array = np.zeros((3, 28, 28), np.uint8) if "images" in file.name else np.arange(3, dtype=np.uint8)
        packed = gzip.compress(idx(array), mtime=0)
        (mirror.folder / file.name).write_bytes(packed)
        files.append(replace(file, size=len(packed), sha256=hashlib.sha256(packed).hexdigest()))
    tiny = replace(module.MNIST, files=tuple(files), mirrors=(mirror.address,))
    monkeypatch.setattr(module, "MNIST", tiny)
    monkeypatch.setitem(KNOWN, "mnist", replace(KNOWN["mnist"], source=tiny))
    where = tmp_path / "cache/xpcnn/mnist"
    for _ in range(2):
        code, output, _ = say("data", "get", "mnist")
        assert (code, output) == (0, f"mnist: 3 images to train and 3 to test on; in {where}\n")
    assert len(mirror.asked) == 4
    assert say("data", "list")[1].splitlines()[3].endswith(str(where))


@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM")
def test_sigterm_in_the_middle_of_a_download_leaves_nothing_and_says_one_line(tmp_path, mirror):  # noqa: F811
    pytest.importorskip("pooch")
    (mirror.folder / "train-images-idx3-ubyte.gz").write_bytes(bytes(10**5))
    (tmp_path / "here").mkdir()
    code = (
        "import sys, time; from xpcnn import cli; from xpcnn.data import download as module\n"
        "def wait(self, size): print('half', flush=True); time.sleep(60)\n"
        "module._ProgressBar.update = wait\n"
        "cli.main(sys.argv[1:])"
    )
    words = ["data", "show", "mnist", "--option", "folder=here", "--option", f"mirrors={mirror.address}"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "half\n"
    assert len(list((tmp_path / "here").iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, "xpcnn: terminated\n")
    assert list((tmp_path / "here").iterdir()) == []


def test_get_of_what_needs_no_download_or_has_none(say):
    assert say("data", "get", "digits")[1] == "digits: 1437 images to train and 360 to test on; in xpcnn itself\n"
    code, _, errors = say("data", "get", "signs")
    assert code == 2
    assert "the file train_signs.h5, got none in " in errors
    assert errors.count("\n") == 1
    code, _, errors = say("data", "get", "pets")
    assert (code, errors.count("\n")) == (2, 1)
    assert "data get: expected one of digits, mnist, " in errors


def test_show(say):
    code, output, _ = say("data", "show", "digits")
    assert code == 0
    lines = output.splitlines()
    assert lines[:3] == ["name       digits", "images     1437 to train, 360 to test on", "size       8×8×1, uint8"]
    train = data.digits().train.images / 255
    assert lines[3] == f"train      mean {train.mean():.4f}, deviation {train.std():.4f}, of 0 … 255, divided by 255"
    counts = [line.split() for line in lines[8:]]
    assert [name for name, _, _ in counts] == list("0123456789")
    for column, split in ((1, data.digits().train), (2, data.digits().test)):
        assert [int(row[column]) for row in counts] == np.bincount(split.labels).tolist()


@pytest.mark.parametrize("scale", [1, 255])
def test_show_of_colours_and_options(say, tmp_path, rng, scale):
    images = (rng.random((12, 3, 8, 8)) * 255).astype(np.uint8) / (255 / scale)
    np.savez(tmp_path / "a.npz", x=images, y=["cat", "dog"] * 6)
    code, output, _ = say("data", "show", "a.npz", "--option", "channels_first=true", "--option", "test_fraction=0.5")
    assert code == 0
    split = data.load("a.npz", channels_first=True, test_fraction=0.5).train
    pixels = split.images.astype(float) / split.scale
    means, deviations = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))
    expected = f"mean {' '.join(f'{m:.4f}' for m in means)}, deviation {' '.join(f'{s:.4f}' for s in deviations)}"
    assert expected in output.splitlines()[3]
    assert output.splitlines()[-1].split() == ["dog", "3", "3"]


def test_show_writes_names_that_do_nothing_to_a_terminal(say, tmp_path):
    names = np.array(["\x1b[31mcat\x07", "big\ndog"])
    np.savez(tmp_path / "a\x1b[2J.npz", x=np.zeros((10, 4, 4), np.uint8), y=np.arange(10) % 2, classes=names)
    code, output, _ = say("data", "show", "a\x1b[2J.npz")
    assert code == 0
    assert all(line.isprintable() for line in output.splitlines())
    assert [line.split() for line in output.splitlines()[-2:]] == [["�[31mcat�", "4", "1"], ["big", "dog", "4", "1"]]


def test_show_draws_a_sheet(say, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    images = np.broadcast_to(np.arange(0, 240, 6, dtype=np.uint8)[:, None, None], (40, 4, 4))
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(40) // 10, x_test=images[:1], y_test=[0])
    drawn = []
    real = plot.batch
    monkeypatch.setattr(plot, "batch", lambda *images, **names: drawn.append((images, names)) or real(*images, **names))
    code, output, errors = say("data", "show", "a.npz", "--out", "sheet.png", "-n", 8)
    assert (code, output.splitlines()[-1]) == (0, "sheet.png"), errors
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    ((x, y), names), *_ = drawn
    assert xpcnn.to_numpy(y).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # of every class, though they are sorted
    np.testing.assert_allclose(xpcnn.to_numpy(x)[:, 0, 0, 0] * 255, range(0, 240, 30), atol=1e-4)
    assert names == {"classes": ("0", "1", "2", "3")}
    for words, text in ((("-n", 0), "-n: an integer ≥ 1"), (("--out", "sheet.gif"), "sheet.gif")):
        code, _, errors = say("data", "show", "digits", "--out", "other.png", *words)
        assert (code, errors.count("\n")) == (2, 1)
        assert text in errors


def test_show_of_a_regression(say, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((10, 2, 2)), y=np.arange(10) / 4)
    code, output, _ = say("data", "show", "a.npz", "--option", "regression=true")
    assert code == 0
    assert "targets from" in output.splitlines()[-1]
    assert "class" not in output


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "nowhere"], "got 'nowhere'; xpcnn data list shows more"),
        (["show", "digits", "--option", "size"], "--option: expected NAME=VALUE, such as size=64, got 'size'"),
        (["show", "digits", "--option", "size=64"], "options among none, got size"),
        ([], "the following arguments are required: ACTION"),
        (["fetch"], "invalid choice: 'fetch'"),
        (["get"], "the following arguments are required: name"),
    ],
)
def test_one_line_for_what_is_amiss(say, words, text):
    code, _, errors = say("data", *words)
    assert code == 2
    assert text in errors
    assert errors.count("\n") == 1


def test_options_in_words():
    words = ["size=64", "image_shape=[3, 4]", "coarse=true", "label=kind", "label=-1", "share=0.5", "path=a=b", "x="]
    assert dataset_options(words) == {
        "size": 64, "image_shape": [3, 4], "coarse": True, "label": -1, "share": 0.5, "path": "a=b", "x": "",
    }  # fmt: skip
    for word in ("size", "=3", "a b=3"):
        with pytest.raises(OptionError, match="NAME=VALUE"):
            dataset_options([word])


def test_options_as_the_messages_write_them_in_python():
    words = ["image_shape=(3, 4, 1)", "size=3,4", "channels_first=False", "regression=True", "labels=None", "test=1-2"]
    assert dataset_options(words) == {
        "image_shape": (3, 4, 1), "size": (3, 4), "channels_first": False, "regression": True, "labels": None,
        "test": "1-2",
    }  # fmt: skip
