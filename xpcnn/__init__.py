"""Convolutional networks with every gradient written by hand, once, for NumPy and CuPy."""

from . import backend, data, io, models, nn, ops, optim, training
from .backend import asarray, synchronize, to_numpy, use_backend
from .gradcheck import gradcheck
from .ops.dispatch import use_implementation
from .random import seed

__version__ = "0.1.0"

__all__ = [
    "asarray",
    "backend",
    "data",
    "gradcheck",
    "io",
    "models",
    "nn",
    "ops",
    "optim",
    "seed",
    "synchronize",
    "to_numpy",
    "training",
    "use_backend",
    "use_implementation",
]
