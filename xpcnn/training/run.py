"""A run by names: data set, model, optimizer and schedule. `xpcnn train` uses it.

The run's folder holds

config.json             the settings, enough to repeat the run
history.csv             one line per epoch
checkpoint.safetensors  the last state, from which `resume` continues
model.safetensors       the best model, for `eval` and `predict`
result.json             the results
curves.png              if matplotlib is installed
start.safetensors       of a fine-tuning, the network with which it began: the file that it came from may go
trained_on.safetensors  digests of the training and validation images
steps.csv, tensorboard  if the settings ask for these logs
epochs                  models of several epochs, if the settings ask for them
"""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from .. import __version__, data, models, plot
from ..backend import current_backend
from ..data.loader import Loader
from ..data.registry import KNOWN
from ..distributed import Group
from ..errors import DataError, MissingExtraError, OptionError, warn
from ..io.atomic import write_atomically
from ..io.model_file import load_model
from ..nn import all_parameters
from ..optim import OPTIMIZERS
from ..options import expanded
from ..typing import Shape
from .best_model import MODEL, run_batch_size
from .checkpoint import CHECKPOINT
from .claim import Claim
from .class_weights import balanced
from .config import CONFIG, SCHEDULES, RunConfig, read_config
from .criteria import criterion_of
from .evaluation import evaluate
from .features import keep_features
from .found import found
from .history import History
from .kept_models import EPOCHS, keep_untrained
from .more_epochs import in_words, refuse_fewer
from .parameter_groups import ParameterGroups
from .run_files import ALL, CURVES, RESULT, STEPS, TENSORBOARD, refuse_run
from .run_logs import run_logs
from .source import Begun, kept, open_source
from .trainer import Trainer


def start(
    config: RunConfig, folder: Path, *, claim: Claim | None = None, verbose: bool = True, group: Group | None = None
) -> dict[str, Any]:
    """Do the run that `config` describes, in a new folder; return its result.

    Parameters
        folder : of the run; it is claimed before anything else, and removed again if the run does not start
        claim, group : of the folder, if the caller holds it; processes that all call this, of which rank 0 has it
    Raises
        OptionError : the folder holds a run, or one of the files that a run writes, or another run is writing to it
    """
    if group is not None and group.rank:
        return _Run(config, folder, False, group=group).finish(resume=False)
    with claim or Claim(folder) as claim:
        refuse_run("train", folder, ALL, f"xpcnn train --resume {folder}")
        run = _Run(config, folder, verbose, claim, group=group)
        run.tell()
        if run.begun is not None:
            run.begun.keep(folder, run.dataset.input_shape)
        _write_config(run.config, folder)
        return run.finish(resume=False)


def resume(
    folder: Path,
    dataset: str | None = None,
    *,
    epochs: int | None = None,
    verbose: bool = True,
    group: Group | None = None,
) -> dict[str, Any]:
    """Continue the run in that folder, bit for bit as if it had not stopped; return its result.

    Parameters
        dataset : the new path of the run's data set, if it has moved
        epochs : their number in all, if it is to be another than at the start; the schedule is then that of all these
            epochs, from here on
        group : as of `start`
    Raises
        DataError : there is no run, or its data set is missing;  FormatError : its files are broken
        OptionError : the run is still running, or has more epochs already
    """
    group = group or Group()
    config = group.first(lambda: read_config(folder))
    with nullcontext() if group.rank else Claim(folder) as claim:
        if dataset is not None:
            config = replace(config, dataset=dataset)
        elif config.dataset not in data.names() and not Path(config.dataset).exists():
            remedy = f"where it is now: xpcnn train PATH --resume {folder}"
            raise DataError(str(folder), f"the run's data set {config.dataset}", "nothing there", remedy)
        if epochs is not None:
            group.first(lambda: refuse_fewer(folder, epochs))
            told = in_words(config.schedule, config.epochs, epochs)
            config = replace(config, epochs=epochs)
            if told and verbose and not group.rank:
                print(told)
        start = group.first(lambda: kept(folder).seeded(config.seed)) if config.source else None
        begun = group.first((folder / CHECKPOINT).exists)
        run = _Run(config, folder, verbose and not group.rank, claim, start, group)
        if group.rank:
            return run.finish(resume=begun)
        if dataset is not None or epochs is not None:
            _write_config(config, folder)
        if not begun:  # it ended before its first checkpoint: it starts again, and so do its logs
            (folder / STEPS).unlink(missing_ok=True)
            for name in (TENSORBOARD, EPOCHS):
                rmtree(folder / name, ignore_errors=True)
        return run.finish(resume=begun)


