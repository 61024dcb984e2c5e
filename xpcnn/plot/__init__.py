"""Pictures of data, networks and training, and the numbers behind them. Needs Matplotlib: `pip install 'xpcnn[plot]'`.

Each picture is a function that returns a Matplotlib `Figure`; `save` writes it. What is drawn is computed by functions
on arrays, of any backend: `saliency_map`, `grad_cam_map`, `activations`, `hardest`, `shares`, `bilinear`.
"""

from .batch import batch
from .bilinear import bilinear
from .confusion import confusion, shares
from .curves import curves, learning_rates
from .figure import save
from .grad_cam import grad_cam, grad_cam_map
from .layers import activations, feature_maps, filters
from .saliency import saliency, saliency_map
from .wrong import Hardest, hardest, most_wrong

__all__ = [
    "Hardest",
    "activations",
    "batch",
    "bilinear",
    "confusion",
    "curves",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_map",
    "hardest",
    "learning_rates",
    "most_wrong",
    "saliency",
    "saliency_map",
    "save",
    "shares",
]
