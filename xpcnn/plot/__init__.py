"""Pictures of data, networks and training, and the numbers behind them. Needs Matplotlib: `pip install 'xpcnn[plot]'`.

Each picture is a function that returns a Matplotlib `Figure`; `save` writes it. Functions on arrays of any backend
compute the numbers: `saliency_map`, `grad_cam_map`, `activations`, `top_losses`.
"""

from .batch import batch
from .confusion import confusion
from .curves import curves, learning_rates
from .figure import save
from .grad_cam import grad_cam, grad_cam_map
from .layers import activations, feature_maps, filters
from .saliency import saliency, saliency_map
from .wrong import TopLosses, most_wrong, top_losses

__all__ = [
    "TopLosses",
    "activations",
    "batch",
    "confusion",
    "curves",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_map",
    "learning_rates",
    "most_wrong",
    "saliency",
    "saliency_map",
    "save",
    "top_losses",
]
