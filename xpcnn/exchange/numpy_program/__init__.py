"""A network as a program of NumPy calls."""

from .export import export_numpy

__all__ = ["export_numpy"]
