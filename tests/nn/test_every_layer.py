"""Every layer, alone: what it computes in inference is what plain loops compute."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.nn.layer_examples import EXAMPLES

from ..arrays import assert_close
from ..reference_layers import LOOPS

LEAVES = [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container)]


def example(name):
    """In float64, with numbers that are not 0 or 1."""
    layer, x = EXAMPLES[name]()
    layer.astype("float64")
    rng = np.random.default_rng(3)
    for _, each, key in layer.named_arrays(buffers=True):
        setattr(each, key, xpcnn.asarray(rng.uniform(0.5, 1.5, getattr(each, key).shape), "float64"))
    return layer, x


@pytest.mark.parametrize("name", LEAVES)
def test_a_layer_computes_what_its_loops_do(xp, name):
    layer, x = example(name)
    arrays = {key: xpcnn.to_numpy(array) for key, array in layer.state_dict().items()}
    assert_close(layer(xp.array(x)), LOOPS[name](layer, x, arrays))
