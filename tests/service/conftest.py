"""Services of small networks, and pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.io import save_model

SHAPE, CLASSES = (6, 5, 3), ("cat", "dog", "owl", "pig")


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(4, 4, rng=1))


def saved_network(path, model, **options):
    save_model(model, path, **({"input_shape": SHAPE, "classes": CLASSES} | options))
    return xpcnn.load(path)


def png(pixels):
    file = io.BytesIO()
    pytest.importorskip("PIL.Image").fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="package")
def saved(tmp_path_factory):
    with xpcnn.use_backend("numpy"):  # as the tests
        return saved_network(tmp_path_factory.mktemp("service") / "m.safetensors", network())


@pytest.fixture(scope="package")
def make():
    """A function that makes services, which are closed in the end."""
    pytest.importorskip("starlette")
    from xpcnn.service import Service

    made = []

    def service(saved, **options):
        with xpcnn.use_backend("numpy"):
            made.append(Service(saved, **options))
        return made[-1]

    yield service
    for each in made:
        each.close()


@pytest.fixture(scope="package")
def service(make, saved):
    return make(saved, most_bytes=10_000, queue=8)


@pytest.fixture(scope="package")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)
