"""Criteria: that each is its operation with its options, takes weights in any form, and refuses bad ones early."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.backend import array_namespace
from xpcnn.errors import OptionError, ShapeError
from xpcnn.nn import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    HuberLoss,
    L1Loss,
    Loss,
    MSELoss,
    NLLLoss,
)
from xpcnn.nn.loss_examples import EXAMPLES

from .. import reference_loss as reference
from ..arrays import assert_close

LABELS = np.array([2, 0, 1, 1])
W = [1.0, 2.5, 0.5]


def cases(y, t):
    """(criterion, target, expected loss and gradient)"""
    soft = 1 / (1 + np.exp(-t))
    return [
        (MSELoss(), t, reference.mse(y, t)),
        (MSELoss(reduction="sum"), t, reference.mse(y, t, False)),
        (L1Loss(), t, reference.mae(y, t)),
        (L1Loss(reduction="sum"), t, reference.mae(y, t, False)),
        (HuberLoss(), t, reference.huber(y, t, 1.0)),
        (HuberLoss(0.4, reduction="sum"), t, reference.huber(y, t, 0.4, False)),
        (CrossEntropyLoss(), LABELS, reference.cross_entropy(y, LABELS)),
        (CrossEntropyLoss(reduction="sum"), LABELS, reference.cross_entropy(y, LABELS, mean=False)),
        (CrossEntropyLoss(weight=W, label_smoothing=0.1), LABELS, reference.cross_entropy(y, LABELS, W, 0.1)),
        (BCEWithLogitsLoss(), soft, reference.bce_with_logits(y, soft, None)),
        (BCEWithLogitsLoss(pos_weight=3), soft, reference.bce_with_logits(y, soft, 3.0)),
        (BCEWithLogitsLoss(pos_weight=W, reduction="sum"), soft, reference.bce_with_logits(y, soft, W, False)),
        (NLLLoss(), LABELS, reference.nll(y, LABELS)),
        (NLLLoss(weight=W, reduction="sum"), LABELS, reference.nll(y, LABELS, W, False)),
        (HingeLoss(), LABELS, reference.hinge(y, LABELS)),
        (HingeLoss(reduction="sum"), LABELS, reference.hinge(y, LABELS, False)),
        (FocalLoss(0.5, weight=W), LABELS, reference.focal(y, LABELS, 0.5, W)),
        (CrossEntropyLoss(ignore_index=1), LABELS, reference.positions(reference.cross_entropy, y, LABELS, 1)),
    ]


def test_every_loss_has_cases():
    numbers = np.zeros((4, 3))
    names = {type(criterion).__name__ for criterion, _, _ in cases(numbers, numbers)}
    assert names | {"DiceLoss"} == EXAMPLES.keys()  # of positions: tests/ops/test_loss_positions.py


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_criterion_and_option(xp, rng, dtype):
    (y, y_), (t, _) = xp.normal(rng, 4, 3, dtype=dtype), xp.normal(rng, 4, 3, dtype=dtype)
    for criterion, target, (loss, dy) in cases(y.astype("f8"), t.astype("f8")):
        target_ = xp.array(target) if target is LABELS else xp.array(target, dtype)
        actual, cache = criterion.forward(y_, target_)
        assert_close(actual, np.asarray(loss, dtype))
        assert_close(criterion.backward(cache), dy.astype(dtype))
        assert_close(criterion(y_, target_), np.asarray(loss, dtype))


def test_weights_come_in_any_form(xp, rng):
    y, y_ = xp.normal(rng, 4, 3)
    labels = xp.array(LABELS)
    expected = reference.cross_entropy(y, LABELS, W)[0]
    for weight in (W, tuple(W), np.array(W, "float32"), xp.array(W)):
        assert_close(CrossEntropyLoss(weight=weight)(y_, labels), expected)


def test_one_criterion_serves_two_calls(xp, rng):
    """Nothing is kept on the criterion: two forwards, then both backwards."""
    (a, a_), (b, b_), (t, t_) = (xp.normal(rng, 2, 3) for _ in range(3))
    criterion = MSELoss()
    before = dict(vars(criterion))
    (_, first), (_, second) = criterion.forward(a_, t_), criterion.forward(b_, t_)
    assert_close(criterion.backward(first), reference.mse(a, t)[1])
    assert_close(criterion.backward(second), reference.mse(b, t)[1])
    assert vars(criterion) == before


def test_one_of_one_s_own(xp):
    class Total(Loss):
        """The sum of the outputs, as in document 000's gradient check."""

        def forward(self, y, target):
            return array_namespace(y).sum(y), y

        def backward(self, cache):
            return array_namespace(cache).ones_like(cache)

    assert_close(Total()(xp.array([1.0, 2.0]), xp.array([0.0])), np.asarray(3.0))


