"""All commands read the words and files that they are given in the same way."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.cli import main
from xpcnn.cli.files import class_number
from xpcnn.data.model_images import images_in
from xpcnn.errors import MissingExtraError, OptionError
from xpcnn.io.model_file import SavedModel, save_model
from xpcnn.nn import Sequential


def test_a_picture_without_pillow_is_named_and_no_command_that_was_not_given(tmp_path, monkeypatch):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"")
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"cat\.png: expected pillow to read pictures.*xpcnn\[images\]") as told:
        list(images_in(picture, SavedModel(Sequential(), (4, 4, 1), (), {})))
    assert "predict" not in str(told.value)


def test_classes_by_name_then_by_number():
    assert [class_number(word, ("7", "cat", "dog")) for word in ("dog", "7", "2")] == [2, 0, 2]
    assert class_number("3", ()) == 3
    for word, known in (("bird", ("cat", "dog")), ("-1", ()), ("1.5", ())):
        expected = f"--target: expected a class: {', '.join(known) or 'a number'}, got '{word}'"
        with pytest.raises(OptionError, match=expected):
            class_number(word, known)


@pytest.mark.parametrize("several", ["inputs", "outputs"])
def test_a_network_of_several_inputs_or_outputs_is_for_python(tmp_path, capsys, several):
    mean, shape, path = nn.GlobalAvgPool2d(), (8, 8, 1), tmp_path / "m.safetensors"
    if several == "outputs":
        model = nn.Graph({"a": (mean, "x"), "b": (mean, "x")}, outputs=("a", "b"))
        save_model(model, path, input_shape=shape)
    else:
        model = nn.Graph({"a": (mean, "x"), "b": (mean, "z"), "y": (nn.Add(), "a", "b")}, inputs=("x", "z"))
        save_model(model, path, input_shape=(shape, shape))
    image = tmp_path / "x.npy"
    np.save(image, np.zeros(shape, np.float32))
    status = {}
    for command in ("summary", "predict", "eval", "explain", "export", "plot filters"):
        words = {"predict": [image], "eval": ["digits"], "explain": ["a", image], "export": [tmp_path / "m.onnx"]}
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), str(path), *map(str, words.get(command, []))])
        status[command] = ended.value.code or 0
        assert ("one input and one output" in capsys.readouterr().err) == (command not in ("summary", "export"))
    assert list(status.values()) == [0, 2, 2, 2, 0, 2]
    assert (tmp_path / "m.onnx").is_file()
