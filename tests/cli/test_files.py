"""What commands make of the words and files that they are given, whichever command it is."""

from __future__ import annotations

import sys

import pytest

from xpcnn.cli.files import class_number, images
from xpcnn.errors import MissingExtraError, OptionError
from xpcnn.io.model_file import SavedModel
from xpcnn.nn import Sequential


def test_a_picture_without_pillow_is_named_and_no_command_that_was_not_given(tmp_path, monkeypatch):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"")
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"cat\.png: expected pillow to read pictures.*xpcnn\[images\]") as told:
        list(images(picture, SavedModel(Sequential(), (4, 4, 1), (), {})))
    assert "predict" not in str(told.value)


def test_classes_by_name_then_by_number():
    assert [class_number(word, ("7", "cat", "dog")) for word in ("dog", "7", "2")] == [2, 0, 2]
    assert class_number("3", ()) == 3
    for word, known in (("bird", ("cat", "dog")), ("-1", ()), ("1.5", ())):
        expected = f"--target: expected a class: {', '.join(known) or 'a number'}, got '{word}'"
        with pytest.raises(OptionError, match=expected):
            class_number(word, known)
