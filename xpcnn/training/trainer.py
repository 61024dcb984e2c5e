"""The training loop, with everything that a long run needs.

The loop itself is five lines, which you can also write yourself:

    for x, y in loader:
        logits, cache = model.forward(x)
        loss, loss_cache = criterion.forward(logits, y)
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from .. import html
from ..data.loader import Loader, images_at_once
from ..data.split import Split
from ..distributed import Group
from ..errors import OptionError
from ..habits import TRAINER
from ..nn import CrossEntropyLoss, Layer
from ..nn.display import headline
from ..nn.loss import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Constant, Schedule
from ..options import as_count, as_flag, as_names, as_path
from ..typing import Array
from . import checkpoint
from .best_model import best_file, with_arrays
from .callback import OnEpoch, OnStep, as_callbacks
from .claim import Claim, claimed
from .dry_run import first_batches, put_back
from .evaluation import Evaluation, evaluate
from .finite_weights import FiniteWeights
from .fitting import Fitting
from .gradients import StepResult
from .history import History
from .moving_average import MovingAverage
from .position import Position
from .readiness import as_monitor, as_unfreeze_at, check_arguments, check_fit, check_ready, warn_of_nothing_left
from .run_files import KEPT, refuse_run
from .same_everywhere import check_same, share_run
from .schedule_end import warn_of_idle_step, warn_of_schedule
from .sharded_gradients import Sharding
from .stepping import Stepping
from .training_state import TrainingState

UNREAD_STEPS = 1000  # on a device, most steps between two readings of the totals: reading waits for the device


class Trainer(Stepping):
    """Trains a network: epochs, validation, schedule, checkpoints, early stopping.

    Parameters
        model : returns logits (N, K); for a regression (with a criterion such as MSELoss) values like the targets
        optimizer : made from model.parameters(), or from some of them: the others stay unchanged
        criterion : the loss; cross-entropy by default
        schedule : learning rate at each step of the optimizer, the optimizer's own by default; it observes the
            validation loss, or without validation the training loss
        clip_norm : gradients are scaled down to this global L2 norm
        accumulate : number of batches that form one step, like one batch of all their images; at the end of an
            epoch the remaining batches form one
        ema : decay of an exponential moving average of the weights (see `MovingAverage`), such as 0.999; then the
            average is validated, evaluated and kept as the best model; None for no average
        patience : stop after this many epochs of which none was the best; it requires validation, or a monitor
        monitor : the number of an epoch by which the best is chosen, such as "validation_f1" or "train_loss" (see
            `History`, `training.tallies`); None for the validation accuracy, then the validation loss
        min_delta : with a monitor, an epoch is better than the best so far by more than this
        unfreeze_at : the epoch, from 2, from which all parameters of a network of `nn.freeze` are trained; the
            optimizer's state of those that were frozen begins then
        on_step, on_epoch : functions f(trainer, step: Step) and g(trainer, row: Epoch), called after each step and
            epoch. One that returns `STOP` ends the training. If one raises, those after it are not called; after an
            OSError, as from a log on a full disk, it and those after it are called for that step when the training is
            resumed. With on_step each loss is read, which waits for a device
        folder : of the run: `history.csv`, `checkpoint.safetensors` (the last state),
            `model.safetensors` (the best epoch by `monitor`, the first of equal ones;
            `weights.safetensors` if there are layers that no file can name), `trained_on.safetensors` (digests of
            images). None keeps the best in memory
        classes : names of the classes, saved with the model
        checkpoint_seconds : a checkpoint is written after each epoch, on Ctrl-C, and at least this often
        fast_dev_run : try everything with one step, one batch of validation and a checkpoint, and keep nothing:
            model, optimizer and folder are unchanged afterwards
        overfit_batches : train on this many first batches of the split alone, without shuffling; 0 for all
        read_every : on a device, most steps between two readings of the totals, which are also read at the end of
            each epoch. With 1, NaN is found before the optimizer
            writes it into the parameters, as it always is on NumPy
        verbose : show progress
        group : processes that train together, from `distributed.init`; rank 0's folder, callbacks and weights count
        shards : into which each batch is cut; 0 for one each process; by default 1, with a group 8 or more
    Raises
        OptionError : an argument is invalid, or the optimizer has arrays other than the model's

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> from xpcnn.optim import SGD
    >>> model = mlp((8, 8, 1), 10, rng=0)
    >>> trainer = Trainer(model, SGD(model.parameters(), lr=0.1), verbose=False)
    >>> history = trainer.fit(Loader(digits().train, 32, shuffle=True), epochs=2)
    >>> [row.epoch for row in history], trainer.evaluate(digits().test).accuracy > 0.5
    ([1, 2], True)
    """

    _elsewhere = TRAINER

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        criterion: Loss | None = None,
        *,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
        patience: int | None = None,
        monitor: str | None = None,
        min_delta: float = 0.0,
        unfreeze_at: int | None = None,
        on_step: Iterable[OnStep] = (),
        on_epoch: Iterable[OnEpoch] = (),
        folder: str | Path | None = None,
        classes: Sequence[str] = (),
        checkpoint_seconds: float = 60.0,
        fast_dev_run: bool = False,
        overfit_batches: int = 0,
        read_every: int = UNREAD_STEPS,
        verbose: bool = True,
        group: Group | None = None,
        shards: int | None = None,
    ) -> None:
        self.sharding = Sharding.checked("Trainer", group, shards)
        if self.sharding.group.rank:
            on_step, on_epoch, folder, verbose = (), (), None, False
        self.criterion = CrossEntropyLoss() if criterion is None else criterion
        check_arguments(model, optimizer, self.criterion, schedule, patience, clip_norm, checkpoint_seconds)
        self.model, self.optimizer = model, optimizer
        self.schedule = schedule or Constant(optimizer.lr)
        self.clip_norm, self.patience = clip_norm, patience
        self.monitor, self.min_delta = as_monitor(monitor, min_delta)
        self.accumulate = as_count("Trainer", "accumulate", accumulate)
        self.average = None if ema is None else MovingAverage(model, ema)
        self.on_step, self.on_epoch = as_callbacks("on_step", on_step), as_callbacks("on_epoch", on_epoch)
        self.folder = None if folder is None else as_path("Trainer", folder)
        self.classes, self.verbose = as_names("Trainer", "classes", classes), as_flag("Trainer", "verbose", verbose)
        self.checkpoint_seconds = checkpoint_seconds
        self.fast_dev_run = as_flag("Trainer", "fast_dev_run", fast_dev_run)
        self.overfit_batches = as_count("Trainer", "overfit_batches", overfit_batches, least=0)
        self.read_every = as_count("Trainer", "read_every", read_every)
        self.unfreeze_at = as_unfreeze_at(model, unfreeze_at)
        self.history = History()
        self.position = Position()
        self.loader: Loader | None = None  # in use by `fit`
        self._validation: Split | None = None  # of the last `fit`
        self.claim: Claim | None = None  # of the folder, if the caller holds it
        self._state, self._weights = TrainingState(model), FiniteWeights(model)
        self.best_arrays: Mapping[str, Array] | None = None  # of the best epoch, if there is no folder
        self._batch_size: int | None = None  # of the last training

    def fit(self, loader: Loader, validation: Split | None = None, *, epochs: int, resume: bool = False) -> History:
        """Train until `epochs` epochs in total are done.

        Parameters
            loader : the training images
            validation : held-out images, evaluated after each epoch, in batches no larger than those of the training
            resume : continue from the folder's checkpoint, bit for bit as if the run had not stopped
        Returns
            history : one row per epoch
        Raises
            NonFiniteError : the loss or a gradient is NaN or infinite. On NumPy, parameters and optimizer are restored
                to their state before that step, the error names the layer, and the folder holds a file with which
                `replay` shows the step again. On a device, and if the step itself overflows, parameters have been
                overwritten. The last checkpoint is unchanged
            OptionError, DataError, FormatError : as in `checkpoint.resume`; also if the folder already holds a run, or
                another run is writing to it
            errors of `readiness` : before the first step;  errors of callbacks and validation : after a checkpoint
            OutOfMemoryError : the last checkpoint is unchanged
            Interrupted : Ctrl-C, SIGTERM or SIGHUP; the current step was finished and a checkpoint written
        Warns if nothing is left to train, and if the schedule ends before the training.
        """
        with self.sharding.group.together():
            return self._fit(loader, validation, epochs, resume)

    def _fit(self, loader: Loader, validation: Split | None, epochs: int, resume: bool) -> History:
        check_fit(loader, validation, epochs, self.patience, self.monitor)
        if self.overfit_batches:
            loader = first_batches(loader, self.overfit_batches)
        check_ready(loader, validation, self.model, self.kept_model, self.criterion, self.classes, self.monitor)
        if self.folder is not None:  # refuse before the first step a model that no file can hold
            best_file(self.kept_model, loader.split.input_shape, self.classes, criterion=self.criterion)
        self._validation = validation
        first = self.sharding.group.rank == 0
        check_same(self, loader, epochs, Trainer.train_step)
        with claimed(None if self.fast_dev_run else self.folder, self.claim):
            if resume and first:
                self.position, self.history = checkpoint.resume(self.folder, self.checkpointed(loader))
            elif self.folder is not None and self.position == Position() and self.claim is None:
                refuse_run("Trainer.fit", self.folder, KEPT, "pass resume=True")
            share_run(self, loader)
            if self.fast_dev_run:
                return self._dry_run(loader, validation)
            if not resume and first:  # on resuming, it is fine if all epochs are done
                warn_of_nothing_left(self.position, epochs, self.patience)
            warn_of_schedule(self.schedule, loader, self.position, epochs, self.accumulate, self.optimizer.steps)
            return self._run_epochs(loader, validation, epochs)

    def _dry_run(self, loader: Loader, validation: Split | None) -> History:
        """Run one epoch of one step, and undo it."""
        loader = first_batches(loader, self.accumulate)
        with put_back(self.checkpointed(loader), self.folder) as folder:
            trial = copy(self)
            trial.folder, trial.position, trial.history = folder, Position(), History()
            return trial._run_epochs(loader, validation and validation.take(min(len(validation), 256)), 1)

    def _run_epochs(self, loader: Loader, validation: Split | None, epochs: int) -> History:
        """The part of `fit` after all checks."""
        self.loader, self._state, self._batch_size = loader, TrainingState(self.model), loader.batch_size
        try:
            Fitting(self, self._weights, loader, validation, epochs).run()
        finally:
            self.loader = None
        return self.history

    def evaluate(self, split: Split, *, batch_size: int | None = None) -> Evaluation:
        """Loss and metrics of `kept_model` on labelled images; with None, in batches as large as those of `fit`."""
        if batch_size is None and isinstance(split, Split):
            batch_size = images_at_once(split.input_shape, self._batch_size)
        return evaluate(self.kept_model, split, self.criterion, batch_size)

    def validate(self, split: Split) -> Evaluation:
        """What `evaluate` returns, from all processes together, each with a part of the batches; all must call it."""
        if self.sharding.is_whole:
            return self.evaluate(split)
        size = images_at_once(split.input_shape, self._batch_size)
        return evaluate(self.kept_model, split, self.criterion, size, group=self.sharding.group)

    @property
    def kept_model(self) -> Layer:
        """The network that is validated and kept, in its current state: the moving average, if there is one."""
        return self.model if self.average is None else self.average.model

    @property
    def best_model(self) -> Layer:
        """A copy of `kept_model` after the best epoch by validation, the first of equal ones; without, after the last.

        Raises
            OptionError : no epoch is done;  FormatError, FileError : it cannot be read from the folder
        """
        if not self.position.best_epoch:
            raise OptionError("Trainer.best_model", "an epoch that is done", "none", "call fit before")
        return with_arrays(self.kept_model, self.folder or self.best_arrays or self.kept_model.state_dict())

    def train_step(self, x: Any, y: Array, *more: tuple[Any, Array]) -> StepResult:
        """Do one step on one batch.

        Parameters
            x : one array; of several inputs a tuple, or a mapping by name, of arrays with one row an item. Every
                process passes the whole batch
            more : further batches (x, y), for one step on the images of all
        Raises
            NonFiniteError : as in `fit`
        """
        if self.loader is None:
            warn_of_idle_step(self.schedule, self.optimizer.steps)
        batches = [(x, y), *more]
        return self.step(batches if self.sharding.is_whole else [self.sharding.of(*each) for each in batches])

    def __repr__(self) -> str:
        parts = f"{type(self.optimizer).__name__}, {type(self.criterion).__name__}"
        return f"Trainer({headline(self.model)}; {parts}; {self.position.epoch} epochs done)"

    def _repr_html_(self) -> str:
        at, batches = self.position, f", and {self.position.batch} batches" if self.position.batch else ""
        said = {
            "model": headline(self.model), "optimizer": self.optimizer, "criterion": self.criterion,
            "done": f"{at.epoch} epochs{batches}; {self.optimizer.steps} steps", "best epoch": at.best_epoch or None,
            "folder": self.folder,
        }  # fmt: skip
        return html.panel("Trainer", html.facts(said), *self.history.shown())

    def checkpointed(self, loader: Loader) -> checkpoint.Checkpointed:
        """The parts of the run whose state a checkpoint holds."""

        def unfrozen() -> checkpoint.Checkpointed:
            self.unfreeze()
            return self.checkpointed(loader)

        parts = (self.model, self.optimizer, self.criterion, self.schedule, loader)
        more = (self.average, self.accumulate, self._validation, self.unfreeze_at, unfrozen)
        return checkpoint.Checkpointed(*parts, *more, self.sharding.shards, self.monitor, self.min_delta)
