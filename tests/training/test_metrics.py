"""Metrics against their definitions, written as loops."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import OptionError, ShapeError
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


def test_bad_input():
    with pytest.raises(ShapeError, match="N ≥ 1"):
        accuracy(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(ShapeError, match="labels"):
        accuracy(np.zeros((2, 3)), [0])
    with pytest.raises(OptionError, match=r"labels 0 … 2, got 1 … 3"):
        confusion_matrix(np.zeros((2, 3)), [1, 3])
    with pytest.raises(OptionError, match="k"):
        top_k_accuracy(np.zeros((2, 3)), [0, 0], k=4)
