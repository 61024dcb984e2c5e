"""Metrics against their definitions, written as loops, for numbers of every dtype; what they refuse, all alike."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import DTypeError, NonFiniteError, OptionError, ShapeError
from xpcnn.training import accuracy, confusion_matrix, top_k_accuracy


def test_definitions(xp, rng):
    host, scores = xp.normal(rng, 200, 7)
    labels = rng.integers(0, 7, 200)
    ranks = [sorted(range(7), key=lambda c, row=row: -row[c]) for row in host]
    for k in (1, 3, 7):
        expected = sum(label in rank[:k] for label, rank in zip(labels, ranks, strict=True)) / 200
        assert top_k_accuracy(scores, xp.array(labels), k=k) == expected
    assert accuracy(scores, labels) == top_k_accuracy(scores, labels, k=1)
    counts = np.zeros((7, 7), int)
    for label, rank in zip(labels, ranks, strict=True):
        counts[label, rank[0]] += 1
    np.testing.assert_array_equal(confusion_matrix(scores, labels), counts)


def test_of_equal_scores_the_lower_class_is_first():
    assert accuracy([[1.0, 1.0]], [0]) == 1.0
    assert accuracy([[1.0, 1.0]], [1]) == 0.0
    np.testing.assert_array_equal(confusion_matrix([[1.0, 1.0]], [1]), [[0, 0], [1, 0]])


WHOLE = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float64"]


def assert_by_definition(scores, labels):
    """`scores` as rows of Python numbers, the labels as Python integers, beside the metrics of the arrays."""
    rows, classes = scores.tolist(), [int(label) for label in labels.tolist()]
    ranks = [sorted(range(len(row)), key=lambda c, row=row: -row[c]) for row in rows]
    counts = np.zeros((len(rows[0]), len(rows[0])), int)
    for label, rank in zip(classes, ranks, strict=True):
        counts[label, rank[0]] += 1
    for k in (1, 2, (len(rows[0]) + 1) // 2, len(rows[0])):
        share = sum(label in rank[:k] for label, rank in zip(classes, ranks, strict=True)) / len(rows)
        assert top_k_accuracy(scores, labels, k=k) == share
    assert accuracy(scores, labels) == np.trace(counts) / len(rows)
    np.testing.assert_array_equal(confusion_matrix(scores, labels), counts)


@pytest.mark.parametrize("dtype", WHOLE)
def test_labels_of_every_dtype(rng, dtype):
    """Also where label · K does not fit into it: 16 · 17 is 16 in uint8."""
    k = {"bool": 2, "int8": 128}.get(dtype, 200)
    labels = rng.integers(0, k, 100).astype(dtype)
    labels[0] = k - 1
    assert_by_definition(rng.normal(size=(100, k)), labels)


@pytest.mark.parametrize("dtype", WHOLE)
def test_scores_of_every_dtype(rng, dtype):
    """Also the lowest and the largest number, whose negative does not fit into it, and many equal ones."""
    ends = np.finfo if dtype.startswith("float") else np.iinfo
    low, high = (0, 1) if dtype == "bool" else (ends(dtype).min, ends(dtype).max)
    scores = rng.choice(np.array([low, 0, 1, high], dtype), size=(100, 7))
    assert_by_definition(scores, rng.integers(0, 7, 100))


def test_infinite_scores_are_the_highest_and_the_lowest():
    """As those of classes that a mask excludes."""
    scores = [[-np.inf, 0.0, -np.inf], [1.0, np.inf, 0.0]]
    assert accuracy(scores, [1, 1]) == 1.0
    assert top_k_accuracy(scores, [0, 0], k=2) == 1.0
    assert confusion_matrix(scores, [1, 1])[1, 1] == 2


METRICS = [accuracy, top_k_accuracy, confusion_matrix]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("scores", "labels", "error", "text"),
    [
        (np.zeros((0, 5)), np.zeros(0, int), ShapeError, "N and K ≥ 1"),
        (np.zeros((1, 0)), [0], ShapeError, "N and K ≥ 1"),
        (np.zeros((2, 5)), [0], ShapeError, "labels"),
        (np.zeros((2, 5)), [[1, 0], [0, 1]], ShapeError, "labels"),
        ([[1.0, 2.0], [3.0]], [0, 1], ShapeError, "scores in rows of one length"),
        (np.zeros((2, 5)), [1, 5], OptionError, r"labels 0 … 4, got 1 … 5"),
        (np.zeros((2, 5)), np.array([-1, 0], np.int8), OptionError, r"labels 0 … 4, got -1 … 0"),
        (np.zeros((2, 5)), [0, 2**63], OptionError, r"labels 0 … 4"),
        (np.zeros((2, 5)), [0.0, np.nan], OptionError, r"labels 0 … 4"),
        (np.zeros((2, 5)), [0.0, 1.5], OptionError, "whole numbers, got 1.5"),
        (np.zeros((2, 5)), ["a", "b"], DTypeError, "labels that are real numbers"),
        (np.zeros((2, 5), complex), [0, 1], DTypeError, "scores that are real numbers"),
        (np.array([[0.0] * 5, [0, 0, np.nan, 0, 0]]), [0, 2], NonFiniteError, "without NaN, got NaN in row 1"),
        (np.full((1, 5), np.nan, np.float16), [0], NonFiniteError, "without NaN"),
    ],
)
def test_bad_input(metric, scores, labels, error, text):
    with pytest.raises(error, match=text):
        metric(scores, labels)


def test_bad_k():
    for k in (0, 4, 1.5, True):
        with pytest.raises(OptionError, match="k"):
            top_k_accuracy(np.zeros((2, 3)), [0, 0], k=k)


@pytest.mark.parametrize("metric", [accuracy, top_k_accuracy, confusion_matrix])
@pytest.mark.parametrize("masked", ["scores", "labels"])
def test_what_is_masked_is_refused(metric, masked):
    scores, labels = np.ma.array(np.eye(6)), np.ma.array(np.arange(6))
    metric(scores, labels)  # nothing is masked
    (scores if masked == "scores" else labels)[2] = np.ma.masked
    with pytest.raises(
        DTypeError, match=rf"metrics: {masked}: expected an array without a mask, got \d of \d+ numbers"
    ):
        metric(scores, labels)


def test_a_matrix_of_too_many_classes_is_refused_in_a_line():
    with pytest.raises(OptionError, match="confusion_matrix: expected at most 32768 classes, got 60000; accuracy"):
        confusion_matrix(np.zeros((1, 60_000)), [0])
    assert accuracy(np.zeros((1, 60_000)), [0]) == 1
