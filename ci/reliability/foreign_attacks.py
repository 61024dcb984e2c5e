"""Malicious files in other programs' formats: HDF5, pictures, ONNX."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn import data
from xpcnn.exchange import import_onnx, load_keras

from .small import network

HUGE = 2**31 - 1

Attack = tuple[Callable[[Path], Path], Callable[[Path], Any]]  # makes the file in a folder; opens it


def hdf5() -> dict[str, Attack]:
    import h5py

    def declared(folder: Path) -> Path:
        with h5py.File(folder / "x.h5", "w") as file:
            file.create_dataset("train_set_x", (300_000, 1000, 1000), "u1", chunks=(1, 1000, 1000))
            file["train_set_y"] = np.zeros((1, 4), int)
        return folder / "x.h5"

    def external(folder: Path) -> Path:
        (folder / "secret").write_bytes(bytes(range(100)))
        with h5py.File(folder / "x.h5", "w") as file:
            file.create_dataset("train_set_x", (4, 5, 5), "u1", external=[(str(folder / "secret"), 0, 100)])
            file["train_set_y"] = np.zeros((1, 4), int)
        return folder / "x.h5"

    def linked(folder: Path) -> Path:
        with h5py.File(folder / "other.h5", "w") as file:
            file["x"] = np.zeros((4, 5, 5), "u1")
        with h5py.File(folder / "x.h5", "w") as file:
            file["train_set_x"] = h5py.ExternalLink("other.h5", "/x")
            file["train_set_y"] = np.zeros((1, 4), int)
        return folder / "x.h5"

    def loop(folder: Path) -> Path:
        with h5py.File(folder / "x.h5", "w") as file:
            group = file.create_group("layers")
            group["again"] = group
        return folder / "x.h5"

    keras = lambda path: load_keras(network(), path)  # noqa: E731
    must = partial(_must_refuse, data.load)
    return {
        "HDF5 that declares 300 GB": (declared, data.load),
        "HDF5 with another file's bytes": (external, must),
        "HDF5 with a link to another file": (linked, must),
        "HDF5 with a group in itself": (loop, keras),
    }


def _must_refuse(read: Callable[[Path], Any], path: Path) -> None:
    read(path)
    raise AssertionError("taken")


def pictures() -> dict[str, Attack]:
    def png(width: int, height: int, bands: int = 3) -> bytes:
        def chunk(name: bytes, body: bytes) -> bytes:
            return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

        pack = zlib.compressobj(1)
        rows = b"".join(pack.compress(bytes(1 + bands * width)) for _ in range(height)) + pack.flush()
        size = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[bands], 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    def folder_of(files: dict[str, bytes]) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            for name, contents in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(contents)
            return folder

        return make

    def pipe(folder: Path) -> Path:
        folder_of({f"{kind}/{i}.png": png(8, 8) for kind in "ab" for i in range(4)})(folder)
        os.mkfifo(folder / "a" / "pipe.png")
        return folder

    claims = png(8, 8)[:16] + struct.pack(">II", 60_000, 60_000) + png(8, 8)[24:]
    names = [f"{kind}/{i}.png" for kind in "ab" for i in range(2)]
    return {
        "PNG that claims 60,000 × 60,000": (folder_of({"a/1.png": claims, "b/1.png": claims}), data.load),
        **{
            f"four PNGs of 8000 × 8000{kind}, as 64 × 64": (
                folder_of(dict.fromkeys(names, png(8000, 8000, bands))),
                partial(data.load, size=64),
            )
            for kind, bands in (("", 3), (" with transparency", 4))
        },
        "a pipe among pictures": (pipe, data.load),
    }


def networks() -> dict[str, Attack]:
    import onnx
    from onnx import helper

    def graph(folder: Path, location: str, size: int = 4) -> Path:
        tensor = onnx.TensorProto(name="w", data_type=1, dims=[size, size])
        if location:
            tensor.raw_data = b"0"
            onnx.external_data_helper.set_external_data(tensor, location)
        x, y = (helper.make_tensor_value_info(name, 1, ["n", size]) for name in "xy")
        made = helper.make_graph([helper.make_node("Gemm", ["x", "w"], ["y"])], "g", [x], [y], [tensor])
        if location:
            made.initializer[0].ClearField("raw_data")
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (folder.parent / "secret").write_bytes(bytes(64))
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        return folder / "m.onnx"

    must = partial(_must_refuse, import_onnx)
    return {
        "ONNX with weights in ../secret": (partial(graph, location="../secret"), must),
        "ONNX with weights in /etc/passwd": (partial(graph, location="/etc/passwd"), must),
        "ONNX with 2⁶² weights and none": (partial(graph, location="", size=HUGE), must),
    }
