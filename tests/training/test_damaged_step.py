"""Every single wrong value in a kept step is refused, and the network that was passed is as it was before."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import FormatError
from xpcnn.io.tensors import read_tensors
from xpcnn.nn import CrossEntropyLoss
from xpcnn.training import replay
from xpcnn.training.nonfinite_report import keep

from ..damage import write, wrong, wrong_arrays
from .small import assert_same, batch, generators, host, network


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "nonfinite-3.safetensors"
    model, (x, y) = network(), batch()
    model[0].weight[...] = np.nan
    keep(path, model, CrossEntropyLoss(label_smoothing=0.5), x, y, {"step": 3, "epoch": 1, "batch": 3}, np.arange(10))
    return *read_tensors(path), path


def outcomes(kept, cases, given):
    """The cases (what is wrong, arrays, document) that are replayed."""
    path, model, taken = kept[2], network(), []
    arrays, states = host(model.state_dict()), generators(model)
    for what, changed, document in cases:
        write(path, changed, document)
        error = None
        try:
            replay(path, model=model if given else None)
        except FormatError as refusal:
            error = str(refusal)
        if error is None:
            taken.append(what)
            model = network()
        else:
            assert "\n" not in error
            assert_same(host(model.state_dict()), arrays)
            assert generators(model) == states
    return taken


@pytest.mark.parametrize("given", [False, True])
def test_every_wrong_value(kept, given):
    arrays, document, _ = kept
    cases = [((path, value), arrays, changed) for path, value, changed in wrong(document)]
    for path, value in outcomes(kept, cases, given):
        plausible = (
            path[0] == "architecture"  # another network of the same arrays; or not looked at, where one is given
            or path[0] == "criterion"  # its other options
            or (path[:2] == ("generators", "5") and isinstance(value, int))  # another state
        )
        assert plausible, (path, value)


@pytest.mark.parametrize("given", [False, True])
def test_every_wrong_array(kept, given):
    arrays, document, _ = kept
    cases = [(what, changed, document) for what, changed in wrong_arrays(arrays)]
    for what in outcomes(kept, cases, given):
        name, _, kind = what.partition(": ")
        finite = name.startswith(("model.", "batch.x")) and kind in ("nan", "inf")  # which is what it is kept for
        unused = name.startswith("batch.indices") or name == "batch.y"  # NaN comes before the labels are looked at
        assert finite or (unused and kind not in ("size", "shape")) or name.startswith("batch.indices"), what
