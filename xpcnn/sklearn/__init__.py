"""Networks as scikit-learn estimators: in pipelines, grid searches and cross-validation.

    from xpcnn.sklearn import CNNClassifier

This folder alone imports scikit-learn where its modules begin, and nothing of xpcnn imports this folder.
"""

from ..extras import need

need("sklearn", "xpcnn.sklearn", "for its estimators")

from .classifier import CNNClassifier  # noqa: E402
from .regressor import CNNRegressor  # noqa: E402

__all__ = ["CNNClassifier", "CNNRegressor"]
