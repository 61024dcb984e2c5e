"""The kernels for CuPy, without a GPU: CuPy takes their parameters, and they compile for four GPU architectures.

    pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12; pytest tests/kernels/test_cuda.py

On the stand-in (`PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy`), further that they agree with the reference where the
workspace is small, that a kernel that is wrong on a device is left out there with a warning, and that positions are
computed right next to 2³¹, for which no array is made. What they compute is compared with the reference by the whole
suite, for example over a grid of geometries by `tests/ops/test_conv.py`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn import nn, optim
from xpcnn.kernels.cuda import activation, batch_norm, conv, cross_entropy, kernel, pad, pool, proof, steps, sums
from xpcnn.ops import Window, dispatch

from ..arrays import assert_close

ARCHITECTURES = ("75", "80", "90", "100")
SPEC = find_spec("cupy")
IS_STAND_IN = SPEC is not None and "stand_in" in str(SPEC.origin)
on_stand_in = pytest.mark.skipif(
    not IS_STAND_IN or os.environ.get("XPCNN_BACKEND") != "cupy" or not shutil.which("g++"),
    reason="needs the stand-in for CuPy, and g++",
)
MODULES = (activation, batch_norm, conv, cross_entropy, pad, pool, steps, sums)
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, weight_decay=0.01),
    "AdamW": optim.AdamW,
}


def every_kernel() -> dict[str, kernel.Kernel]:
    for make in OPTIMIZERS.values():
        made = make({"p": np.zeros(2, np.float32)})
        made.steps = 1
        code, numbers = made.in_c()
        steps._kernel(code, tuple(numbers), made.slots, 3)
    return kernel.KERNELS


def cuda_source(each: kernel.Kernel, dtype: str, wide: bool) -> str:
    """What CuPy gives to the compiler, for arrays in one piece."""
    import cupy
    from cupy._core import _kernel as own
    from cupy._core._carray import Indexer
    from cupy._core._scalar import CScalar

    reads, writes, code, name = each.texts(wide)
    parameters = [*own._get_param_info(reads, True), *own._get_param_info(writes, False)]
    letters = {"T": np.dtype(dtype), "L": np.dtype("int64"), "W": np.dtype("uint8")}
    dtypes = [letters[p.ctype] if p.dtype is None else p.dtype for p in parameters]
    nin = reads.count(",") + 1
    *_, types = own._decide_params_type(
        tuple(parameters[:nin]), tuple(parameters[nin:]), tuple(dtypes[:nin]), tuple(dtypes[nin:])
    )
    elements = {"relu": "x", "relu_dx": "dy y", "running_statistics": "mean var batch_mean batch_var"}.get(each.name, "")
    infos = [
        own._ArgInfo(1, cupy.ndarray, d, 1, True, not wide)
        if p.raw or not p.is_const or p.name in elements.split()
        else own._ArgInfo(3, CScalar, d, 0, True, True)
        for p, d in zip(parameters, dtypes, strict=True)
    ]
    infos.append(own._ArgInfo(2, Indexer, None, 1, True, not wide))
    parameters += own._get_param_info("CIndexer _ind", False)
    return own._get_elementwise_kernel_code(tuple(infos), types, tuple(parameters), code, name, "")


@pytest.mark.skipif(SPEC is None or IS_STAND_IN, reason="needs CuPy")
@pytest.mark.parametrize("name", every_kernel())
def test_they_compile_for_every_architecture(name):
    pytest.importorskip("nvidia.cuda_nvrtc", reason="needs NVRTC, the package nvidia-cuda-nvrtc-cu12")
    import cupy
    import nvidia
    from cupy.cuda import compiler

    own = Path(cupy.__file__).parent / "_core" / "include"
    cccl = own / "cupy" / "_cccl"
    folders = [own, cccl / "libcudacxx", cccl / "thrust", cccl / "cub", *Path(nvidia.__path__[0]).glob("*/include")]
    options = ("--std=c++17", *(f"-I{folder}" for folder in folders))
    variants = itertools.product(("float32", "float64"), (False, True), ARCHITECTURES)
    for dtype, wide, architecture in variants:
        if architecture != "75" and (wide or dtype == "float64"):
            continue  # one variant of the text for each architecture, and every variant for one
        source = "#include <cupy/complex.cuh>\n#include <cupy/carray.cuh>\n#include <cupy/math_constants.h>\n"
        source += cuda_source(every_kernel()[name], dtype, wide)
        made, *_ = compiler._NVRTCProgram(source, "kernel.cu").compile((*options, f"-arch=sm_{architecture}"))
        assert f"xpcnn_{name}".encode() in (made if isinstance(made, bytes) else made.encode())
