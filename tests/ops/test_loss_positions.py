"""Losses of a class at each position (N, …, K), against plain loops: cross-entropy, likelihood and hinge at several
positions, the focal and the Dice loss, and labels that do not count; and what of these is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.backend import to_numpy
from xpcnn.errors import DataError, OptionError, ShapeError
from xpcnn.nn import CrossEntropyLoss, DiceLoss, FocalLoss, NLLLoss

from .. import reference_loss as reference
from ..arrays import assert_close, needs_torch
from .losses import check, run

SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3)  # N and the sizes of an item
OPTIONS = {"reduction": st.sampled_from(["mean", "sum"]), "dtype": st.sampled_from(["float32", "float64"])}
IGNORED = 255


def labels_of(rng, shape, k, ignored):
    """Random labels; with `ignored`, about half of them are 255, but never all."""
    labels = rng.integers(0, k, shape)
    if ignored:
        labels[rng.random(shape) < 0.5] = IGNORED
        labels.flat[0] = 0
    return labels


@given(
    shape=SHAPES, k=st.integers(2, 4), weighted=st.booleans(), ignored=st.booleans(), seed=st.integers(0, 99), **OPTIONS
)
def test_a_class_at_each_position(xp, shape, k, weighted, ignored, seed, reduction, dtype):
    rng = np.random.default_rng(seed)
    y, y_ = xp.normal(rng, *shape, k, dtype=dtype)
    y, mean = y.astype("f8"), reduction == "mean"
    labels = labels_of(rng, shape, k, ignored)
    labels_ = xp.array(labels)
    w = rng.uniform(0.5, 2, k).astype(dtype) if weighted else None
    given = {"weight": None if w is None else xp.array(w, dtype), "reduction": reduction}
    ignore = IGNORED if ignored else None
    for name, options, rows in (
        ("cross_entropy", {"label_smoothing": 0.1}, lambda y, t: reference.cross_entropy(y, t, w, 0.1, mean)),
        ("nll", {}, lambda y, t: reference.nll(y, t, w, mean)),
        ("focal", {"gamma": 0.5}, lambda y, t: reference.focal(y, t, 0.5, w, mean)),
        ("focal", {"gamma": 2.0}, lambda y, t: reference.focal(y, t, 2.0, w, mean)),
    ):
        expected = reference.positions(rows, y, labels, ignore)
        check(name, y_, labels_, expected, dtype, ignore_index=ignore, **options, **given)
    if not ignored:
        soft = rng.dirichlet(np.ones(k), shape).astype(dtype)
        expected = reference.positions(
            lambda y, t: reference.cross_entropy(y, t, w, 0.1, mean), y, soft.astype("f8"), None
        )
        check("cross_entropy", y_, xp.array(soft, dtype), expected, dtype, label_smoothing=0.1, **given)
        expected = reference.positions(lambda y, t: reference.hinge(y, t, mean), y, labels)
        check("hinge", y_, labels_, expected, dtype, reduction=reduction)


@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities", "sigmoid"])
@given(
    n=st.integers(1, 3),
    size=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    k=st.integers(1, 3),
    smooth=st.sampled_from([0.1, 1.0]),
    seed=st.integers(0, 99),
    **OPTIONS,
)
def test_dice(xp, kind, n, size, k, smooth, seed, reduction, dtype):
    rng = np.random.default_rng(seed)
    y, y_ = xp.normal(rng, n, *size, k, dtype=dtype)
    if kind in ("labels", "ignored"):
        target = labels_of(rng, (n, *size), k, kind == "ignored")
        q, kept, target_ = np.eye(256)[target][..., :k], target != IGNORED, xp.array(target)
    else:
        q = rng.uniform(size=(n, *size, k)).astype(dtype)
        kept, target_ = np.ones((n, *size), bool), xp.array(q, dtype)
    options = {"sigmoid": kind == "sigmoid", "smooth": smooth, "reduction": reduction}
    rows = (y.astype("f8").reshape(n, -1, k), q.astype("f8").reshape(n, -1, k), kept.reshape(n, -1))
    loss, dy = reference.dice(*rows, kind == "sigmoid", smooth, reduction == "mean")
    if kind == "ignored":
        options["ignore_index"] = IGNORED
    check("dice", y_, target_, (loss, dy.reshape(y.shape)), dtype, **options)


@needs_torch
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_pixels_with_ignored_ones_agree_with_pytorch(rng, smoothing):
    import torch

    y, labels, w = rng.normal(size=(2, 3, 4, 5)), labels_of(rng, (2, 3, 4), 5, True), rng.uniform(0.5, 2, 5)
    loss, dy = run("cross_entropy", y, labels, weight=w, label_smoothing=smoothing, ignore_index=IGNORED)
    y_ = torch.tensor(y, requires_grad=True)
    loss_ = torch.nn.functional.cross_entropy(
        y_.movedim(-1, 1),
        torch.tensor(labels),
        weight=torch.tensor(w),
        label_smoothing=smoothing,
        ignore_index=IGNORED,
    )
    loss_.backward()
    np.testing.assert_allclose(loss, loss_.item(), rtol=1e-12)
    np.testing.assert_allclose(dy, y_.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sure_answers_of_the_focal_loss(xp, gamma, dtype):
    """Sure and right: (γ + 1)·u^(γ + 1) and 0 as u = 1 − p → 0. Sure and wrong: as cross-entropy, −log p."""
    right, dy = run("focal", xp.array([[9.0, 0.0], [1e4, 0.0]], dtype), xp.array([0, 0]), gamma=gamma, reduction="sum")
    u = np.exp(-9.0)
    np.testing.assert_allclose(to_numpy(right), u ** (gamma + 1), rtol=1e-3)
    np.testing.assert_allclose(to_numpy(dy)[0, 1], (gamma + 1) * u ** (gamma + 1), rtol=1e-3)
    assert (to_numpy(dy)[1] == 0).all()
    wrong, dy = run("focal", xp.array([[1e4, 0.0]], dtype), xp.array([1]), gamma=gamma)
    assert_close(wrong, np.asarray(1e4, dtype))
    assert_close(dy, np.array([[1.0, -1.0]], dtype))


@pytest.mark.parametrize("criterion", [CrossEntropyLoss, NLLLoss, FocalLoss])
@pytest.mark.parametrize("weight", [None, [1.0, 2.5, 0.5]])
def test_means_of_batches_are_joined_by_the_positions_that_count(xp, rng, criterion, weight):
    loss = criterion(weight=weight, ignore_index=-1)
    y, labels = -rng.random((6, 2, 2, 3)), rng.integers(-1, 3, (6, 2, 2))
    labels[[0, 4], 0, 0] = 1
    y, labels = xp.array(y), xp.array(labels)
    parts = [slice(0, 4), slice(4, 6)]
    items = [float(loss.items(y[part, ...], labels[part, ...])) for part in parts]
    losses = [float(loss(y[part, ...], labels[part, ...])) for part in parts]
    joined = sum(n * each for n, each in zip(items, losses, strict=True)) / sum(items)
    assert joined == pytest.approx(float(loss(y, labels)), rel=1e-12)


def test_what_is_refused(xp, rng):
    _, y = xp.normal(rng, 2, 2, 3, 4)
    with pytest.raises(ShapeError, match=r"labels \(2, 2, 3\), got \(2,\); a label an image needs Flatten\(\) before"):
        CrossEntropyLoss()(y, xp.array([0, 1]))
    with pytest.raises(OptionError, match="no ignore_index for probabilities, got 255"):
        CrossEntropyLoss(ignore_index=255)(y, xp.array(np.full((2, 2, 3, 4), 0.25)))
    with pytest.raises(OptionError, match="ignore_index: an integer or None, got '255'"):
        NLLLoss(ignore_index="255")
    with pytest.raises(ShapeError, match=r"DiceLoss: expected outputs \(N, …, K\) with positions"):
        DiceLoss()(xp.array(np.zeros((2, 3))), xp.array([0, 1]))
    with pytest.raises(ShapeError, match=r"a target \(2, 2, 3, 4\) with sigmoid, got \(2, 2, 3\)"):
        DiceLoss(sigmoid=True)(y, xp.array(np.zeros((2, 2, 3), int)))


def test_a_label_beyond_the_classes_is_no_ignored_one():
    labels = np.array([0, 255, 4])
    with pytest.raises(DataError, match=r"labels 0 … 2, got 0 … 4"):
        CrossEntropyLoss(ignore_index=255)(np.zeros((3, 3)), labels)
