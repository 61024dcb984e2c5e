"""Networks from and for other programs. Each part imports its optional package where it is used."""

from .onnx import export_onnx, import_onnx

__all__ = ["export_onnx", "import_onnx"]
