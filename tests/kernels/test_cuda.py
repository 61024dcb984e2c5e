"""The kernels for CuPy, without a GPU: CuPy takes their parameters, and they compile for four GPU architectures.

    pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12; pytest tests/kernels/test_cuda.py

On the stand-in (`PYTHONPATH=tests/stand_in XPCNN_BACKEND=cupy`), further that they agree with the reference where the
workspace is small, and that a kernel that is wrong on a device is left out there with a warning. What they compute is
compared with the reference by the whole suite, for example over a grid of geometries by `tests/ops/test_conv.py`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn import nn, optim
from xpcnn.kernels.cuda import (
    activation,
    batch_norm,
    conv,
    cross_entropy,
    gather,
    kernel,
    pad,
    pool,
    proof,
    steps,
    sums,
)
from xpcnn.ops import Window, dispatch

from ..arrays import assert_close

SPEC = find_spec("cupy")
IS_STAND_IN = SPEC is not None and "stand_in" in str(SPEC.origin)
on_stand_in = pytest.mark.skipif(
    not IS_STAND_IN or os.environ.get("XPCNN_BACKEND") != "cupy" or not shutil.which("g++"),
    reason="needs the stand-in for CuPy, and g++",
)
MODULES = (activation, batch_norm, conv, cross_entropy, gather, pad, pool, steps, sums)
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
    elements = ("x", "y", "dy", "mean", "var", "batch_mean", "batch_var")  # unless they are raw; the rest are numbers
    infos = [
        own._ArgInfo(1, cupy.ndarray, d, 1, True, not wide)
        if p.raw or not p.is_const or p.name in elements
        else own._ArgInfo(3, CScalar, d, 0, True, True)
        for p, d in zip(parameters, dtypes, strict=True)
    ]
    infos.append(own._ArgInfo(2, Indexer, None, 1, True, not wide))
    parameters += own._get_param_info("CIndexer _ind", False)
    return own._get_elementwise_kernel_code(tuple(infos), types, tuple(parameters), code, name, "")


VARIANTS = [*itertools.product(("float32", "float64"), (False, True), ("sm_75",)),
            *itertools.product(("float32",), (False,), ("sm_80", "sm_90", "sm_100", "compute_80"))]  # fmt: skip


@pytest.mark.skipif(SPEC is None or IS_STAND_IN, reason="needs CuPy")
@pytest.mark.parametrize(("dtype", "wide", "architecture"), VARIANTS)
def test_they_compile_for_every_architecture(dtype, wide, architecture):
    """All in one program, whose log names what is wrong; PTX of 32 bits has nothing of 64 that takes several times as
    long."""
    pytest.importorskip("nvidia.cuda_nvrtc", reason="needs NVRTC, the package nvidia-cuda-nvrtc-cu12")
    import cupy
    import nvidia
    from cupy.cuda import compiler

    own = Path(cupy.__file__).parent / "_core" / "include"
    cccl = own / "cupy" / "_cccl"
    folders = [own, cccl / "libcudacxx", cccl / "thrust", cccl / "cub", *Path(nvidia.__path__[0]).glob("*/include")]
    options = ("--std=c++17", *(f"-I{folder}" for folder in folders), f"-arch={architecture}")
    source = "#include <cupy/complex.cuh>\n#include <cupy/carray.cuh>\n#include <cupy/math_constants.h>\n"
    source += "\n".join(cuda_source(each, dtype, wide) for each in every_kernel().values())
    made, *_ = compiler._NVRTCProgram(source, "kernels.cu").compile(options)
    made = made if isinstance(made, bytes) else made.encode()
    assert [name for name in every_kernel() if f"xpcnn_{name}".encode() not in made] == []
    if architecture.startswith("compute"):
        assert re.findall(rb"(?:div|rem)\.[su]64|\S+\.f64", made) == []


def on_device(*arrays: np.ndarray, dtype: str = "float64") -> list:
    return [xpcnn.asarray(array, dtype) for array in arrays]


@pytest.fixture
def cupy_backend():
    with xpcnn.use_backend("cupy"):
        yield


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
@pytest.mark.parametrize("rows", [1, 9, 64])
@pytest.mark.parametrize(("groups", "stride", "kernel_size"), [(1, 1, 3), (2, 2, 3), (1, 1, 1)])
def test_a_workspace_that_holds_some_positions_of_an_image(rows, groups, stride, kernel_size, rng, monkeypatch):
    x, w = on_device(rng.normal(size=(3, 7, 6, 4)), rng.normal(size=(6, kernel_size, kernel_size, 4 // groups)))
    results = []
    for name in ("reference", "cuda"):
        monkeypatch.setattr(conv, "WORKSPACE", rows * kernel_size**2 * 4 * 8)
        with xpcnn.use_implementation(name):
            options = {"window": Window(kernel_size, stride, kernel_size // 2), "groups": groups}
            y, cache = dispatch.forward("conv2d", x, w, None, **options)
            results.append([y, *dispatch.backward(y, cache)[:2]])
    for expected, found in zip(*results, strict=True):
        assert_close(found, xpcnn.to_numpy(expected))


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
def test_what_is_wrong_on_a_device_is_left_out_there(rng, monkeypatch, tmp_path):
    monkeypatch.setattr(proof, "_said", {})
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *names: tmp_path)
    right = pad.PAD
    wrong = kernel.Kernel("zero_pad", right.reads, right.writes, right.code.replace("* c + k]", "* c + k] * T(1.01)"))
    monkeypatch.setitem(kernel.KERNELS, "zero_pad", right)
    monkeypatch.setattr(pad, "PAD", wrong)
    (x,) = on_device(rng.normal(size=(3, 4, 4, 2)))
    widths = [(1, 1), (0, 0), (0, 0)]
    with pytest.warns(RuntimeWarning, match=r"CUDA kernels of zero_pad are left out on this device: differs .*32"):
        y = nn.ZeroPad2d((1, 0))(x)
    assert_close(y[:, 1:-1], xpcnn.to_numpy(x))
    assert dispatch.choose("zero_pad", x, widths).name == "reference"
    (said,) = json.loads((tmp_path / "cuda.json").read_text()).values()
    assert "differs" in said["zero_pad"]

    monkeypatch.setattr(pad, "PAD", right)  # another process, after a repair
    monkeypatch.setattr(proof, "_said", {})
    assert dispatch.choose("zero_pad", x, widths).name == "cuda"
    monkeypatch.setattr(proof, "_said", {})
    monkeypatch.setattr(proof, "_compare", None)  # not asked again
    assert dispatch.choose("zero_pad", x, widths).name == "cuda"


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
@pytest.mark.parametrize("operation", proof.operations())
def test_they_agree_with_the_reference_on_the_small_cases(operation):
    with np.errstate(all="ignore"):
        assert proof._compare(operation) == proof.AGREES


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
@pytest.mark.parametrize("spoilt", ["{", "[1]", '{"key": 3}', None])
def test_a_damaged_file_of_verdicts_is_made_again(spoilt, monkeypatch, tmp_path):
    monkeypatch.setattr(proof, "_said", {})
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *names: folder)
    if spoilt is None:
        folder.write_text("no folder")  # and cannot be one: asked again by each process
    else:
        folder.mkdir()
        (folder / "cuda.json").write_text(spoilt)
    assert proof.verdict("relu") == proof.AGREES
    assert spoilt is None or "agrees" in (folder / "cuda.json").read_text()


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_many_arrays_is_that_of_each(name, rng):
    shapes = [(n % 5 + 1, 3) for n in range(90)]  # more than one kernel takes
    ends = []
    for implementation in ("reference", "cuda"):
        generator = np.random.default_rng(1)
        p = {str(n): xpcnn.asarray(generator.normal(size=shape), "float64") for n, shape in enumerate(shapes)}
        optimizer = OPTIMIZERS[name](p)
        with xpcnn.use_implementation(implementation):
            for _ in range(3):
                optimizer.step({key: xpcnn.asarray(generator.normal(size=p[key].shape), "float64") for key in p})
        ends.append([*p.values(), *optimizer.state_dict().values()])
    for expected, found in zip(*ends, strict=True):
        assert_close(found, xpcnn.to_numpy(expected))


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
def test_an_optimizer_of_ones_own_runs_its_own_update():
    class Still(optim.SGD):
        def update(self, p, g, *slots):
            pass

    p = {"p": xpcnn.asarray([1.0, 2.0])}
    Still(p, lr=0.5, momentum=0.9).step({"p": xpcnn.asarray([1.0, 1.0])})
    assert p["p"].tolist() == [1.0, 2.0]


@on_stand_in
@pytest.mark.usefixtures("cupy_backend")
def test_an_array_of_more_positions_takes_wide_ones(monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST", 11)
    asked = []
    monkeypatch.setattr(kernel, "_compiled", lambda each, wide: asked.append(wide) or (lambda *args, **options: None))
    for size in (11, 12):
        x = xpcnn.asarray(np.zeros(size))
        kernel.KERNELS["relu"](x)
        sums.PARTS(x, 1, 1, 1, xpcnn.asarray(np.zeros(1)), size=1)
    sums.PARTS(xpcnn.asarray(np.zeros(2)), 1, 1, 1, xpcnn.asarray(np.zeros(1)), size=1, reach=12)
    assert asked == [False, False, True, True, True]
