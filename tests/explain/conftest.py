"""The worked example of document 000, explained, and the page that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn, use_backend
from xpcnn.explain import explain, html

from ..test_worked_examples import BIAS, FILTERS, IMAGE, SENSITIVITY, batch, last


@pytest.fixture(scope="module")
def document_000():
    with use_backend("numpy"):
        layer = nn.Conv2d(3, 2, 3, stride=2, padding=1).astype("float64")
        layer.load_state_dict({"weight": last(FILTERS), "bias": np.array(BIAS, "f8")})
        page = explain(layer, "", batch(IMAGE), dy=batch(SENSITIVITY), at=(0, 0, 0))
    return page, html(page, title="document 000")
