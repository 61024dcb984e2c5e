"""`gradcheck`, `doctor` and `info` report a machine on which something is wrong."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl

import xpcnn
from xpcnn import cli, nn, settings
from xpcnn.cli import doctor, info
from xpcnn.errors import OptionError
from xpcnn.nn.layer_examples import EXAMPLES


class Forgetful(nn.Linear):
    def backward(self, dy, cache, *, input_grad=True):
        dx, grads = super().backward(dy, cache, input_grad=input_grad)
        return dx, grads | {"bias": 2 * grads["bias"]}


@pytest.fixture
def wrong(monkeypatch):
    monkeypatch.setitem(EXAMPLES, "Linear", lambda: (Forgetful(3, 2, rng=0), np.ones((2, 3))))


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code, *capsys.readouterr()


def test_a_wrong_gradient_is_named_and_ends_with_1(wrong, capsys):
    status, output, errors = run(capsys, "gradcheck", "ReLU", "Linear")
    rows = [line.split() for line in output.splitlines()[1:]]
    assert [(*row[:2], row[-1]) for row in rows] == [
        ("ReLU", "x", "ok"), ("Linear", "x", "ok"), ("Linear", "weight", "ok"), ("Linear", "bias", "WRONG"),
    ]  # fmt: skip
    assert [row[2:-1].count("—") for row in rows] == [1, 0, 0, 0]  # ReLU is not linear
    assert (status, errors) == (
        1, "xpcnn: gradcheck: expected gradients that agree with every witness, got wrong ones in Linear\n",
    )  # fmt: skip


def free(size):
    return lambda m: m.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=size))


def blas(threads, most):
    def patch(m):
        pools = [{"user_api": "blas", "num_threads": threads}, {"user_api": "openmp", "num_threads": 999}]
        m.setattr(threadpoolctl, "threadpool_info", lambda: pools)
        m.setattr(settings, "num_threads", lambda: most)
        m.setattr(doctor, "cores", lambda: 4)

    return patch


def changed(m):
    load = doctor.io.load_model

    def other(path):
        saved = load(path)
        saved.model.state_dict()["0.bias"][0] += 1
        return saved

    m.setattr(doctor.io, "load_model", other)


def folder(path):
    return lambda m: m.setattr(settings, "data_folder", lambda: path)


@pytest.mark.parametrize(
    ("name", "patch", "said", "well"),
    [
        ("gradients", lambda m: None, "Conv2d, MaxPool2d, BatchNorm2d, Linear", True),
        ("settings", lambda m: m.setenv("XPCNN_CACHE_MIB", "x"), "XPCNN_CACHE_MIB: expected a number of MiB", False),
        ("settings", lambda m: m.setenv("XPCNN_NUM_THREADS", "0"), "XPCNN_NUM_THREADS: expected a number of", False),
        ("settings", lambda m: m.setenv("XPCNN_CACHE_MIB", "9"), "all are valid", True),
        ("implementations", lambda m: m.setattr(doctor, "AGREEMENT", 1e-20), "; set XPCNN_IMPLEMENTATION=ref", False),
        ("implementations", lambda m: m.setattr(doctor, "AGREEMENT", 1e-5), "differ from the reference by ", True),
        ("product of matrices", lambda m: m.setattr(doctor, "LEAST_RATE", 1e9), "GFLOP/s in float32, slow for", False),
        ("product of matrices", lambda m: m.setattr(doctor, "LEAST_RATE", 0.1), " GFLOP/s in float32", True),
        ("threads", blas(4, None), "4 for 4 cores", True),
        ("threads", blas(5, None), "5 for 4 cores; set XPCNN_NUM_THREADS and OMP_NUM_THREADS=4", False),
        ("threads", blas(1, 8), "8 for 4 cores; set", False),
        ("files", lambda m: None, "a model is read as it was written", True),
        ("files", changed, "a model changed when it was saved", False),
        ("disk", free(2**30), "1.0 GiB free in ", True),
        ("disk", free(2**30 - 1), "; runs and downloads need some", False),
        ("data", folder(None), "in the user's cache, ", True),
    ],
)
def test_each_check_of_doctor(monkeypatch, name, patch, said, well):
    patch(monkeypatch)
    verdict, fine = doctor._CHECKS[name]()
    assert said in verdict
    assert fine is well


def test_doctor_goes_on_where_a_gpu_has_no_toolkit(monkeypatch, capsys):
    def compiles():
        raise RuntimeError("CuPy failed to load libnvrtc.so.12: cannot open\nshared object file")

    monkeypatch.setattr(doctor, "_CHECKS", {"gradients": compiles, "data": doctor._data_folder})
    status, output, _ = run(capsys, "doctor")
    first, second, *_ = output[output.index("PROBLEM") :].splitlines()
    assert first.endswith("libnvrtc.so.12: cannot open shared object file; " + doctor.TOOLKIT)
    assert second.startswith("ok")
    assert status == 1


def test_doctor_names_wrong_layers(wrong):
    assert doctor._gradients() == ("wrong: Linear; see xpcnn gradcheck", False)


def test_doctor_s_data_folder(tmp_path, monkeypatch):
    folder(tmp_path)(monkeypatch)
    assert doctor._data_folder() == (f"in XPCNN_DATA, {tmp_path}", True)
    folder(tmp_path / "nowhere")(monkeypatch)
    assert doctor._data_folder()[1] is False


def raises(error):
    def check(*arguments, **options):
        raise error

    return check


@pytest.mark.parametrize(
    ("checks", "told", "status"),
    [
        ({"a": lambda: ("fine", True)}, ["ok       a                    fine", "", "no problems"], 0),
        ({"a": lambda: ("ill", False)}, ["PROBLEM  a                    ill", "", "1 problem"], 1),
        (
            {"a": raises(OptionError("who", "this", "that")), "b": raises(OSError("two\nlines"))},
            [
                "PROBLEM  a                    who: expected this, got that",
                "PROBLEM  b                    two lines",
                "",
                "2 problems",
            ],
            1,
        ),
    ],
)
def test_doctor_counts_problems(monkeypatch, capsys, checks, told, status):
    monkeypatch.setattr(doctor, "_CHECKS", checks)
    code, output, errors = run(capsys, "doctor")
    assert (code, errors) == (status, "")
    assert output.splitlines()[-len(told) - 1 :] == ["", *told]
    assert output.startswith(f"xpcnn                {xpcnn.__version__}\n")


@pytest.mark.parametrize(("error", "got"), [(MemoryError("9 GiB"), "9 GiB"), (SystemError(), "no more")])
def test_train_says_how_to_go_on_with_less_memory(tmp_path, monkeypatch, capsys, error, got):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xpcnn.cli.train.start", raises(error))
    assert run(capsys, "train", "digits", "--out", "run") == (
        2,
        "",
        f"xpcnn: train: expected more memory, got {got}; "
        "a run with a smaller --batch-size needs less, and --accumulate 2 makes the same steps of halves\n",
    )


def test_info_has_a_row_for_each_blas(monkeypatch):
    pools = [
        {"user_api": "blas", "internal_api": "mkl", "version": "2024", "num_threads": 3},
        {"user_api": "openmp", "internal_api": "openmp", "version": None, "num_threads": 2},
        {"user_api": "blas", "internal_api": "openblas", "version": "0.3", "architecture": "Zen", "num_threads": 2},
    ]
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools)
    rows = info.machine()
    assert [value for name, value in rows if name == "blas"] == [
        "mkl 2024, core unknown, 3 threads", "openblas 0.3, core Zen, 2 threads",
    ]  # fmt: skip
    monkeypatch.setattr(settings, "num_threads", lambda: None)
    assert ("threads", "as many as BLAS") in info.machine()
    monkeypatch.setattr(settings, "num_threads", lambda: 3)
    assert ("threads", "3") in info.machine()


def test_info_names_the_extra_of_what_is_not_installed(monkeypatch):
    def missing(name):
        raise info.PackageNotFoundError

    monkeypatch.setattr(info, "version", missing)
    rows = dict(info.machine())
    assert (rows["h5py"], rows["torch"]) == ("not installed, the extra xpcnn[hdf5]", "not installed")


def test_info_of_a_backend_that_is_not_usable(monkeypatch):
    def refuse(*words):
        raise info.BackendError("backend", "one that works", "none")

    monkeypatch.setattr(info, "current_backend", refuse)
    assert dict(info.machine())["backend"] == "not usable: backend: expected one that works, got none"
    monkeypatch.setattr(info, "asarray", refuse)
    assert info._implementations() == []


def test_the_machine_is_described_in_spite_of_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("XPCNN_NUM_THREADS", "0")
    assert dict(info.machine())["threads"].startswith("not usable: XPCNN_NUM_THREADS: expected")
