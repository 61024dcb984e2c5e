"""An empty word is not the current folder, and the home directory of nobody is one line, wherever a path is said."""

from __future__ import annotations

import re

import numpy as np
import pytest

from xpcnn import cli
from xpcnn.errors import OptionError
from xpcnn.options import as_path, expanded
from xpcnn.training.config import RunConfig

NOBODY = "~nobody-of-that-name/x.npz"


@pytest.fixture
def said(capsys, monkeypatch, tmp_path):
    """A function of words: the one line that the command says before it ends with status 2, having written nothing."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=np.zeros((8, 4, 4), np.uint8), y=np.arange(8) % 2)
    (tmp_path / "empty.toml").write_text('dataset = ""')

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        errors = capsys.readouterr().err
        assert (ended.value.code, errors.count("\n")) == (2, 1), errors
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "empty.toml"]
        return errors

    return run


@pytest.mark.parametrize(
    "words",
    [
        ["train", NOBODY],
        ["train", "a.npz", "--option", f"test={NOBODY}"],
        ["train", "digits", "--out", NOBODY],
        ["data", "show", NOBODY],
        ["data", "show", "mnist", "--option", f"folder={NOBODY}"],
    ],
)
def test_the_home_of_nobody(said, words):
    assert f"expected a user's home directory, got '{NOBODY}'; write the whole path" in said(*words)


def test_the_home_of_nobody_in_the_environment(said, monkeypatch):
    monkeypatch.setenv("XPCNN_DATA", NOBODY)
    assert "XPCNN_DATA: expected a user's home directory" in said("data", "show", "mnist")


@pytest.mark.parametrize(
    "words",
    [
        ["train", ""],
        ["train", "--config", "empty.toml"],
        ["train", "digits", "--out", ""],
        ["train", "digits", "--config", ""],
        ["train", "--resume", ""],
        ["data", "show", ""],
        ["data", "show", "a.npz", "--out", ""],
        ["data", "show", "a.npz", "--option", "test="],
        ["data", "show", "mnist", "--option", "folder="],
        ["eval", "", "digits"],
        ["predict", "", "a.npy"],
        ["summary", ""],
    ],
)
def test_an_empty_word_is_no_path(said, words):
    assert re.search("path|name of a file or a folder", said(*words)) or words[0] == "summary"


def test_an_empty_text_is_no_path():
    for refused in (lambda: as_path("x", ""), lambda: expanded("x", ""), lambda: RunConfig(dataset="")):
        with pytest.raises(OptionError, match=r"got (an empty text; write \. for|'')"):
            refused()
