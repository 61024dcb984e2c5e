"""The large architectures compute what they computed when they were equal to torchvision's (test_torchvision.py)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import xpcnn
from xpcnn import models

from ..snapshot import assert_same
from .known import CLASSES, IMAGES, fill, images, ways
from .shapes import heavy_ones_slow

SNAPSHOTS = Path(__file__).parent / "snapshots"
KNOWN = SNAPSHOTS / "known_numbers.json"  # delete a network's numbers, and the test writes new ones


def test_names_and_shapes_of_the_arrays(monkeypatch):
    monkeypatch.setattr("xpcnn.nn.init.draw", lambda kind, shape, **_: np.broadcast_to(np.float32(0), shape))
    said = []
    for name in IMAGES:
        model = models.MODELS[name]()
        arrays = sorted((key, tuple(array.shape)) for key, array in model.state_dict().items())
        number = sum(math.prod(array.shape) for array in model.parameters().values())
        said.append(f"{name} {number} parameters, {len(arrays)} arrays, {crc32(repr(arrays).encode()):08x}")
    assert_same(SNAPSHOTS / "arrays.txt", said)


@pytest.mark.parametrize("name", heavy_ones_slow(IMAGES))
def test_outputs_statistics_and_gradients(name):
    """Of each group of arrays: how many there are, their length as one vector, and their sum."""
    with xpcnn.use_backend("numpy"):
        model = fill(models.build(name, IMAGES[name], CLASSES, rng=0).astype("float64"))
    inference = model(images(name))
    y, cache = model.forward(images(name))
    dx, grads = model.backward(ways(y.shape), cache)
    statistics = [array for key, array in model.state_dict().items() if key not in grads]
    groups = {
        "inference": [inference],
        "training": [y],
        "dx": [dx],
        "statistics": statistics,
        "gradients": grads.values(),
    }
    found = {what: numbers(list(arrays)) for what, arrays in groups.items()}
    known = json.loads(KNOWN.read_text("utf-8")) if KNOWN.exists() else {}
    if name not in known:
        KNOWN.write_text(json.dumps(dict(sorted((known | {name: found}).items())), indent=1) + "\n", "utf-8")
        pytest.fail(f"{name} is new in {KNOWN.name}: look at it, and keep it if test_torchvision.py passes")
    for what, (count, length, total) in known[name].items():
        assert found[what][0] == count, what
        assert found[what][1:] == pytest.approx([length, total], rel=0, abs=1e-7 * length), what


def numbers(arrays):
    length = math.sqrt(sum(float((array**2).sum()) for array in arrays))
    return [len(arrays), float(f"{length:.9g}"), float(f"{sum(float(array.sum()) for array in arrays):.9g}")]
