"""What `xpcnn.models` says of each architecture is so: computed, as the networks compute, and as torchvision says."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn import models
from xpcnn.errors import OptionError
from xpcnn.io.extent import multiply_adds
from xpcnn.models.facts import RECORDS
from xpcnn.nn.summary import Summary

from .known import IMAGES
from .shapes import heavy_ones_slow, uneven


def test_every_architecture_has_a_record():
    assert RECORDS.keys() == models.MODELS.keys()
    assert all(RECORDS[name].make is make for name, make in models.MODELS.items())


@pytest.mark.parametrize("name", models.MODELS)
def test_facts_need_no_memory_and_are_complete(name):
    facts = models.facts_of(name)
    assert (facts.name, facts.input_shape, facts.num_classes) == (name, *models.defaults(name))
    assert facts.parameters > 60_000
    assert facts.multiply_adds > 100_000
    lines = str(facts).splitlines()
    assert lines[0].startswith(f"{name}: {facts.parameters:,} parameters, {facts.multiply_adds:,} multiply-adds")
    assert len(lines) == 1 + bool(facts.paper) + (facts.preprocessing is not None)
    assert name in ("mlp", "mnist_cnn", "vgg_small") or facts.paper.rpartition(", ")[2].startswith("https://")


@pytest.mark.parametrize("name", heavy_ones_slow(models.MODELS))
def test_multiply_adds_are_those_of_the_summary(name):
    shape = uneven(name)
    with xpcnn.use_backend("numpy"):
        model = models.build(name, shape, 3, rng=0)
        found = Summary()
        model.summarize(np.zeros((1, *shape), np.float32), found)
    assert multiply_adds(model, shape) == sum(row.forward or 0 for row in found.rows)
    assert sum(math.prod(each.shape) for each in model.parameters().values()) > 0


def test_no_such_architecture():
    for function in (models.facts_of, models.defaults):
        with pytest.raises(OptionError, match=r"model: expected one of .*, got 'resnet19'; did you mean resnet18"):
            function("resnet19")


@pytest.mark.parametrize("name", sorted(set(IMAGES) - {"unet"}))
def test_torchvision_says_the_same(torchvision, name):
    """Parameters, multiply-adds within what one-pixel means may count, and the images of the first weights."""
    weights = next(iter(torchvision.models.get_model_weights(name)))
    facts, transforms = models.facts_of(name), weights.transforms()
    if name not in ("googlenet", "inception_v3", "fcn_resnet50"):  # with the heads of training
        assert facts.parameters == weights.meta["num_params"]
    if name != "fcn_resnet50":  # at another size
        assert facts.multiply_adds / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.01, abs=0.001)
    said = facts.preprocessing
    crop = getattr(transforms, "crop_size", [None])
    assert (said.resize, said.crop) == (transforms.resize_size[0], crop[0])
    if name not in ("googlenet", "inception_v3"):  # those rescale what they get
        assert (list(said.mean), list(said.std)) == (transforms.mean, transforms.std)
