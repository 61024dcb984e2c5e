"""An estimator that is fitted in a moment."""

from __future__ import annotations

from xpcnn.sklearn import CNNClassifier


def quick(**options):
    return CNNClassifier(**{"epochs": 5, "random_state": 0} | options)
