"""Exchange networks and weights with other programs. Each part imports its optional package when it is used."""

from .keras import load_keras
from .mlx import load_mlx, save_mlx
from .numpy_program import export_numpy
from .onnx import export_onnx, import_onnx
from .pytorch import load_pytorch, save_pytorch
from .weights import load_weights

__all__ = [
    "export_numpy",
    "export_onnx",
    "import_onnx",
    "load_keras",
    "load_mlx",
    "load_pytorch",
    "load_weights",
    "save_mlx",
    "save_pytorch",
]
