"""A kept step whose file is broken ends in one line, and leaves the model that is passed as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xpcnn.errors import FileError, FormatError, NonFiniteError, XpcnnError
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn import Dropout, Flatten, Linear, Sequential
from xpcnn.optim import SGD
from xpcnn.training import Trainer, replay

from .small import assert_same, generators, host, loader
from .test_nonfinite_report import broken


@pytest.mark.parametrize(
    "change",
    [
        lambda t, m: m.update(kind="checkpoint"),
        lambda t, m: m.update(architecture={"type": "os.system"}),
        lambda t, m: m.update(architecture={"type": "Linear", "in_features": 10**9, "out_features": 10**9}),
        lambda t, m: m.update(architecture=[]),
        lambda t, m: m.update(criterion={"type": "Sequential"}),
        lambda t, m: m.update(criterion={"type": "Loss"}),
        lambda t, m: m.update(criterion={"type": "CrossEntropyLoss", "nonsense": 1}),
        lambda t, m: m.update(criterion={}),
        lambda t, m: m.update(criterion="CrossEntropyLoss"),
        lambda t, m: m.update(criterion={"type": "CrossEntropyLoss", "reduction": "none"}),
        lambda t, m: m.update(generators={}),
        lambda t, m: m.update(generators={"3": {"bit_generator": "MT19937"}}),
        lambda t, m: m.update(generators={"3": 7}),
        lambda t, m: m.update(generators=None),
        lambda t, m: m.update(run={}),
        lambda t, m: m.update(run=None),
        lambda t, m: m.pop("architecture"),
        lambda t, m: m.pop("criterion"),
        lambda t, m: t.pop("batch.x"),
        lambda t, m: t.pop("batch.y"),
        lambda t, m: t.pop("model.4.bias"),
        lambda t, m: t.update({"model.extra": np.zeros(3)}),
        lambda t, m: t.update({"batch.x": np.zeros((2, 5, 5, 1), "float32")}),
        lambda t, m: t.update({name: array * 0 + 7 for name, array in t.items()}),
    ],
)
def test_broken_files_end_in_one_line(tmp_path, change):
    path, _ = broken(tmp_path)
    tensors, metadata = read_tensors(path)
    change(tensors, metadata)
    metadata.pop("format", None)
    write_tensors(path, tensors, metadata)
    with pytest.raises(XpcnnError) as caught:
        replay(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "change",
    [
        lambda t, m: m.update(criterion={"type": "Sequential"}),
        lambda t, m: m.update(generators={}),
        lambda t, m: m.update(generators={"1": {"bit_generator": "MT19937"}}),
        lambda t, m: m["generators"].pop("3"),
        lambda t, m: m.update(run={}),
        lambda t, m: t.pop("batch.y"),
        lambda t, m: t.pop("model.4.bias"),
    ],
)
def test_a_broken_file_leaves_the_model_that_is_passed_as_it_was(tmp_path, change):
    def layers():
        return Sequential(Flatten(), Dropout(0.2, rng=4), Linear(36, 36, rng=0), Dropout(0.4, rng=3), Linear(36, 3))

    training = layers()
    with pytest.raises(NonFiniteError):
        Trainer(training, SGD(training.parameters(), lr=1e25), folder=tmp_path, verbose=False).fit(loader(), epochs=1)
    path = tmp_path / "nonfinite-2.safetensors"
    tensors, metadata = read_tensors(path)
    change(tensors, metadata)
    metadata.pop("format", None)
    write_tensors(path, tensors, metadata)
    model = layers()
    before, states = host(model.state_dict()), generators(model)
    with pytest.raises(FormatError):
        replay(path, model=model)
    assert_same(host(model.state_dict()), before)
    assert generators(model) == states


def test_what_is_no_such_file(tmp_path):
    with pytest.raises(FileError):
        replay(tmp_path / "missing.safetensors")
    (tmp_path / "x").write_bytes(json.dumps({}).encode())
    with pytest.raises(FormatError):
        replay(tmp_path / "x")
