"""The weights that a network begins with, from a seed: who repeats a run of an older version begins as it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xpcnn import models
from xpcnn.nn.layer_examples import EXAMPLES

from ..snapshot import assert_same

NETWORKS = {name: lambda make=make: make()[0] for name, make in EXAMPLES.items()}
NETWORKS |= {
    name: lambda name=name: models.build(name, (32, 32, 3), 7, rng=3)
    for name in ("mlp", "lenet5", "mnist_cnn", "vgg_small", "resnet20")
}


def statistics(array):
    return f"mean {array.mean():+.2e}, deviation {array.std():.3e}, largest {np.abs(array).max():.3e}"


def test_the_weights_that_a_network_begins_with():
    said = []
    for network, make in NETWORKS.items():
        for name, array in make().parameters().items():
            said.append(f"{network} {name} {array.shape} {statistics(np.asarray(array, np.float64))}")
    assert_same(Path(__file__).parent / "snapshots" / "initial_weights.txt", said)
