"""Data sets and batches."""

from . import augment
from .dataset import Dataset, Split
from .digits import digits
from .loader import Loader
from .mnist import mnist
from .registry import load, names

__all__ = ["Dataset", "Loader", "Split", "augment", "digits", "load", "mnist", "names"]
