"""Metrics of outputs beside their targets, computed on the host, for arrays of any library."""

from .classification import accuracy, confusion_matrix, top_k_accuracy
from .counts import f1, iou, label_confusion, precision, recall
from .images import psnr, ssim
from .ranking import average_precision, roc_auc
from .regression import mean_absolute_error, r2

__all__ = [
    "accuracy",
    "average_precision",
    "confusion_matrix",
    "f1",
    "iou",
    "label_confusion",
    "mean_absolute_error",
    "precision",
    "psnr",
    "r2",
    "recall",
    "roc_auc",
    "ssim",
    "top_k_accuracy",
]
