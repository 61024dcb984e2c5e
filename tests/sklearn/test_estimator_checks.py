"""Both estimators keep scikit-learn's whole contract: all of its own checks.

None is expected to fail but those that call partial_fit with class_weight="balanced", which scikit-learn's own refuse.
"""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from xpcnn.sklearn import CNNClassifier, CNNRegressor

BALANCED = CNNClassifier(class_weight="balanced", optimizer="sgd", schedule="cosine")
REFUSED = "partial_fit does not know how many there will be of each class"
PARTIAL = ("check_fit_score_takes_y", "check_n_features_in_after_fitting", "check_estimators_partial_fit_n_features")


@parametrize_with_checks([CNNClassifier(epochs=30), CNNRegressor(epochs=30)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [CNNClassifier(), CNNRegressor(), BALANCED],
    expected_failed_checks=lambda estimator: dict.fromkeys(PARTIAL, REFUSED) if estimator is BALANCED else {},
)
def test_scikit_learn_s_own_checks_of_other_options(estimator, check):
    check(estimator)
