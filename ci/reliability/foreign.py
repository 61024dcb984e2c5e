"""Other programs' files: arrays, pictures, weights and networks."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn import data, nn, to_numpy
from xpcnn.data.picture import read_picture
from xpcnn.exchange import import_onnx, load_keras, load_mlx, load_pytorch, save_mlx, save_pytorch
from xpcnn.io.idx import read_idx

from .damage import Change, damage, within_gzip, within_png, within_zip
from .kind import Kind, ran
from .small import arrays_of, split

NETWORKS = ("ONNX", "ONNX, several inputs", "ONNX, weights beside it")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def kinds(folder: Path) -> dict[str, Kind | str]:
    """All kinds by name, with an intact file of each in the folder; if a package is missing, the reason."""
    found: dict[str, Kind | str] = {**_arrays(folder), **_weights(folder)}
    for package, names, make in (
        ("h5py", ("HDF5 data", "Keras h5"), _hdf5),
        ("PIL", FORMATS, _pictures),
        ("onnx", NETWORKS, _networks),
    ):
        found |= make(folder) if find_spec(package) else dict.fromkeys(names, f"{package} is not installed")
    return found


def _arrays(folder: Path) -> dict[str, Kind]:
    """Arrays of NumPy, IDX files, CIFAR's records."""
    images, labels = split().images, split().labels
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    np.savez_compressed(folder / "packed.npz", images=images, labels=labels)
    idx = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (60, 6, 6)) + images.tobytes()
    (folder / "images.idx").write_bytes(idx)
    (folder / "images.idx.gz").write_bytes(gzip.compress(idx, mtime=0))
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as archive:
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            records = bytes([3]) + np.resize(images, 3072).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(records)
            archive.addfile(member, io.BytesIO(records))
    from_npy = partial(data.array_file, labels=folder / "labels.npy")
    return {
        "npy": Kind("images.npy", lambda path: parts(from_npy(path)), (damage,)),
        "npz": Kind("images.npz", dataset, (damage, within_zip)),
        "npz, deflated": Kind("packed.npz", dataset, (damage, within_zip)),
        "IDX": Kind("images.idx", read_idx, (damage,)),
        "IDX, gzip": Kind("images.idx.gz", read_idx, (damage, within_gzip)),
        "CIFAR": Kind("cifar-10-binary.tar.gz", lambda path: parts(data.cifar10(path.parent)), (damage, within_gzip)),
    }


def parts(made: data.Dataset) -> Any:
    """The contents of a data set that are compared."""
    return [[part.images, part.labels] for part in (made.train, made.test)], made.classes


def dataset(path: Path) -> Any:
    return parts(data.load(path))


def _pictures(folder: Path) -> dict[str, Kind]:
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))
    for form in FORMATS:
        picture.save(folder / f"picture.{form.lower()}")
    changes: dict[str, tuple[Change, ...]] = {"PNG": (damage, within_png)}
    return {form: Kind(f"picture.{form.lower()}", read_picture, changes.get(form, (damage,))) for form in FORMATS}


def _weights(folder: Path) -> dict[str, Kind]:
    """Weights for a network."""
    model = _network()
    save_pytorch(model, folder / "pytorch.safetensors", input_shape=(6, 6, 1))
    save_mlx(model, folder / "mlx.safetensors")
    save_mlx(model, folder / "mlx.npz")
    pytorch, touched = partial(load_pytorch, input_shape=(6, 6, 1)), partial(arrays_of, model)
    return {
        "PyTorch safetensors": Kind("pytorch.safetensors", _into(model, pytorch), (damage,), touched=touched),
        "MLX safetensors": Kind("mlx.safetensors", _into(model, load_mlx), (damage,), touched=touched),
        "MLX npz": Kind("mlx.npz", _into(model, load_mlx), (damage, within_zip), touched=touched),
    }


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3, rng=1))


def _into(model: nn.Sequential, load: Callable[..., Any]) -> Callable[[Path], Any]:
    """A network's arrays after a file is loaded into it; they are restored afterwards."""
    before = {name: to_numpy(array).copy() for name, array in model.state_dict().items()}

    def loaded(path: Path) -> Any:
        load(model, path)
        found = arrays_of(model)
        model.load_state_dict(before)
        return found

    return loaded


def _hdf5(folder: Path) -> dict[str, Kind]:
    """Images in the form of the SIGNS data set; weights as Keras 3 writes them."""
    import h5py

    with h5py.File(folder / "data.h5", "w") as file:
        for part, packed in (("train", None), ("test", "gzip")):
            file.create_dataset(f"{part}_set_x", data=split().images, compression=packed)
            file.create_dataset(f"{part}_set_y", data=split().labels[None])
        file["list_classes"] = np.arange(3)
    model = _network()
    arrays = {name: to_numpy(array) for name, array in model.state_dict().items()}
    layers = {
        "conv2d": [np.moveaxis(arrays["0.weight"], 0, 3), arrays["0.bias"]],
        "batch_normalization": [arrays[f"1.{name}"] for name in ("weight", "bias", "running_mean", "running_var")],
        "dense": [arrays["4.weight"].T, arrays["4.bias"]],
    }
    with h5py.File(folder / "keras.weights.h5", "w") as file:
        for name, variables in layers.items():
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = name
            for i, array in enumerate(variables):
                group[str(i)] = np.ascontiguousarray(array)
    keras = Kind("keras.weights.h5", _into(model, load_keras), (damage,), touched=partial(arrays_of, model))
    return {"HDF5 data": Kind("data.h5", dataset, (damage,)), "Keras h5": keras}


def _networks(folder: Path) -> dict[str, Kind | str]:
    """A network in one file; a graph of several inputs, and the second file in which its weights are."""
    if find_spec("pytest") is None:
        return dict.fromkeys(NETWORKS, "pytest is not installed, and its tests' graphs are used")
    from tests.exchange.onnx import test_hostile as onnx
    from xpcnn.exchange import export_onnx

    export_onnx(onnx.network(), folder / "network.onnx", input_shape=onnx.SHAPE, opset=17)
    onnx.write_graph(folder / "graph.onnx")
    made = (
        Kind("network.onnx", _onnx, (damage, onnx.edit)),
        Kind("graph.onnx", partial(_beside, folder, "w.bin"), (damage, onnx.edit)),
        Kind("w.bin", partial(_beside, folder, "graph.onnx"), (damage,)),
    )
    return dict(zip(NETWORKS, made, strict=True))


def _beside(folder: Path, other: str, path: Path) -> Any:
    """The network of two files, of which the other one is intact."""
    (path.parent / other).write_bytes((folder / other).read_bytes())
    return _onnx(path.with_name("graph.onnx"))


def _onnx(path: Path) -> Any:
    saved = import_onnx(path)
    return *ran(saved), repr(saved.model), saved.input_shape, arrays_of(saved.model)
