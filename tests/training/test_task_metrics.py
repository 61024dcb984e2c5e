"""Metrics of tasks other than one class an item, against scikit-learn and plain loops; that counts of batches can be
added; what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from xpcnn.errors import NonFiniteError, OptionError, ShapeError
from xpcnn.training import metrics


def test_pixels_count_as_items(xp, rng):
    host, scores = xp.normal(rng, 3, 4, 5, 6)
    labels = rng.integers(0, 6, (3, 4, 5))
    rows, flat = host.reshape(-1, 6), labels.reshape(-1)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(scores, xp.array(labels)), sklearn.confusion_matrix(flat, rows.argmax(1))
    )
    assert metrics.accuracy(scores, labels) == sklearn.accuracy_score(flat, rows.argmax(1))
    labels[:, 0] = 255
    kept = labels.reshape(-1) != 255
    np.testing.assert_array_equal(
        metrics.confusion_matrix(scores, labels, ignore_index=255),
        sklearn.confusion_matrix(flat[kept], rows[kept].argmax(1), labels=range(6)),
    )
    assert not metrics.confusion_matrix(scores, np.full((3, 4, 5), -1), ignore_index=-1).any()


def test_rates_of_classes_agree_with_scikit_learn(rng):
    scores, labels = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    counts, answers = metrics.confusion_matrix(scores, labels), scores.argmax(1)
    for ours, theirs in (
        (metrics.precision, sklearn.precision_score),
        (metrics.recall, sklearn.recall_score),
        (metrics.f1, sklearn.f1_score),
        (metrics.iou, sklearn.jaccard_score),
    ):
        np.testing.assert_allclose(ours(counts), theirs(labels, answers, average=None), rtol=1e-12)


def test_rates_of_questions_agree_with_scikit_learn(xp, rng):
    host, scores = xp.normal(rng, 50, 4)
    targets = rng.integers(0, 2, (50, 4))
    counts = metrics.label_confusion(scores, xp.array(targets))
    np.testing.assert_array_equal(counts, sklearn.multilabel_confusion_matrix(targets, host > 0))
    np.testing.assert_allclose(metrics.f1(counts), sklearn.f1_score(targets, host > 0, average=None), rtol=1e-12)
    np.testing.assert_allclose(metrics.iou(counts), sklearn.jaccard_score(targets, host > 0, average=None))
    above = metrics.label_confusion(scores, targets, threshold=0.5)
    np.testing.assert_array_equal(above, sklearn.multilabel_confusion_matrix(targets, host > 0.5))
    parts = [metrics.label_confusion(scores[part, :], targets[part]) for part in (slice(0, 7), slice(7, 50))]
    np.testing.assert_array_equal(sum(parts), counts)


def test_a_class_that_is_neither_there_nor_predicted_has_no_rate():
    counts = np.array([[2, 0, 1], [0, 0, 0], [0, 0, 3]])
    for rate in (metrics.precision, metrics.recall, metrics.f1, metrics.iou):
        assert np.isnan(rate(counts)).tolist() == [False, True, False]


@pytest.mark.parametrize("ties", [False, True])
def test_rankings_agree_with_scikit_learn(xp, rng, ties):
    scores, targets = rng.normal(size=(60, 3)), rng.integers(0, 2, (60, 3))
    scores = scores.round(0) if ties else scores
    for ours, theirs in (
        (metrics.roc_auc, sklearn.roc_auc_score),
        (metrics.average_precision, sklearn.average_precision_score),
    ):
        np.testing.assert_allclose(
            ours(xp.array(scores), xp.array(targets)), theirs(targets, scores, average=None), rtol=1e-12
        )
        np.testing.assert_allclose(ours(scores[:, 0], targets[:, 0]), theirs(targets[:, 0], scores[:, 0]), rtol=1e-12)
        assert np.isnan(ours(scores[:, 0], np.ones(60)))


def test_regression_agrees_with_scikit_learn(xp, rng):
    (y, y_), (t, t_) = xp.normal(rng, 20, 3), xp.normal(rng, 20, 3)
    assert metrics.r2(y_, t_) == pytest.approx(sklearn.r2_score(t, y), rel=1e-12)
    assert metrics.mean_absolute_error(y_, t_) == pytest.approx(sklearn.mean_absolute_error(t, y), rel=1e-12)
    constant = np.array([[1.0, 2.0], [1.0, 3.0]])
    for outputs in (constant, np.array([[1.0, 2.0], [2.0, 3.0]])):
        assert metrics.r2(outputs, constant) == sklearn.r2_score(constant, outputs)


def local(x, i, j):
    """The window of 11×11 at (i, j), and its weights."""
    w = np.array([[math.exp(-(u * u + v * v) / 4.5) for v in range(-5, 6)] for u in range(-5, 6)])
    return x[i : i + 11, j : j + 11], w / w.sum()


def test_ssim_and_psnr_by_their_definitions(xp, rng):
    x, t = rng.random((2, 13, 12, 2)), rng.random((2, 13, 12, 2))
    values = []
    for n in range(2):
        for c in range(2):
            for i in range(3):
                for j in range(2):
                    a, w = local(x[n, :, :, c], i, j)
                    b, _ = local(t[n, :, :, c], i, j)
                    ma, mb = (w * a).sum(), (w * b).sum()
                    va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
                    cov = (w * (a - ma) * (b - mb)).sum()
                    c1, c2 = 0.02**2, 0.06**2
                    values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert metrics.ssim(xp.array(x), xp.array(t), data_range=2) == pytest.approx(np.mean(values), rel=1e-10)
    errors = [np.mean((x[n] - t[n]) ** 2) for n in range(2)]
    expected = np.mean([10 * math.log10(4 / e) for e in errors])
    assert metrics.psnr(xp.array(x), xp.array(t), data_range=2) == pytest.approx(expected, rel=1e-12)
    assert metrics.psnr(x, x) == math.inf


def test_what_is_refused(rng):
    row, square = rng.normal(size=(4, 3)), np.ones((1, 8, 8, 1))
    for metric in (metrics.label_confusion, metrics.roc_auc, metrics.average_precision):
        with pytest.raises(ShapeError, match="one shape"):
            metric(row, np.ones((4, 2)))
        with pytest.raises(NonFiniteError, match="without NaN"):
            metric(np.full((4, 3), np.nan), np.ones((4, 3)))
        with pytest.raises(OptionError, match="targets of 0 and 1, got 2"):
            metric(row, np.full((4, 3), 2.0))
    for metric in (metrics.mean_absolute_error, metrics.r2, metrics.psnr, metrics.ssim):
        with pytest.raises(ShapeError, match="one shape"):
            metric(square, np.ones((1, 8, 8)))
        with pytest.raises(NonFiniteError, match="finite targets"):
            metric(square, np.full((1, 8, 8, 1), np.inf))
    with pytest.raises(ShapeError, match="at least 11×11, got 8×8"):
        metrics.ssim(square, square)
    with pytest.raises(ShapeError, match=r"images \(N, H, W, C\)"):
        metrics.psnr(row, row)
    with pytest.raises(ShapeError, match=r"counts \(K, K\) or \(K, 2, 2\), got \(4, 3\)"):
        metrics.f1(row)
