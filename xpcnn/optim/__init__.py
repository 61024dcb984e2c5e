"""Optimizers, learning-rate schedules and gradient clipping."""

from ..habits import names_of
from .adam import Adam, AdamW
from .adaptive import Adadelta, AdaGrad, RMSProp
from .clip import clip_by_norm, clip_by_value
from .groups import no_bias_decay
from .named import OPTIMIZERS
from .optimizer import Optimizer
from .schedule import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp
from .sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "RMSProp",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "clip_by_norm",
    "clip_by_value",
    "no_bias_decay",
]

__getattr__ = names_of(__name__, __all__)
