"""Both estimators keep scikit-learn's whole contract: all of its own checks, none of which is expected to fail."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from xpcnn.sklearn import CNNClassifier, CNNRegressor


@parametrize_with_checks([CNNClassifier(epochs=30), CNNRegressor(epochs=30)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [CNNClassifier(), CNNRegressor(), CNNClassifier(class_weight="balanced", optimizer="sgd", schedule="cosine")]
)
def test_scikit_learn_s_own_checks_of_other_options(estimator, check):
    check(estimator)
