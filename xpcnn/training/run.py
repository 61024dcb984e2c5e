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
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, data, models, plot
from ..backend import current_backend
from ..data.loader import Loader
from ..errors import DataError, FormatError, MissingExtraError, OptionError, XpcnnError
from ..io.atomic import write_atomically
from ..io.model_file import load_model
from ..optim import SGD, Adadelta, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from ..optim.schedule import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp
from ..options import as_count, as_number
from .trainer import CHECKPOINT, MODEL, Trainer, evaluate

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda parameters, **options: SGD(parameters, momentum=0.9, nesterov=True, **options),
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
    "adagrad": AdaGrad,
    "adadelta": Adadelta,
}
# Each from the highest rate and the number of steps of the whole run.
SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda lr, total: Constant(lr),
    "step": lambda lr, total: StepDecay(lr, every=max(1, total // 3)),  # two cuts to a tenth
    "exponential": lambda lr, total: Exponential(lr, 0.01, every=total),  # to a hundredth by the end
    "cosine": Cosine,
    "warmup": lambda lr, total: WarmUp(Cosine(lr, total), max(1, total // 20)),
    "onecycle": OneCycle,
    "plateau": lambda lr, total: Plateau(lr),
}


# Settings that config.json of xpcnn 0.1 does not hold; their defaults are what it did.
LATER = ("accumulate", "ema")


@dataclass(frozen=True)
class RunConfig:
    """What `xpcnn train` is asked for; the defaults are its defaults."""

    dataset: str = "digits"
    model: str = "mnist_cnn"
    epochs: int = 15
    batch_size: int = 64
    lr: float = 0.003
    optimizer: str = "adamw"
    schedule: str = "onecycle"
    weight_decay: float = 0.3
    validation: float = 0.1  # share of the training images that is held out
    patience: int | None = None
    seed: int = 0
    accumulate: int = 1  # batches a step
    ema: float | None = None  # decay of the weights' moving average

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("model", models.MODELS)):
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                raise OptionError(f"train {name}", "one of " + ", ".join(known), repr(getattr(self, name)))
        as_count("train", "epochs", self.epochs)
        as_count("train", "batch_size", self.batch_size)
        as_count("train", "seed", self.seed, least=0)
        if self.patience is not None:
            as_count("train", "patience", self.patience)
        as_count("train", "accumulate", self.accumulate)
        if self.ema is not None:
            as_number("train", "ema", self.ema, "(0, 1)")
        as_number("train", "lr", self.lr, "(0, inf)")
        as_number("train", "weight_decay", self.weight_decay, "[0, inf)")
        as_number("train", "validation", self.validation, "[0, 1)")


def start(config: RunConfig, folder: Path, *, verbose: bool = True) -> dict[str, Any]:
    """Do the run that `config` describes, in a new folder; its result.

    Raises
        OptionError : the folder holds a run already
    """
    if (folder / "config.json").exists() or (folder / CHECKPOINT).exists():
        raise OptionError(
            "train", "a folder without a run", str(folder), f"xpcnn train --resume {folder}, or name another folder"
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
        names = [field.name for field in fields(RunConfig)]
        config = RunConfig(**{name: described[name] for name in names if name in described or name not in LATER})
    except FileNotFoundError:
        raise DataError("resume", f"a run in {folder}", "no config.json", "name a folder that --out made") from None
    except (XpcnnError, ValueError, KeyError, TypeError, OSError) as error:
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
        model.output_shape(train.input_shape)  # what cannot run fails here, before a folder is made
        optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        steps = math.ceil(len(self.loader) / config.accumulate)  # of an epoch
        self.trainer = Trainer(
            model,
            optimizer,
            schedule=SCHEDULES[config.schedule](config.lr, config.epochs * steps),
            accumulate=config.accumulate,
            ema=config.ema,
            patience=config.patience,
            folder=folder,
            classes=self.dataset.classes,
            verbose=verbose,
        )

    def finish(self, *, resume: bool) -> dict[str, Any]:
        begun = time.perf_counter()
        rows = self.trainer.fit(self.loader, self.validation, epochs=self.config.epochs, resume=resume)
        best = load_model(self.folder / MODEL)
        tested = evaluate(best.model, self.dataset.test, self.trainer.criterion)
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
        with suppress(MissingExtraError):
            plot.save(plot.curves(rows), self.folder / "curves.png")
        return result


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
