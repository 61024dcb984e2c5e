"""Training: the loop, metrics, checkpoints, and whole runs by name."""

from .history import Epoch
from .metrics import accuracy, confusion_matrix, top_k_accuracy
from .trainer import Evaluation, Trainer, evaluate

__all__ = ["Epoch", "Evaluation", "Trainer", "accuracy", "confusion_matrix", "evaluate", "top_k_accuracy"]
