"""Losses: what bad targets, labels and options get to hear, before anything is computed from them."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.backend import is_numpy, to_numpy
from xpcnn.errors import BackendError, DataError, DTypeError, OptionError, ShapeError

from .losses import ELEMENTWISE, LABELLED, run


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(("labels", "text"), [([0, -3, 12], "-3 … 12"), ([0, 1, 4], "0 … 4"), ([-1, 0, 0], "-1 … 0")])
def test_labels_that_are_no_class(xp, rng, name, labels, text):
    """On the host an error that says which; on a device, NaN in the loss and in that row alone."""
    _, y = xp.normal(rng, 3, 4)
    labels_ = xp.array(labels)
    if is_numpy(y):
        with pytest.raises(DataError, match=f"Loss: expected labels 0 … 3, got {text}; number the classes from 0"):
            run(name, y, labels_)
        return
    loss, dy = run(name, y, labels_)
    assert np.isnan(to_numpy(loss))
    wrong = np.array([not 0 <= label < 4 for label in labels])
    if name == "nll":  # its gradient has no other rows' terms
        np.testing.assert_array_equal(np.isnan(to_numpy(dy)).all(axis=1), wrong)
    np.testing.assert_array_equal(np.isnan(to_numpy(dy)).any(axis=1), wrong)


def test_weights_of_a_label_that_is_no_class(xp, rng):
    """With weights, D is NaN too: nothing of the batch can be trusted."""
    _, y = xp.normal(rng, 2, 3)
    if is_numpy(y):
        pytest.skip("an error there, see above")
    assert np.isnan(to_numpy(run("cross_entropy", y, xp.array([0, 3]), weight=xp.array([1.0, 2.0, 1.0]))[0]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_bad_targets_for_elements(xp, name):
    y = xp.array(np.zeros((4, 1)))
    with pytest.raises(ShapeError, match=r"Loss: expected a target \(4, 1\), as y, got \(4,\); reshape it"):
        run(name, y, xp.array(np.zeros(4)))
    with pytest.raises(DTypeError, match=r"a target of y's dtype float64, got int64; xpcnn.asarray\(target"):
        run(name, y, xp.array(np.zeros((4, 1), int)))
    with pytest.raises(DTypeError, match="got float32"):
        run(name, y, xp.array(np.zeros((4, 1)), "float32"))
    with pytest.raises(DTypeError, match="float32 or float64, got int64"):
        run(name, xp.array(np.zeros((4, 1), int)), xp.array(np.zeros((4, 1), int)))
    with pytest.raises(ShapeError, match=r"at least one item along every axis, got \(0, 3\); skip empty batches"):
        run(name, xp.array(np.zeros((0, 3))), xp.array(np.zeros((0, 3))))
    with pytest.raises(OptionError, match='reduction: "mean" or "sum", got \'none\''):
        run(name, y, y, reduction="none")


@pytest.mark.parametrize("name", LABELLED)
def test_maps_of_scores_of_a_classifier_lack_a_flatten(xp, name):
    remedy = r"a label an image needs Flatten\(\) before$"
    with pytest.raises(ShapeError, match=r"labels \(2, 4, 4\), got \(2,\); " + remedy):
        run(name, xp.array(np.zeros((2, 4, 4, 3))), xp.array([0, 1]))


@pytest.mark.parametrize("name", LABELLED)
def test_bad_targets_for_classes(xp, name):
    y = xp.array(np.zeros((4, 3)))
    labels = xp.array([0, 1, 2, 0])
    with pytest.raises(DTypeError, match="integer labels, got float64; convert"):
        run(name, y, xp.array([0.0, 1.0, 2.0, 0.0]))
    with pytest.raises(DTypeError, match="integer labels, got bool"):
        run(name, y, xp.array([True, False, True, False]))
    with pytest.raises(ShapeError, match=r"labels \(4,\), got \(5,\)"):
        run(name, y, xp.array([0, 1, 2, 0, 0]))
    with pytest.raises(ShapeError, match=r"labels \(4,\).*got \(4, 1\)"):
        run(name, y, xp.array([[0], [1], [2], [0]]))
    with pytest.raises(ShapeError, match=r"input \(N, K\), got \(4,\)"):
        run(name, y[:, 0], labels)
    with pytest.raises(ShapeError, match="skip empty batches"):
        run(name, xp.array(np.zeros((0, 3))), xp.array(np.zeros(0, int)))
    with pytest.raises(OptionError, match="reduction"):
        run(name, y, labels, reduction="batchmean")
    with pytest.raises(DTypeError, match="float32 or float64"):
        run(name, xp.array(np.zeros((4, 3), int)), labels)


def test_bad_options(xp):
    y, labels = xp.array(np.zeros((2, 3))), xp.array([0, 1])
    with pytest.raises(OptionError, match=r"CrossEntropyLoss: expected label_smoothing: a number in \[0, 1\), got 1.5"):
        run("cross_entropy", y, labels, label_smoothing=1.5)
    with pytest.raises(OptionError, match=r"HuberLoss: expected delta: a number in .*, got 0"):
        run("huber", y, y, delta=0)
    for name in ("cross_entropy", "nll"):
        with pytest.raises(ShapeError, match=r"weight \(3,\), one for each class, got \(2,\)"):
            run(name, y, labels, weight=xp.array([1.0, 2.0]))
        with pytest.raises(DTypeError, match="one dtype"):
            run(name, y, labels, weight=xp.array([1.0, 2.0, 3.0], "float32"))
    with pytest.raises(ShapeError, match=r"pos_weight \(\) or \(3,\), got \(2,\)"):
        run("bce_with_logits", y, y, pos_weight=xp.array([1.0, 2.0]))
    with pytest.raises(DTypeError, match="a target of y's dtype float64, got int64"):
        run("cross_entropy", y, xp.array([[1, 0, 0], [0, 1, 0]]))


def test_arrays_of_two_backends(xp, rng):
    _, y = xp.normal(rng, 2, 3)
    if is_numpy(y):
        pytest.skip("NumPy is the other backend here")
    for name in LABELLED:
        with pytest.raises(BackendError, match="arrays of one backend"):
            run(name, y, np.array([0, 1]))
    with pytest.raises(BackendError, match="arrays of one backend"):
        run("mse", y, np.zeros((2, 3)))