def dry_run(config: RunConfig, folder: Path, *, verbose: bool = True, group: Group | None = None) -> History:
    """Do one step, one validation and one checkpoint of the run that `config` describes; keep nothing."""
    run = _Run(config, folder, verbose, group=group)
    run.tell()
    run.trainer.fast_dev_run = True
    return run.trainer.fit(run.loader, run.validation, epochs=1)


class _Run:
    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        verbose: bool,
        claim: Claim | None = None,
        begun: Begun | None = None,  # if the run is resumed
        group: Group | None = None,
    ) -> None:
        self.group = group or Group()
        self.group.check_same("train", asdict(config) | {"dataset": Path(config.dataset).name})
        if config.patience is not None and not config.validation and not config.monitor:
            remedy = "hold images out, such as --validation 0.1, or leave patience out"
            raise OptionError("train", "validation images, as there is patience", "validation 0", remedy)
        self.folder = folder
        source = open_source(config, _input_shape(config)) if config.source and begun is None else None
        if source is not None and config.dataset not in data.names() and expanded("train", config.dataset).is_dir():
            *size, channels = source.input_shape
            config = replace(config, options={"size": size, "channels": channels} | config.options)
        self.config = config
        self.dataset = data.load(config.dataset, **config.options)
        classes, train, validation = self.dataset.classes, self.dataset.train, None
        if config.validation:
            train, validation = train.split(config.validation, seed=config.seed)
        self.validation = validation
        augment = None
        if config.augment:
            augment = data.augment.parse(config.augment, len(classes) or None, ignore_index=train.ignore_index)
        self.loader = Loader(
            train, config.batch_size, shuffle=True, seed=config.seed, augment=augment, drop_last=config.drop_last
        )
        outputs = len(classes) or train.labels.shape[1]
        self.begun = begun if source is None else source.begin(config, train.input_shape, outputs, classes)
        if self.begun is None:
            model, self.frozen = models.build(config.model, train.input_shape, outputs, rng=config.seed), ""
        else:
            model, self.frozen = self.begun.frozen(config.freeze)
        groups = ParameterGroups(config, model)
        if config.normalize:
            model = models.normalized(model, *train.statistics())
        elif self.begun is not None and self.begun.normalization is not None:
            model = models.normalized(model, *self.begun.normalization)
        if source is not None:
            source.check_images(model, train)
        made = model.output_shape(train.input_shape)  # a model that cannot run fails here, before a folder is made
        wanted = (*train.input_shape[:-1], outputs) if self.dataset.task == "pixels" else (outputs,)
        if made != wanted:
            expected = f"a model with {outputs} outputs for {'a pixel' if len(wanted) > 1 else 'an image'}, {wanted}"
            got = f"{config.model or config.source}, whose output is {made}"
            raise OptionError("train model", expected, got)
        if config.cache_features:
            splits = (self.loader.split,) if validation is None else (self.loader.split, validation)
            model = keep_features(model, *splits, batch_size=config.batch_size)
        next(self.loader.epoch(0))  # so do images that cannot be augmented
        optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        groups.scale(optimizer, model)
        batches = min(len(self.loader), config.overfit_batches or len(self.loader))  # per epoch
        log_steps, log_epochs = run_logs(config, folder)
        self.trainer = Trainer(
            model,
            optimizer,
            balanced(criterion_of(self.dataset.task, train.ignore_index), train, outputs, config.class_weight),
            schedule=SCHEDULES[config.schedule](config.lr, config.epochs * math.ceil(batches / config.accumulate)),
            accumulate=config.accumulate,
            ema=config.ema,
            overfit_batches=config.overfit_batches,
            patience=config.patience,
            monitor=config.monitor or None,
            min_delta=config.min_delta,
            unfreeze_at=config.unfreeze_at,
            on_step=log_steps,
            on_epoch=log_epochs,
            folder=folder,
            classes=classes,
            verbose=verbose,
            group=self.group,
            shards=config.shards,
        )
        self.trainer.claim = claim

    def tell(self) -> None:
        """Describe the data, so that the user notices mistakes; warn of images that are in both parts."""
        if self.trainer.verbose:
            print(found(self.dataset, self.loader.split, self.validation))
            for line in (*(self.begun.told if self.begun is not None else ()), self.frozen, self._classes_left_out()):
                print(line, end="\n" if line else "")
            if self.group.size > 1:
                print(self.group.in_words(), f"; {self.trainer.sharding.count} shards a batch", sep="")
        if repeated := int(np.isin(self.dataset.test.digests, self.dataset.train.digests).sum()):
            what = f"{repeated} of the {len(self.dataset.test)} images to test on are also among those to train on"
            warn(self.dataset.name, what, "what the test says will be too good: take them out of one of the two")

    def _classes_left_out(self) -> str:
        """What to say if the images to validate on, which are chosen without their labels, leave out some classes."""
        if self.validation is None or self.dataset.task != "classes":
            return ""
        held, every = (len(np.unique(part.labels)) for part in (self.validation, self.dataset.train))
        what = f"validation holds {len(self.validation)} images of {held} of {every} classes: the best may be chance"
        remedy = "choose a larger --validation, such as 0.3, or another --seed"
        return f"{what}; {remedy}" if held < every else ""

    def finish(self, *, resume: bool) -> dict[str, Any]:
        begun = time.perf_counter()
        if not resume:
            keep_untrained(self.trainer, self.loader)
        rows = self.trainer.fit(self.loader, self.validation, epochs=self.config.epochs, resume=resume)
        best, criterion = self.group.first(lambda: load_model(self.folder / MODEL)), self.trainer.criterion
        shared = None if self.trainer.sharding.is_whole else self.group
        tested = evaluate(best.model, self.dataset.test, criterion, run_batch_size(best), group=shared)
        classifies = self.trainer.criterion.classifies
        result = {
            "test_accuracy": tested.accuracy if classifies else None,
            "test_loss": tested.loss,
            "test_top5_accuracy": tested.top5_accuracy if len(self.dataset.classes) > 5 else None,
            "test_metrics": {name: value for name, value in tested.metrics.items() if math.isfinite(value)},
            "test_confusion": tested.confusion.tolist(),
            "test_images": len(self.dataset.test),
            "validation_accuracy": max((row.validation_accuracy for row in rows), default=None)
            if self.validation is not None and classifies
            else None,
            "best_epoch": self.trainer.position.best_epoch,
            "epochs": len(rows),
            "parameters": sum(math.prod(array.shape) for array in all_parameters(self.trainer.model).values()),
            "seconds": sum(row.seconds for row in rows),
            "seconds_since_start": time.perf_counter() - begun,
        }
        if self.group.rank:
            return result
        _write_json(self.folder / RESULT, result)
        with suppress(MissingExtraError):
            plot.save(plot.curves(rows), self.folder / CURVES)
        return result


def _input_shape(config: RunConfig) -> Shape | None:
    """The shape of the data set's images, as far as it is known before it is read."""
    if config.dataset in KNOWN:
        return KNOWN[config.dataset].input_shape
    size = config.options.get("size")
    if size is None:
        return None
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return height, width, config.options.get("channels", 3)


def _write_config(config: RunConfig, folder: Path) -> None:
    described = asdict(config) | {"xpcnn": __version__, "backend": current_backend().name, "numpy": np.__version__}
    _write_json(folder / CONFIG, described)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
