"""A run by names alone: data set, model, optimizer and schedule, kept in one folder. `xpcnn train` is this.

config.json             what was asked for, enough to do it again
history.csv             one line an epoch
checkpoint.safetensors  the last state, from which `resume` goes on
model.safetensors       the best model, for `eval` and `predict`
result.json             how it ended
curves.png              where matplotlib is installed
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, data, models
from ..backend import current_backend
from ..data.loader import Loader
from ..errors import DataError, FormatError, OptionError
from ..io.atomic import write_atomically
from ..io.model_file import load_model
from ..optim import SGD, Adadelta, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from ..optim.schedule import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp
from . import history
from .trainer import CHECKPOINT, MODEL, Trainer

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda parameters, **options: SGD(parameters, momentum=0.9, nesterov=True, **options),
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
    "adagrad": AdaGrad,
    "adadelta": Adadelta,
}
SCHEDULES = ("constant", "step", "exponential", "cosine", "warmup", "onecycle", "plateau")


@dataclass(frozen=True)
class RunConfig:
    """What `xpcnn train` is asked for; the defaults are its defaults."""

    dataset: str = "digits"
    model: str = "mnist_cnn"
    epochs: int = 15
    batch_size: int = 64
    lr: float = 0.002
    optimizer: str = "adam"
    schedule: str = "onecycle"
    weight_decay: float = 0.0
    validation: float = 0.1  # share of the training images that is held out
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("optimizer", tuple(OPTIMIZERS)), ("schedule", SCHEDULES), ("model", tuple(models.MODELS))):
            if getattr(self, name) not in known:
                raise OptionError(f"--{name}", "one of " + ", ".join(known), repr(getattr(self, name)))
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise OptionError(f"--{name.replace('_', '-')}", "an integer ≥ 1", str(getattr(self, name)))
        if self.seed < 0:
            raise OptionError("--seed", "an integer ≥ 0", str(self.seed))
        if self.patience is not None and self.patience < 1:
            raise OptionError("--patience", "an integer ≥ 1", str(self.patience))
        if not 0 < self.lr < float("inf"):
            raise OptionError("--lr", "a positive number", str(self.lr))
        if not 0 <= self.validation < 1:
            raise OptionError("--validation", "a share of the training images in [0, 1)", str(self.validation))


def start(config: RunConfig, folder: Path, *, verbose: bool = True) -> dict[str, Any]:
    """Do the run that `config` describes, in a new folder; its result.

    Raises
        OptionError : the folder holds a run already
    """
    if (folder / "config.json").exists() or (folder / CHECKPOINT).exists():
        raise OptionError(
            "--out", "a folder without a run", str(folder), f"xpcnn train --resume {folder}, or name another folder"
        )
    run = _Run(config, folder, verbose)
    folder.mkdir(parents=True, exist_ok=True)
    described = asdict(config) | {"xpcnn": __version__, "backend": current_backend().name, "numpy": np.__version__}
    _write_json(folder / "config.json", described)
    return run.finish(resume=False)


def resume(folder: Path, *, verbose: bool = True) -> dict[str, Any]:
    """Go on with the run in that folder, bit for bit as if it had not stopped; its result.

    Raises
        DataError : there is no run;  FormatError : its files are broken
    """
    path = folder / "config.json"
    try:
        described = json.loads(path.read_text())
        config = RunConfig(**{field.name: described[field.name] for field in fields(RunConfig)})
    except FileNotFoundError:
        raise DataError("--resume", f"a run in {folder}", "no config.json", "name a folder that --out made") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FormatError(str(path), "a run's configuration", f"{type(error).__name__}: {error}") from error
    return _Run(config, folder, verbose).finish(resume=(folder / CHECKPOINT).exists())


class _Run:
    def __init__(self, config: RunConfig, folder: Path, verbose: bool) -> None:
        self.config, self.folder = config, folder
        self.dataset = data.load(config.dataset)
        train, validation = self.dataset.train, None
        if config.validation:
            train, validation = train.split(config.validation, seed=config.seed)
        self.validation = validation
        self.loader = Loader(train, config.batch_size, shuffle=True, seed=config.seed)
        model = models.build(config.model, train.input_shape, len(self.dataset.classes), rng=config.seed)
        optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.trainer = Trainer(
            model,
            optimizer,
            schedule=schedule(config.schedule, config.lr, config.epochs, len(self.loader)),
            patience=config.patience,
            folder=folder,
            classes=self.dataset.classes,
            verbose=verbose,
        )

    def finish(self, *, resume: bool) -> dict[str, Any]:
        begun = time.perf_counter()
        rows = self.trainer.fit(self.loader, self.validation, epochs=self.config.epochs, resume=resume)
        best = load_model(self.folder / MODEL)
        self.trainer.model.load_state_dict(best.model.state_dict())
        tested = self.trainer.evaluate(self.dataset.test)
        result = {
            "test_accuracy": tested.accuracy,
            "test_loss": tested.loss,
            "test_top5_accuracy": tested.top5_accuracy,
            "test_confusion": tested.confusion.tolist(),
            "test_images": len(self.dataset.test),
            "validation_accuracy": max((row.validation_accuracy for row in rows), default=None)
            if self.validation is not None
            else None,
            "best_epoch": self.trainer.position.best_epoch,
            "epochs": len(rows),
            "parameters": sum(math.prod(array.shape) for array in self.trainer.model.parameters().values()),
            "seconds": sum(row.seconds for row in rows),
            "seconds_since_start": time.perf_counter() - begun,
        }
        _write_json(self.folder / "result.json", result)
        history.plot(self.folder / "curves.png", rows)
        return result


def schedule(name: str, lr: float, epochs: int, steps_per_epoch: int) -> Schedule:
    """The schedule of that name over a whole run; `lr` is its highest rate."""
    total = epochs * steps_per_epoch
    if name == "onecycle":
        return OneCycle(lr, total)
    if name == "cosine":
        return Cosine(lr, total)
    if name == "warmup":
        return WarmUp(Cosine(lr, total), max(1, total // 20))
    if name == "step":
        return StepDecay(lr, every=max(1, total // 3), factor=0.1)
    if name == "exponential":
        return Exponential(lr, factor=0.01 ** (1 / total))  # to a hundredth by the end
    if name == "plateau":
        return Plateau(lr)
    return Constant(lr)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
