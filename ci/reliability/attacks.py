"""Malicious files, and functions that open them.

An attack is two functions: one makes the file in a folder, the other opens it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn import data, nn
from xpcnn.exchange import load_mlx, load_pytorch
from xpcnn.io import safetensors
from xpcnn.io.idx import read_idx
from xpcnn.io.model_file import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.training import replay
from xpcnn.training.config import read_config
from xpcnn.training.history import read_csv

from . import child, foreign_attacks
from .foreign_attacks import HUGE, Attack
from .small import network


def groups() -> dict[str, dict[str, Attack] | str]:
    """All attacks by group and name; for a group whose package is missing, the reason."""
    plain = {**_documents(), **_archives(), **_sizes(), **_code(), **_terminal()}
    found: dict[str, dict[str, Attack] | str] = {"documents, arrays and models": plain}
    for name, package, make in (
        ("HDF5", "h5py", foreign_attacks.hdf5),
        ("pictures", "PIL", foreign_attacks.pictures),
        ("ONNX", "onnx", foreign_attacks.networks),
    ):
        found[name] = make() if find_spec(package) else f"{package} is not installed"
    return found


def contents(name: str, what: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(what if isinstance(what, bytes) else what())
        return folder / name

    return make


def _deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def _documents() -> dict[str, Attack]:
    """Nesting and numbers in JSON, TOML and CSV."""

    def header(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text

    from xpcnn.cli.train_settings import read_settings

    config = lambda path: read_config(path.parent)  # noqa: E731
    deep = b'{"__metadata__": {"xpcnn": "' + b"[" * 50_000 + b'"}}'
    return {
        "config.json, 100,000 levels": (contents("config.json", _deep(100_000)), config),
        "config.json, a number of a million digits": (
            contents("config.json", b'{"epochs": ' + b"9" * 1_000_000 + b"}"), config,
        ),
        "TOML, 100,000 levels": (contents("run.toml", b"a = " + _deep(100_000)), read_settings),
        "TOML, a number of a million digits": (contents("run.toml", b"epochs = " + b"9" * 1_000_000), read_settings),
        "model, 50,000 levels in the header": (contents("m.safetensors", header(_deep(50_000))), load_model),
        "model, 50,000 levels in the document": (contents("m.safetensors", header(deep)), load_model),
        "checkpoint, 900 levels": (partial(_document, nested=900), read_tensors),
        "history.csv, a cell of 5 MB": (
            contents("history.csv", b"epoch,lr\n1," + b"9" * 5_000_000), read_csv,
        ),
        "CSV, a row of 20 MB": (contents("t.csv", b"label," + b"1," * 10_000_000 + b"1\n"), data.load),
    }  # fmt: skip


def _document(folder: Path, nested: int) -> Path:
    document = b'{"kind": "checkpoint", "format": 1, "run": ' + _deep(nested) + b"}"
    safetensors.save(folder / "c.safetensors", {"a": np.zeros(1)}, {"xpcnn": document.decode()}, checksum=True)
    return folder / "c.safetensors"


def _archives() -> dict[str, Attack]:
    """Bombs, and members with paths outside the archive."""

    def npz(members: dict[str, bytes], name: str = "x.npz") -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for member, contents in members.items():
                    archive.writestr(member, contents)
            return folder / name

        return make

    def zeros(count: int) -> bytes:
        return _npy_header((count,)) + bytes(count)

    def many(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            for number in range(30_000):
                archive.writestr(f"a{number}.npy", _npy_header((0,)))
        return folder / "x.npz"

    labels = _npy_header((4,)) + bytes(4)
    mlx = lambda path: load_mlx(network(), path)  # noqa: E731

    def bomb(before: bytes = b"") -> bytes:
        return gzip.compress(before) + 1024 * gzip.compress(bytes(2**20))  # consecutive members

    return {
        "npz, 1 GiB of deflated zeros": (npz({"images.npy": zeros(2**30), "labels.npy": labels}), data.load),
        "npz of weights, 1 GiB of deflated zeros": (npz({"weight.npy": zeros(2**30)}), mlx),
        "npz, ../ in a name": (npz({"../images.npy": zeros(9), "labels.npy": labels}), data.load),
        "npz, / in a name": (npz({"/tmp/images.npy": zeros(9), "labels.npy": labels}), data.load),
        "npz, 30,000 members": (many, data.load),
        "IDX, 1 GiB of zeros in gzip": (contents("x.idx.gz", bomb), read_idx),
        "IDX, a bomb that claims its size": (
            contents("x.idx.gz", lambda: bomb(b"\0\0\x08\x01" + (2**30).to_bytes(4, "big"))), read_idx,
        ),
        "CIFAR, a bomb": (
            contents("cifar-10-binary.tar.gz", bomb), lambda path: data.cifar10(folder=path.parent),
        ),
    }  # fmt: skip


def _npy_header(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": kind, "fortran_order": False, "shape": shape})
    return made.getvalue()


def _sizes() -> dict[str, Attack]:
    """Small files that claim large sizes."""
    safetensors = lambda shape, end: json.dumps(  # noqa: E731
        {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    ).encode()

    def claim(shape: list[int], end: int) -> Callable[[Path], Path]:
        text = safetensors(shape, end)  # type: ignore[no-untyped-call]
        return contents("m.safetensors", len(text).to_bytes(8, "little") + text + bytes(16))

    def layers(config: Any) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            metadata = {"input_shape": [4], "classes": [], "extra": {}, "architecture": config}
            write_tensors(folder / "m.safetensors", {}, metadata)
            return folder / "m.safetensors"

        return make

    def wide(folder: Path) -> Path:
        model = nn.Sequential(nn.Conv2d(1, 2, 1, rng=0), nn.GlobalAvgPool2d())
        save_model(model, folder / "m.safetensors", input_shape=(4, 4, 1))
        tensors, metadata = read_tensors(folder / "m.safetensors")
        metadata["input_shape"] = [60_000, 60_000, 1]
        metadata.pop("format", None)
        write_tensors(folder / "m.safetensors", tensors, metadata)
        np.save(folder / "x.npy", np.zeros((4, 4, 1), "float32"))
        return folder / "m.safetensors"

    def predict(path: Path) -> None:
        child.command(["predict", str(path), str(path.parent / "x.npy")])()

    doubled: Any = {"type": "ReLU"}
    for _ in range(30):
        doubled = {"type": "Sequential", "children": {"0": doubled, "1": {"same_as": "0"}}}
    flat = {"type": "Sequential", "children": {str(i): {"type": "ReLU"} for i in range(60_000)}}
    large = {"type": "Linear", "in_features": HUGE, "out_features": HUGE}
    padded = {"type": "ZeroPad2d", "padding": [HUGE] * 4}
    normal = {"type": "BatchNorm2d", "num_features": 10**12}
    found: dict[str, Attack] = {
        "safetensors, a header of 2⁶³ bytes": (
            contents("m.safetensors", b"\xff" * 7 + b"\x7f{" + bytes(99)),
            load_model,
        ),
        "safetensors, an array of 2⁴⁰ numbers": (claim([2**40], 2**42), load_model),
        "safetensors, a shape that overflows": (claim([2**33, 2**33], 16), load_model),
        "model of 2³⁰ layers by reference": (layers(doubled), load_model),
        "model of 60,000 layers": (layers(flat), load_model),
        "model with a layer of 2⁶² weights": (layers(large), load_model),
        "model with a batch norm of 10¹² channels": (layers(normal), load_model),
        "model with a padding of 2³¹": (layers(padded), load_model),
        "model that wants 60,000 × 60,000 pixels": (wide, predict),
        "npy of 10¹² numbers": (contents("x.npy", _npy_header((10**12,)) + bytes(64)), data.load),
        "npy of a shape that overflows": (contents("x.npy", _npy_header((2**33, 2**33)) + bytes(64)), data.load),
        "IDX of 2⁶² numbers": (contents("x.idx", b"\0\0\x08\x02" + b"\x7f\xff\xff\xff" * 2 + bytes(64)), read_idx),
        "IDX of 255 axes": (contents("x.idx", b"\0\0\x08\xff" + b"\0\0\0\x02" * 255 + bytes(64)), read_idx),
    }
    return found


class _Bomb:
    """Code that a pickle runs when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ../ran",)


