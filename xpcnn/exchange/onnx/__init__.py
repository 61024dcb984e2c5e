"""ONNX: networks as graphs of standard operators, which other programs read and write."""

from .export import export_onnx
from .importer import import_onnx

__all__ = ["export_onnx", "import_onnx"]
