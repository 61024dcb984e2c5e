"""Networks as scikit-learn estimators: in pipelines, grid searches and cross-validation.

    from xpcnn.sklearn import CNNClassifier

Only this folder imports scikit-learn at the top of its modules. Nothing else in xpcnn imports this folder.
"""

from ..extras import need

need("sklearn", "xpcnn.sklearn", "for its estimators")

from .classifier import CNNClassifier  # noqa: E402
from .files import load  # noqa: E402
from .regressor import CNNRegressor  # noqa: E402

__all__ = ["CNNClassifier", "CNNRegressor", "load"]
