"""Optional packages: each belongs to an extra, and is imported where it is needed.

pip install 'xpcnn[plot]'       a single extra
pip install 'xpcnn[all]'        all of them, except CuPy, MPI and numba
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import MissingExtraError

# name on import → name for pip, and its extra
EXTRAS = {
    "PIL": ("pillow", "images"),
    "h5py": ("h5py", "hdf5"),
    "matplotlib": ("matplotlib", "plot"),
    "mpi4py": ("mpi4py", "mpi"),
    "numba": ("numba", "numba"),
    "onnx": ("onnx", "onnx"),
    "pooch": ("pooch", "download"),
    "python_multipart": ("python-multipart", "serve"),
    "shtab": ("shtab", "completion"),
    "sklearn": ("scikit-learn", "sklearn"),
    "starlette": ("starlette", "serve"),
    "tensorboardX": ("tensorboardX", "tensorboard"),
    "uvicorn": ("uvicorn", "serve"),
}


def need(module: str, who: str, purpose: str) -> Any:
    """The module of an optional package.

    Parameters
        module : such as "PIL.Image"
        who, purpose : for the error: who needs it, and what for
    Raises
        MissingExtraError : the package is not installed; the error names the extra
    """
    package, extra = EXTRAS[module.partition(".")[0]]
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            who,
            f"{package} {purpose}",
            str(error) or f"no module {module}",
            f"pip install {package}, which is the extra xpcnn[{extra}]",
        ) from None
