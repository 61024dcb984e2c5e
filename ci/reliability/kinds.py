"""The kinds of files that xpcnn reads: an example of each, its reader, and changes of its contents."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xpcnn import data, nn, to_numpy
from xpcnn.errors import NonFiniteError, XpcnnError
from xpcnn.io.model_file import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.optim import SGD, Adam, Plateau
from xpcnn.training import CSVLog, Trainer, checkpoint, replay
from xpcnn.training.callback import Step
from xpcnn.training.config import RunConfig, read_config
from xpcnn.training.history import History, read_csv
from xpcnn.training.run import start

from . import foreign
from .damage import Rng, damage, edit_json, edit_lines, replaced
from .kind import Kind, SenselessError, ran
from .small import CHECKPOINT, arguments, arrays_of, network, split, state_of


def kinds(folder: Path) -> dict[str, Kind | str]:
    """All kinds by name, with an intact file of each in the folder; if a package is missing, the reason."""
    return {**_own(folder), **_texts(folder), **foreign.kinds(folder)}


def _own(folder: Path) -> dict[str, Kind]:
    """xpcnn's files of arrays: a model, a checkpoint, a step that was kept."""
    save_model(network(), folder / "model.safetensors", input_shape=(6, 6, 1), classes=("a", "b", "c"))
    trainer, loader = _trainer(folder / "run")
    trainer.fit(loader, split(20, 1), epochs=2)
    (folder / "run" / CHECKPOINT).rename(folder / CHECKPOINT)
    broken = nn.Sequential(
        nn.Flatten(), nn.Dropout(0.2, rng=4), nn.Linear(36, 8, rng=0), nn.ReLU(), nn.Linear(8, 3, rng=1)
    )
    try:
        Trainer(broken, SGD(broken.parameters(), lr=1e30), folder=folder / "bad", verbose=False).fit(loader, epochs=1)
    except NonFiniteError:
        next((folder / "bad").glob("nonfinite-*")).rename(folder / "kept.safetensors")
    target, _ = _trainer(folder / CHECKPOINT)  # the trainer into which a checkpoint is loaded
    before = [to_numpy(array).copy() for array in target.checkpointed(loader).tensors().values()]
    return {
        "model": Kind("model.safetensors", _model, (damage, partial(_edit, folder)), checked=True),
        "checkpoint": Kind(
            CHECKPOINT, partial(_checkpoint, target, loader, before), (damage, partial(_edit, folder)), checked=True,
            touched=lambda: {**state_of(target), "history": []},
        ),
        "kept step": Kind("kept.safetensors", _replay, (damage, partial(_edit, folder)), checked=True),
    }  # fmt: skip


def _trainer(folder: Path) -> tuple[Trainer, data.Loader]:
    model = network()
    made = Trainer(
        model, Adam(model.parameters(), lr=0.01), schedule=Plateau(0.01), ema=0.9, folder=folder, verbose=False
    )
    return made, data.Loader(split(), 10, shuffle=True, seed=4)


def _edit(folder: Path, contents: bytes, rng: Rng) -> bytes:
    """Changed metadata or arrays, written as xpcnn writes them, so that only their meaning is wrong."""
    path = folder / f"edited-{os.getpid()}"
    path.write_bytes(contents)
    tensors, metadata = read_tensors(path)
    metadata.pop("format", None)
    if rng.random() < 0.75:
        metadata = replaced(metadata, rng)
    else:
        name = sorted(tensors)[rng.integers(len(tensors))]
        array = tensors.pop(name)
        others = [
            array[..., None], array.ravel()[:1], array.astype("float64"), array.astype("int32"), array[:0], None,
            array.reshape(-1), np.zeros((3, 3), "float32"), array.astype("float16"),
        ]  # fmt: skip
        other = others[rng.integers(len(others))]
        if other is not None:
            tensors[name if rng.random() < 0.8 else "another"] = other
    try:
        write_tensors(path, tensors, metadata)
    except XpcnnError:  # contents that cannot be written
        return damage(contents, rng)
    return path.read_bytes()


def _model(path: Path) -> Any:
    saved = load_model(path)
    return *ran(saved), repr(saved.model), saved.input_shape, saved.classes, saved.extra, arrays_of(saved.model)


def _checkpoint(target: Trainer, loader: data.Loader, before: list[Any], path: Path) -> Any:
    """Load it into the trainer, and restore the trainer afterwards."""
    run = replace(target.checkpointed(loader), validation=split(20, 1))  # as it was saved
    scalars = target.optimizer.scalars()
    schedule, states = (
        target.schedule.state_dict(),
        {k: g.bit_generator.state for k, g in target.model.generators().items()},
    )
    position, history = checkpoint.load(path, run)
    target.history = history
    state = state_of(target)
    target.history = History()
    for array, old in zip(run.tensors().values(), before, strict=True):
        array[...] = old
    target.optimizer.steps, target.optimizer.lr = scalars["steps"], scalars["lr"]
    target.schedule.load_state_dict(schedule)
    for name, generator in target.model.generators().items():
        generator.bit_generator.state = states[name]
    numbers = [value for value in vars(position).values() if isinstance(value, int | float)]
    sane = 0 <= position.batch <= len(loader) and len(history) == position.epoch and all(n >= 0 for n in numbers)
    if not sane:
        raise SenselessError(str(position)[:200])
    return vars(position), state


def _replay(path: Path) -> Any:
    with redirect_stdout(io.StringIO()) as said:
        finding = replay(path)
    return vars(finding), said.getvalue()


def _texts(folder: Path) -> dict[str, Kind]:
    """Texts: a run's configuration, its history and log, a TOML file, a table of images."""
    from xpcnn.cli.train_settings import read_settings

    np.savez(folder / "images.npz", images=split().images, labels=split().labels)
    start(
        RunConfig(dataset=str(folder / "images.npz"), model="mlp", epochs=2, log="csv"), folder / "texts", verbose=False
    )
    for name in ("config.json", "history.csv", "steps.csv"):
        (folder / name).write_bytes((folder / "texts" / name).read_bytes())
    words = arguments(Path("data"), Path("out"))[2:]
    lines = [f"{words[i].removeprefix('--').replace('-', '_')} = {words[i + 1]!r}" for i in range(0, 8, 2)]
    (folder / "run.toml").write_text("\n".join([*lines, "lr = 0.01", "epochs = 3", "[options]", "size = 8", ""][2:]))
    pixels, labels = split().images.reshape(60, 36), split().labels
    rows = [",".join(map(str, [label, *row])) for label, row in zip(labels.tolist(), pixels.tolist(), strict=True)]
    header = ",".join(["label", *(f"p{i}" for i in range(36))])
    (folder / "table.csv").write_text("\n".join([header, *rows, ""]))
    return {
        "config.json": Kind("config.json", lambda path: repr(read_config(path.parent)), (damage, edit_json)),
        "TOML": Kind("run.toml", lambda path: repr(read_settings(path)), (damage, edit_lines)),
        "history.csv": Kind("history.csv", lambda path: repr(read_csv(path)), (damage, edit_lines)),
        "steps.csv": Kind("steps.csv", _go_on_with_log, (damage, edit_lines)),
        "CSV": Kind("table.csv", foreign.dataset, (damage, edit_lines)),
    }


def _go_on_with_log(path: Path) -> bytes:
    trainer, _ = _trainer(path.parent)
    CSVLog(path)(trainer, Step(step=5, epoch=2, batch=1, images=10, loss=1.0, accuracy=0.5, lr=0.1))
    return path.read_bytes()
