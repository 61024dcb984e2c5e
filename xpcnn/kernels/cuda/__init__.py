"""Implementations for CuPy: a few kernels for each operation, where the reference has a few for each tap."""