def _code() -> dict[str, Attack]:
    """Pickles, and names of functions in place of names that are looked up."""

    def pickled(folder: Path) -> Path:
        (folder / "x.npy").write_bytes(_npy_header((1,), "|O") + pickle.dumps(_Bomb()))
        return folder / "x.npy"

    def objects(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            for name in ("images", "labels"):
                archive.writestr(f"{name}.npy", _npy_header((1,), "|O") + pickle.dumps(_Bomb()))
        return folder / "x.npz"

    def named(kind: str) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            architecture = {"type": kind, "command": "touch ../ran"}
            metadata = {"input_shape": [4], "classes": [], "extra": {}, "architecture": architecture}
            write_tensors(folder / "m.safetensors", {}, metadata)
            return folder / "m.safetensors"

        return make

    def criterion(folder: Path) -> Path:
        metadata = {
            "kind": "nonfinite", "run": {"step": 1, "epoch": 1, "batch": 1}, "generators": {},
            "architecture": {"type": "Flatten"}, "criterion": {"type": "__builtins__"},
        }  # fmt: skip
        write_tensors(folder / "k.safetensors", {"batch.x": np.zeros((1, 2)), "batch.y": np.zeros(1, int)}, metadata)
        return folder / "k.safetensors"

    pytorch = lambda path: load_pytorch(network(), path)  # noqa: E731
    return {
        "pickle as a model": (contents("m.safetensors", lambda: pickle.dumps(_Bomb())), load_model),
        "pickle as PyTorch weights": (contents("m.pt", lambda: pickle.dumps(_Bomb())), pytorch),
        "pickle in npy": (pickled, data.load),
        "pickle in npz": (objects, data.load),
        "model whose layer is os.system": (named("os.system"), load_model),
        "model whose layer is __class__": (named("__class__"), load_model),
        "kept step whose criterion is __builtins__": (criterion, replay),
    }


def _terminal() -> dict[str, Attack]:
    """Escapes in names that are printed."""

    def escapes(folder: Path) -> Path:
        names = ("\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "line\nline")
        save_model(network(), folder / "m.safetensors", input_shape=(6, 6, 1), classes=names)
        np.save(folder / "x.npy", np.zeros((6, 6, 1), "float32"))
        return folder / "m.safetensors"

    def predict(form: str, path: Path) -> None:
        child.command(["predict", str(path), str(path.parent / "x.npy"), "--format", form, "--top-k", "3"])()

    def kind(folder: Path) -> Path:
        write_tensors(folder / "m.safetensors", {}, {"kind": "\x1b[31m" + "x" * 5000})
        return folder / "m.safetensors"

    def summary(path: Path) -> None:
        child.command(["eval", str(path), "digits"])()

    found: dict[str, Attack] = {
        f"escapes in class names, {form}": (escapes, partial(predict, form)) for form in ("text", "csv", "json")
    }
    return found | {"escapes in a kind": (kind, summary)}
