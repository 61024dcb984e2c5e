"""A run by names: data set, model, optimizer and schedule. `xpcnn train` uses it.

The run's folder holds

config.json             the settings, enough to repeat the run
history.csv             one line per epoch
checkpoint.safetensors  the last state, from which `resume` continues
model.safetensors       the best model, for `eval` and `predict`
result.json             the results
curves.png              if matplotlib is installed
trained_on.safetensors  digests of the training and validation images
steps.csv, tensorboard  if the settings ask for these logs
epochs                  models of several epochs, if the settings ask for them
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from .. import __version__, data, models, plot
from ..backend import current_backend
from ..data.dataset import Dataset, Split
from ..data.loader import Loader
from ..errors import DataError, MissingExtraError, OptionError, one_line, warn
from ..io.atomic import write_atomically
from ..io.model_file import load_model
from ..nn import CrossEntropyLoss, MSELoss
from ..optim import OPTIMIZERS
from .best_model import MODEL, run_batch_size
from .callback import OnEpoch, OnStep
from .checkpoint import CHECKPOINT
from .claim import Claim
from .config import CONFIG, SCHEDULES, RunConfig, read_config
from .csv_log import CSVLog
from .evaluation import evaluate
from .history import Epoch
from .kept_models import EPOCHS, KeptModels
from .run_files import ALL, CURVES, RESULT, STEPS, TENSORBOARD, refuse_run
from .tensorboard_log import TensorBoardLog
from .trainer import Trainer


def start(config: RunConfig, folder: Path, *, claim: Claim | None = None, verbose: bool = True) -> dict[str, Any]:
    """Do the run that `config` describes, in a new folder; return its result.

    Parameters
        folder : of the run; it is claimed before anything else, and removed again if the run does not start
        claim : of the folder, if the caller holds it
    Raises
        OptionError : the folder already holds a run, or one of the files that a run writes, or another run is writing
            to it
    """
    with claim or Claim(folder) as claim:
        refuse_run("train", folder, ALL, f"xpcnn train --resume {folder}")
        run = _Run(config, folder, verbose, claim)
        run.tell()
        _write_config(config, folder)
        return run.finish(resume=False)


def resume(folder: Path, dataset: str | None = None, *, verbose: bool = True) -> dict[str, Any]:
    """Continue the run in that folder, bit for bit as if it had not stopped; return its result.

    Parameters
        dataset : the new path of the run's data set, if it has moved
    Raises
        DataError : there is no run, or its data set is missing;  FormatError : its files are broken
        OptionError : the run is still running
    """
    config = read_config(folder)
    with Claim(folder) as claim:
        if dataset is not None:
            config = replace(config, dataset=dataset)
        elif config.dataset not in data.names() and not Path(config.dataset).exists():
            remedy = f"where it is now: xpcnn train PATH --resume {folder}"
            raise DataError(str(folder), f"the run's data set {config.dataset}", "nothing there", remedy)
        run, begun = _Run(config, folder, verbose, claim), (folder / CHECKPOINT).exists()
        if dataset is not None:
            _write_config(config, folder)
        if not begun:  # it ended before its first checkpoint: it starts again, and so do its logs
            (folder / STEPS).unlink(missing_ok=True)
            for name in (TENSORBOARD, EPOCHS):
                rmtree(folder / name, ignore_errors=True)
        return run.finish(resume=begun)


def dry_run(config: RunConfig, folder: Path, *, verbose: bool = True) -> list[Epoch]:
    """Do one step, one validation and one checkpoint of the run that `config` describes; keep nothing."""
    run = _Run(config, folder, verbose)
    run.tell()
    run.trainer.fast_dev_run = True
    return run.trainer.fit(run.loader, run.validation, epochs=1)


class _Run:
    def __init__(self, config: RunConfig, folder: Path, verbose: bool, claim: Claim | None = None) -> None:
        if config.patience is not None and not config.validation:
            remedy = "hold images out, such as --validation 0.1, or leave patience out"
            raise OptionError("train", "validation images, as there is patience", "validation 0", remedy)
        self.config, self.folder = config, folder
        self.dataset = data.load(config.dataset, **config.options)
        classes, train, validation = self.dataset.classes, self.dataset.train, None
        if config.validation:
            train, validation = train.split(config.validation, seed=config.seed)
        self.validation = validation
        augment = data.augment.parse(config.augment, len(classes) or None) if config.augment else None
        self.loader = Loader(
            train, config.batch_size, shuffle=True, seed=config.seed, augment=augment, drop_last=config.drop_last
        )
        outputs = len(classes) or train.labels.shape[1]
        model = models.build(config.model, train.input_shape, outputs, rng=config.seed)
        if config.normalize:
            model = models.normalized(model, *train.statistics())
        made = model.output_shape(train.input_shape)  # a model that cannot run fails here, before a folder is made
        if made != (outputs,):
            expected = f"a model with {outputs} outputs for an image"
            raise OptionError("train model", expected, f"{config.model}, whose output is {made}")
        next(self.loader.epoch(0))  # so do images that cannot be augmented
        optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        batches = min(len(self.loader), config.overfit_batches or len(self.loader))  # per epoch
        log_steps, log_epochs = self._logs()
        self.keep = KeptModels(folder, config.keep_every) if config.keep_every else None
        if self.keep is not None:
            log_epochs.append(self.keep)
        self.trainer = Trainer(
            model,
            optimizer,
            CrossEntropyLoss() if classes else MSELoss(),
            schedule=SCHEDULES[config.schedule](config.lr, config.epochs * math.ceil(batches / config.accumulate)),
            accumulate=config.accumulate,
            ema=config.ema,
            overfit_batches=config.overfit_batches,
            patience=config.patience,
            on_step=log_steps,
            on_epoch=log_epochs,
            folder=folder,
            classes=classes,
            verbose=verbose,
        )
        self.trainer.claim = claim

    def tell(self) -> None:
        """Describe the data, so that the user notices mistakes; warn of images that are in both parts."""
        if self.trainer.verbose:
            print(found(self.dataset, self.loader.split, self.validation))
        if repeated := int(np.isin(self.dataset.test.digests, self.dataset.train.digests).sum()):
            what = f"{repeated} of the {len(self.dataset.test)} images to test on are also among those to train on"
            warn(self.dataset.name, what, "what the test says will be too good: take them out of one of the two")

    def _logs(self) -> tuple[list[OnStep], list[OnEpoch]]:
        """The requested logs of steps and of epochs."""
        steps: list[OnStep] = []
        epochs: list[OnEpoch] = []
        if "csv" in self.config.logs:
            steps.append(CSVLog(self.folder / STEPS))
        if "tensorboard" in self.config.logs:
            board = TensorBoardLog(self.folder / TENSORBOARD)
            steps.append(board)
            epochs.append(board)
        return steps, epochs

    def finish(self, *, resume: bool) -> dict[str, Any]:
        begun = time.perf_counter()
        if self.keep is not None and not resume:
            self.keep.keep(self.trainer, self.loader, 0)
        rows = self.trainer.fit(self.loader, self.validation, epochs=self.config.epochs, resume=resume)
        best = load_model(self.folder / MODEL)
        tested = evaluate(best.model, self.dataset.test, self.trainer.criterion, run_batch_size(best))
        classifies = bool(self.dataset.classes)
        result = {
            "test_accuracy": tested.accuracy if classifies else None,
            "test_loss": tested.loss,
            "test_top5_accuracy": tested.top5_accuracy if len(self.dataset.classes) > 5 else None,
            "test_confusion": tested.confusion.tolist(),
            "test_images": len(self.dataset.test),
            "validation_accuracy": max((row.validation_accuracy for row in rows), default=None)
            if self.validation is not None and classifies
            else None,
            "best_epoch": self.trainer.position.best_epoch,
            "epochs": len(rows),
            "parameters": sum(math.prod(array.shape) for array in self.trainer.model.parameters().values()),
            "seconds": sum(row.seconds for row in rows),
            "seconds_since_start": time.perf_counter() - begun,
        }
        _write_json(self.folder / RESULT, result)
        with suppress(MissingExtraError):
            plot.save(plot.curves(rows), self.folder / CURVES)
        return result


def found(dataset: Dataset, train: Split, validation: Split | None) -> str:
    """Describe a run's data: the number of images, their size, the classes, and the origin of the parts."""
    counts = [f"{len(train)} images to train on", f"{len(dataset.test)} to test on"]
    if validation is not None:
        counts.insert(1, f"{len(validation)} to validate")
    size = "×".join(map(str, dataset.input_shape))
    lines = [f"{one_line(dataset.name)}: {', '.join(counts)}; {size}, {dataset.scale_in_words}"]
    if dataset.classes:
        names = ", ".join(map(one_line, dataset.classes[:8])) + (" …" if len(dataset.classes) > 8 else "")
        lines.append(f"{len(dataset.classes)} classes: {names}")
    else:
        lines.append(f"targets: {train.labels.shape[1]} an image")
    if dataset.parts:
        lines.append(f"parts: {one_line(dataset.parts)}")
    return "\n".join(lines)


def _write_config(config: RunConfig, folder: Path) -> None:
    described = asdict(config) | {"xpcnn": __version__, "backend": current_backend().name, "numpy": np.__version__}
    _write_json(folder / CONFIG, described)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