def test_configuration_is_json_and_builds_the_same_again():
    for criterion, _, _ in cases(np.zeros((4, 3)), np.zeros((4, 3))):
        config = json.loads(json.dumps(criterion.config()))
        assert repr(type(criterion)(**config)) == repr(criterion)
    assert repr(CrossEntropyLoss(weight=[1, 2])) == (
        "CrossEntropyLoss(weight=[1.0, 2.0], label_smoothing=0.0, ignore_index=None, reduction='mean')"
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_unknown_reduction_is_refused_when_made(name):
    with pytest.raises(OptionError, match=f'{name}: expected reduction: "mean" or "sum", got \'none\''):
        getattr(nn, name)(reduction="none")


def test_bad_options_are_refused_when_made(xp, rng):
    with pytest.raises(OptionError, match="HuberLoss: expected delta"):
        HuberLoss(-1.0)
    with pytest.raises(OptionError, match="CrossEntropyLoss: expected label_smoothing"):
        CrossEntropyLoss(label_smoothing=1.0)
    for bad in ([[1.0, 2.0]], [1.0, -1.0], [1.0, np.nan], "many", ["a", "b"], [1.0, [2.0]]):
        with pytest.raises(OptionError, match="NLLLoss: expected weight: numbers ≥ 0, got "):
            NLLLoss(weight=bad)
    _, y = xp.normal(rng, 4, 3)
    with pytest.raises(ShapeError, match=r"weight \(3,\), one for each class, got \(2,\)"):
        CrossEntropyLoss(weight=[1, 2])(y, xp.array(LABELS))
    with pytest.raises(ShapeError, match=r"weight \(3,\), one for each class, got \(\)"):
        CrossEntropyLoss(weight=2)(y, xp.array(LABELS))


@pytest.mark.parametrize(
    "criterion", [CrossEntropyLoss(weight=W), NLLLoss(weight=W), NLLLoss(), HingeLoss(), MSELoss()]
)
def test_means_of_batches_are_joined_by_their_items(xp, rng, criterion):
    y, labels = -rng.random((11, 3)), rng.integers(0, 3, 11)
    labels = labels if criterion.classifies else rng.random((11, 3))
    y, labels = xp.array(y), xp.array(labels)
    parts = [slice(0, 4), slice(4, 5), slice(5, 11)]
    items = [float(criterion.items(y[part, :], labels[part, ...])) for part in parts]
    losses = [float(criterion(y[part, :], labels[part, ...])) for part in parts]
    joined = sum(n * loss for n, loss in zip(items, losses, strict=True)) / sum(items)
    assert joined == pytest.approx(float(criterion(y, labels)), rel=1e-12)
    assert float(criterion.items(y, labels)) == pytest.approx(sum(items))


def test_soft_targets_count_as_rows(xp):
    y = xp.array(np.zeros((4, 3)))
    assert CrossEntropyLoss(weight=W).items(y, y) == 4


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint64"])
def test_labels_of_every_integer_dtype(rng, dtype):
    """Of NumPy's, as its users have them: the loss, its gradient, and what the mean is taken over."""
    y = rng.normal(size=(4, 3))
    for criterion in (CrossEntropyLoss(), CrossEntropyLoss(weight=W), NLLLoss(weight=W), HingeLoss()):
        (loss, cache), (expected, its) = (criterion.forward(y, LABELS.astype(kind)) for kind in (dtype, "int64"))
        assert loss == expected
        np.testing.assert_array_equal(criterion.backward(cache), criterion.backward(its))
        assert criterion.items(y, LABELS.astype(dtype)) == criterion.items(y, LABELS)
