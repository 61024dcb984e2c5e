"""A small problem and small runs, and a run's results, without the parts that differ from run to run."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import xpcnn
from xpcnn import nn
from xpcnn.data import Loader, Split, augment
from xpcnn.io.model_file import load_model
from xpcnn.io.tensors import read_tensors
from xpcnn.nn import CrossEntropyLoss, Layer
from xpcnn.optim import OPTIMIZERS, Plateau
from xpcnn.training import Trainer
from xpcnn.training.config import SCHEDULES, RunConfig
from xpcnn.training.history import read_csv
from xpcnn.training.run import start

CHECKPOINT, MODEL, CONFIG = "checkpoint.safetensors", "model.safetensors", "config.json"


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, in memory if the system has a folder there.

    Within it, figures are saved without being drawn: drawing would take most of a small run's time.
    """
    shared = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(
            prefix="xpcnn-reliability-", dir=shared if os.access(shared, os.W_OK) else None, ignore_cleanup_errors=True
        ) as folder,
        _undrawn_figures(),
    ):
        yield Path(folder)


@contextmanager
def _undrawn_figures() -> Iterator[None]:
    if find_spec("matplotlib") is None:
        yield
        return
    from matplotlib.figure import Figure

    def write(figure: Figure, target: Any, **_: Any) -> None:
        with Path(target).open("wb") if isinstance(target, str | os.PathLike) else nullcontext(target) as file:
            file.write(b"a figure")

    drawn = Figure.savefig
    setattr(Figure, "savefig", write)  # noqa: B010
    try:
        yield
    finally:
        setattr(Figure, "savefig", drawn)  # noqa: B010


def split(images: int = 60, seed: int = 0) -> Split:
    """Images (N, 6, 6, 1) of three classes: a bright row marks the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, images)
    pixels = rng.integers(0, 100, (images, 6, 6, 1))
    pixels[np.arange(images), labels * 2, :, 0] += 150
    return Split(pixels.astype("uint8"), labels)


def data_file(folder: Path, images: int = 60) -> Path:
    """The same images as a file."""
    made = split(images)
    np.savez(folder / "tiny.npz", images=made.images, labels=made.labels)
    return folder / "tiny.npz"


def network() -> nn.Sequential:
    """A network with every kind of state: weights, running statistics, a generator."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False, rng=0),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3, rng=1),
        nn.Linear(36, 3, rng=2),
    )


def random_trainer(
    choose: Callable[[], np.random.Generator], folder: Path | None, **more: Any
) -> tuple[Trainer, Loader]:
    """A trainer and a loader with random settings; the same ones for a generator in the same state."""
    rng = choose()
    model = network()
    name = list(OPTIMIZERS)[rng.integers(len(OPTIMIZERS))]
    kind = list(SCHEDULES)[rng.integers(len(SCHEDULES))]
    lr = 10 ** rng.uniform(-3, -1.5)
    schedule = Plateau(lr, factor=0.5, patience=0) if kind == "plateau" else SCHEDULES[kind](lr, 20)
    words = ["", "flip", "shift:1", "flip,shift:1,cutout:2", "mixup:0.2"][rng.integers(5)]
    loader = Loader(
        split(),
        int(rng.integers(7, 25)),
        shuffle=True,
        seed=int(rng.integers(99)),
        drop_last=bool(rng.random() < 0.3),
        augment=augment.parse(words, 3) if words else None,
    )
    trainer = Trainer(
        model,
        OPTIMIZERS[name](model.parameters(), lr=lr, weight_decay=float(rng.choice([0.0, 0.01]))),
        CrossEntropyLoss(label_smoothing=float(rng.choice([0.0, 0.1]))),
        schedule=schedule,
        clip_norm=float(rng.choice([1.0, 100.0])),
        accumulate=int(rng.integers(1, 4)),
        ema=float(rng.uniform(0.5, 0.99)) if rng.random() < 0.5 else None,
        folder=folder,
        verbose=False,
        **more,
    )
    return trainer, loader


def arrays_of(model: Layer) -> dict[str, bytes]:
    return {name: xpcnn.to_numpy(array).tobytes() for name, array in model.state_dict().items()}


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Everything that training changes, bit for bit."""
    average = {} if trainer.average is None else arrays_of(trainer.average.model)
    slots = {name: xpcnn.to_numpy(array).tobytes() for name, array in trainer.optimizer.state_dict().items()}
    return {
        "model": arrays_of(trainer.model),
        "optimizer": (slots, trainer.optimizer.scalars()),
        "average": average,
        "schedule": trainer.schedule.state_dict(),
        "generators": repr([each.bit_generator.state for each in trainer.model.generators().values()]),
        "history": [_timeless(vars(row)) for row in trainer.history],
    }


def finished(data: Path, folder: Path) -> dict[str, str]:
    """Do the run of `arguments` in this process, so that children have all modules loaded; return its results."""
    config = RunConfig(dataset=str(data), model="mlp", epochs=3, batch_size=16, log="csv")
    start(config, folder, verbose=False)
    return left_by(folder)


def arguments(data: Path, out: Path | None, *more: str) -> list[str]:
    """The arguments of a run that takes a fraction of a second."""
    where = [] if out is None else ["--out", str(out)]
    settings = ["--model", "mlp", "--epochs", "3", "--batch-size", "16", "--log", "csv", "--quiet"]
    return ["train", str(data), *settings, *where, *more]


def left_by(folder: Path) -> dict[str, str]:
    """A finished run's results by file: digests of everything that must be equal in all runs of these settings."""
    tensors, metadata = read_tensors(folder / CHECKPOINT)
    history = [_timeless(vars(row)) for row in read_csv(folder / "history.csv")]
    result = _timeless(json.loads((folder / "result.json").read_text()))
    found = {
        CHECKPOINT: digest({name: array.tobytes() for name, array in tensors.items()}, _timeless(metadata)),
        MODEL: digest((folder / MODEL).read_bytes()),
        "history.csv": digest(history),
        "result.json": digest(result),
    }
    if (folder / "steps.csv").exists():
        found["steps.csv"] = digest((folder / "steps.csv").read_bytes())
    return found


def broken_files(folder: Path) -> list[str]:
    """The files of a run that are not intact, with the reason."""
    found = []
    readers: dict[str, Callable[[Path], object]] = {
        CONFIG: lambda path: json.loads(path.read_text()),
        CHECKPOINT: read_tensors,
        MODEL: load_model,
        "history.csv": read_csv,
        "result.json": lambda path: json.loads(path.read_text()),
    }
    for name, read in readers.items():
        if (folder / name).exists():
            try:
                read(folder / name)
            except Exception as error:  # whatever the error, the file is not intact
                found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def digest(*values: Any) -> str:
    """A digest of Python values, bytes and arrays."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key, each in sorted(value.items(), key=lambda item: repr(item[0])):
                add(key)
                add(each)
        elif isinstance(value, list | tuple):
            found.update(f"[{len(value)}".encode())
            for each in value:
                add(each)
        elif isinstance(value, bytes):
            found.update(value)
        elif isinstance(value, np.ndarray):
            found.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        else:
            found.update(repr(value).encode())

    add(values)
    return found.hexdigest()


def _timeless(value: Any) -> Any:
    """The value without the seconds that it took."""
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if "seconds" not in key}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
