"""Documents from strangers: what is nested too deeply or is no finite number is refused, as what is no document is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xpcnn.errors import FormatError, OptionError
from xpcnn.io.document import MOST_DEPTH, parse_json, parse_toml
from xpcnn.io.model_file import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn import Linear, MSELoss, Sequential
from xpcnn.training import Trainer, replay
from xpcnn.training.config import read_config
from xpcnn.training.nonfinite_report import keep


def lists(depth):
    return "[" * depth + "]" * depth


def objects(depth):
    return '{"a": ' * (depth - 1) + "{}" + "}" * (depth - 1)


@pytest.mark.parametrize("nested", [lists, objects])
def test_depth(nested):
    parse_json(nested(MOST_DEPTH))
    for depth in (MOST_DEPTH + 2, 900, 5000, 200_000):
        with pytest.raises(ValueError, match="more than 256 levels"):
            parse_json(nested(depth))
    parse_json("[" + "[]," * 5000 + "[]]")  # wide, not deep


@pytest.mark.parametrize("depth", [300, 5000, 100_000])
def test_depth_of_toml(depth):
    for text in (f"a = {lists(depth)}", "a = " + "{a = " * depth + "1" + "}" * depth, ".".join("a" * depth) + " = 1"):
        with pytest.raises(ValueError):  # noqa: PT011
            parse_toml(text)
    assert parse_toml(f"a = {lists(90)}")["a"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000, "[1, 1e400]"])
def test_numbers_are_finite(number):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(number)


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe", b"\x80", "\x00", '{"a": 1} 2', '"\ud800', "nonsense"])
def test_no_document(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)


def with_document(path, text):
    """A file whose document is that text."""
    header = json.dumps({"__metadata__": {"xpcnn": text}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


@pytest.mark.parametrize("depth", [300, 5000, 100_000])
def test_depth_in_the_files_of_a_run(tmp_path, depth):
    (tmp_path / "config.json").write_text(f'{{"options": {objects(depth)}}}')
    with pytest.raises(FormatError, match=r"config\.json: expected a run's configuration, got .*levels"):
        read_config(tmp_path)
    for text in (lists(depth), f'{{"format": 1, "architecture": {objects(depth)}}}'):
        path = with_document(tmp_path / "m.safetensors", text)
        for read in (read_tensors, load_model, replay):
            with pytest.raises(FormatError) as caught:
                read(path)
            assert len(str(caught.value)) < 600
    (tmp_path / "deep.safetensors").write_bytes((2 * depth).to_bytes(8, "little") + lists(depth).encode())
    with pytest.raises(FormatError):
        read_tensors(tmp_path / "deep.safetensors")


def test_what_is_written_can_be_read(tmp_path):
    deep = json.loads(lists(300))
    model = Sequential(Linear(2, 2, rng=0))
    with pytest.raises(OptionError):
        save_model(model, tmp_path / "m.safetensors", input_shape=(2,), extra={"deep": deep})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "null", '"one"', "[1]", "{}", "1" * 400])
@pytest.mark.parametrize("name", ["step", "epoch", "batch"])
def test_a_kept_step_whose_place_is_no_number(tmp_path, value, name):
    x = np.full((1, 2), np.nan, np.float32)
    path = tmp_path / "nonfinite-1.safetensors"
    keep(path, Sequential(Linear(2, 2, rng=0)), MSELoss(), x, x, {"step": 1, "epoch": 2, "batch": 3} | {name: 777})
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["xpcnn"] = header["__metadata__"]["xpcnn"].replace("777", value)
    del header["__metadata__"]["xpcnn_crc32"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(FormatError) as caught:
        replay(path)
    assert len(str(caught.value)) < 500


def test_a_trainer_is_not_given_more_than_python_counts():
    model = Sequential(Linear(2, 2, rng=0))
    from xpcnn.optim import SGD

    for name in ("accumulate", "patience", "read_every", "overfit_batches"):
        with pytest.raises(OptionError, match=f"{name}: an integer from [01] to {2**63 - 1}"):
            Trainer(model, SGD(model.parameters(), lr=0.1), **{name: 2**63})
        with pytest.raises(OptionError, match="too long to print"):
            Trainer(model, SGD(model.parameters(), lr=0.1), **{name: 10**5000})
    with pytest.raises(OptionError, match="clip_norm"):
        Trainer(model, SGD(model.parameters(), lr=0.1), clip_norm=-(10**400))


def test_documents_have_no_infinite_numbers(tmp_path):
    with pytest.raises(OptionError):
        write_tensors(tmp_path / "a.safetensors", {}, {"x": float("inf")})
    with pytest.raises(FormatError, match="1e999 is no JSON number"):
        read_tensors(with_document(tmp_path / "a.safetensors", '{"format": 1, "steps": 1e999}'))
