"""Training: the loop, metrics, checkpoints, logs, diagnostics, and whole runs by name."""

from ..habits import names_of
from .callback import STOP, Step
from .class_weights import balanced_weights
from .csv_log import CSVLog
from .evaluation import Evaluation, evaluate
from .features import keep_features
from .gradients import StepResult
from .history import Epoch
from .layer_times import LayerTime, Profile, profile
from .metrics import accuracy, confusion_matrix, top_k_accuracy
from .moving_average import MovingAverage
from .nonfinite import Finding
from .nonfinite_report import replay
from .parameter_statistics import GradientStatistics, ParameterStatistics, gradient_statistics
from .rate_finder import RateSweep, lr_find
from .tensorboard_log import TensorBoardLog
from .trainer import Trainer

__all__ = [
    "STOP",
    "CSVLog",
    "Epoch",
    "Evaluation",
    "Finding",
    "GradientStatistics",
    "LayerTime",
    "MovingAverage",
    "ParameterStatistics",
    "Profile",
    "RateSweep",
    "Step",
    "StepResult",
    "TensorBoardLog",
    "Trainer",
    "accuracy",
    "balanced_weights",
    "confusion_matrix",
    "evaluate",
    "gradient_statistics",
    "keep_features",
    "lr_find",
    "profile",
    "replay",
    "top_k_accuracy",
]

__getattr__ = names_of(__name__, __all__)
