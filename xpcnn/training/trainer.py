"""The training loop, with what a long run needs. The loop itself is five lines, and anyone may write them out:

    for x, y in loader:
        logits, cache = model.forward(x)
        loss, loss_cache = criterion.forward(logits, y)
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import is_numpy
from ..data.dataset import Split
from ..data.loader import Loader
from ..errors import OptionError
from ..io.atomic import sweep
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..optim.clip import clip_by_norm
from ..optim.optimizer import Optimizer, check_optimizer
from ..optim.schedule import Constant, Schedule
from ..options import as_count, as_number
from ..typing import Array
from . import checkpoint, history, trained_on
from .best_model import save_best
from .callback import STOP, OnEpoch, OnStep, Step, as_callbacks
from .checkpoint import CHECKPOINT, Position
from .evaluation import Evaluation, evaluate
from .history import Epoch
from .interrupt import Interrupt
from .losses import Losses
from .moving_average import MovingAverage
from .out_of_memory import enough_memory
from .progress import Progress, progress
from .rehearsal import first_batches, rehearse
from .step_gradients import step_gradients
from .traces import Traces

UNREAD_STEPS = 50  # steps of a device whose losses wait to be read: reading one waits for the device


class Trainer:
    """Trains a network: epochs, validation, schedule, checkpoints, early stopping.

    Parameters
        model : gives logits (N, K); for a regression (with a criterion such as MSELoss) what the targets are
        optimizer : made from model.parameters(), or from some of them: the others stay as they are
        criterion : the loss; cross-entropy by default
        schedule : learning rate at each step of the optimizer, the optimizer's own by default; it observes the
            validation loss, or without validation the training loss
        clip_norm : gradients are scaled down to this global L2 norm
        accumulate : batches that make one step together, as one batch of all their images would; at the end of an
            epoch those that are left make one
        ema : decay of an exponential moving average of the weights (see `MovingAverage`), such as 0.999; the average
            is what is validated, evaluated and kept as the best model; None makes none
        patience : stop after so many epochs in which validation has not improved
        on_step, on_epoch : functions f(trainer, step: Step) and g(trainer, row: Epoch), called after each step and
            epoch; one that returns `STOP` ends the training there, and one that raises keeps those after it from
            being called. With on_step each loss is read, for which a device is waited for
        folder : where the run is kept: `history.csv`, `checkpoint.safetensors` (the last state),
            `model.safetensors` (the best epoch by validation accuracy, then loss; without validation the
            last; or, where the model has layers that are not xpcnn's, `weights.safetensors`, for
            `read_tensors` and `load_state_dict`), `trained_on.safetensors` (digests of its images). None keeps nothing
        classes : names of the classes, kept with the model
        checkpoint_seconds : a checkpoint is written after each epoch, on Ctrl-C, and at least this often
        fast_dev_run : try everything out with one step, one batch of validation and a checkpoint, and keep nothing:
            model, optimizer and folder are then as they were
        overfit_batches : train on the first so many batches of the split alone, without shuffling; 0 for all
        read_every : steps of a device between two readings of the losses. With 1, NaN is found before the optimizer
            writes it into the parameters, as it always is on NumPy
        verbose : show progress
    Raises
        OptionError : an argument makes no sense, or the optimizer is of other arrays than the model's
    """

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
        on_step: Iterable[OnStep] = (),
        on_epoch: Iterable[OnEpoch] = (),
        folder: str | Path | None = None,
        classes: Sequence[str] = (),
        checkpoint_seconds: float = 60.0,
        fast_dev_run: bool = False,
        overfit_batches: int = 0,
        read_every: int = UNREAD_STEPS,
        verbose: bool = True,
    ) -> None:
        check_layer("Trainer", model)
        check_optimizer("Trainer", optimizer, model.parameters())
        if not isinstance(schedule, Schedule | None):
            raise OptionError("Trainer", "a schedule, such as Cosine(0.1, 1000)", repr(schedule)[:80])
        if patience is not None:
            as_count("Trainer", "patience", patience)
        if clip_norm is not None:
            as_number("Trainer", "clip_norm", clip_norm, "(0, inf)")
        as_number("Trainer", "checkpoint_seconds", checkpoint_seconds, "[0, inf)")
        self.model, self.optimizer = model, optimizer
        self.criterion = criterion or CrossEntropyLoss()
        check_loss("Trainer", self.criterion)
        self.schedule = schedule or Constant(optimizer.lr)
        self.clip_norm, self.patience = clip_norm, patience
        self.accumulate = as_count("Trainer", "accumulate", accumulate)
        self.average = None if ema is None else MovingAverage(model, ema)
        self.on_step, self.on_epoch = as_callbacks("on_step", on_step), as_callbacks("on_epoch", on_epoch)
        self.folder = None if folder is None else Path(folder)
        self.classes, self.verbose = tuple(classes), verbose
        self.checkpoint_seconds, self.fast_dev_run = checkpoint_seconds, fast_dev_run
        self.overfit_batches = as_count("Trainer", "overfit_batches", overfit_batches, least=0)
        self.read_every = as_count("Trainer", "read_every", read_every)
        self.history: list[Epoch] = []
        self.position = Position()
        self.loader: Loader | None = None  # that `fit` is going through
        self._validation: Split | None = None  # of the last `fit`
        self._traces = Traces(model)

    def fit(self, loader: Loader, validation: Split | None = None, *, epochs: int, resume: bool = False) -> list[Epoch]:
        """Train until `epochs` epochs are done in all.

        Parameters
            loader : the training images
            validation : held-out images, looked at after each epoch
            resume : go on from the folder's checkpoint, bit for bit as if the run had not stopped
        Returns
            history : one row an epoch
        Raises
            NonFiniteError : the loss or a gradient is NaN or infinite. On NumPy, parameters and optimizer are then as
                they were before that step, the error names the layer, and the folder holds what `replay` takes to
                show it again. On a device, parameters may have been overwritten. The last checkpoint stays as it is
            OptionError, DataError, FormatError : as `checkpoint.resume`; also where the folder holds a run already
            KeyboardInterrupt : Ctrl-C or SIGTERM; the step at hand was finished and a checkpoint written
            what a callback raises : after a checkpoint was written;  OutOfMemoryError : the last one stays as it is
        """
        as_count("Trainer.fit", "epochs", epochs)
        for given, kind in ((loader, Loader), (validation, Split)):
            if given is not None and not isinstance(given, kind):
                raise OptionError("Trainer.fit", f"a {kind.__name__}", type(given).__name__, "see xpcnn.data")
        if self.overfit_batches:
            loader = first_batches(loader, self.overfit_batches)
        self._validation = validation
        if resume:
            self.position, self.history = checkpoint.resume(self.folder, self.checkpointed(loader))
        elif self.folder is not None and self.position == Position() and (self.folder / CHECKPOINT).exists():
            remedy = "pass resume=True, or name another folder"
            raise OptionError("Trainer.fit", "a folder without a run", str(self.folder), remedy)
        if self.fast_dev_run:
            return rehearse(self, first_batches(loader, self.accumulate), validation)
        return self.run_epochs(loader, validation, epochs)

    def run_epochs(self, loader: Loader, validation: Split | None, epochs: int) -> list[Epoch]:
        """`fit`, once all is known to be in order."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
            trained_on.keep(self.folder, loader.split, validation, add=self.position != Position())
        self.loader, self._traces, going = loader, Traces(self.model), True
        try:
            with enough_memory(loader, self.folder), Interrupt() as interrupt, progress(self.verbose) as shown:
                while going and self.position.epoch < epochs and not self._stale():
                    going = self._run_epoch(loader, validation, epochs, interrupt, shown)
        finally:
            self.loader = None
        return self.history

    def evaluate(self, split: Split, *, batch_size: int = 256) -> Evaluation:
        """Loss and metrics on labelled images: those of the moving average, where there is one."""
        return evaluate(self.kept_model, split, self.criterion, batch_size=batch_size)

    @property
    def kept_model(self) -> Layer:
        """The network that is validated and kept: the moving average, where there is one."""
        return self.model if self.average is None else self.average.model

    @np.errstate(over="ignore", invalid="ignore")  # what becomes of them is looked at
    def train_step(self, x: Array, y: Array, *more: tuple[Array, Array]) -> tuple[Array, Array]:
        """One step of the optimizer on one batch; the loss, and how many items were classified rightly.

        The second is 0 where the criterion does not classify, such as MSELoss.

        Parameters
            more : further batches (x, y), for one step on the images of all
        Raises
            NonFiniteError : as `fit`
        """
        total = step_gradients(self, self._traces, [(x, y), *more])
        grads = self.optimizer.own(total.grads)
        if self.clip_norm is not None:
            grads, _ = clip_by_norm(grads, self.clip_norm)
        self.optimizer.lr = self.schedule.lr_at(self.optimizer.steps)
        self.optimizer.step(grads)
        if self.average is not None:
            self.average.update(self.model, self.optimizer.steps)
        return total.loss, total.correct

    def checkpointed(self, loader: Loader) -> checkpoint.Checkpointed:
        """What a checkpoint holds the state of."""
        parts = (self.model, self.optimizer, self.criterion, self.schedule, loader)
        return checkpoint.Checkpointed(*parts, self.average, self.accumulate, self._validation)

    def _run_epoch(
        self, loader: Loader, validation: Split | None, epochs: int, interrupt: Interrupt, shown: Progress
    ) -> bool:
        """One epoch, or the rest of one; whether to go on after it."""
        at = self.position
        saved = time.perf_counter()
        begun = saved - at.seconds
        losses, going = Losses(at, self.criterion), True
        shown.start(at.epoch + 1, epochs, len(loader), at.batch)
        batches = loader.epoch(at.epoch, start=at.batch)
        while going and (group := list(islice(batches, self.accumulate))):
            loss, correct = self.train_step(*group[0], *group[1:])
            at.batch += len(group)
            images = sum(x.shape[0] for x, _ in group)
            losses.add(loss, correct, images)
            for _ in group:
                shown.advance()
            if is_numpy(loss) or self.on_step or len(losses.unread) >= self.read_every:
                losses.read()
            at.seconds = time.perf_counter() - begun
            if self.on_step:
                step = losses.step(loss, correct, images, self.optimizer.steps, self.optimizer.lr)
                going = self._call(self.on_step, step, loader)
            interrupted = interrupt.requested
            if interrupted or not going or time.perf_counter() - saved > self.checkpoint_seconds:
                losses.read()
                self._save(loader)
                saved = time.perf_counter()
            if interrupted:
                raise KeyboardInterrupt(f"interrupted in epoch {at.epoch + 1}, after batch {at.batch} of {len(loader)}")
        if not going:
            return False
        losses.read()
        row = self._finish_epoch(loader, validation, begun)
        shown.line(str(row))
        going = self._call(self.on_epoch, row, loader)
        self._save(loader)
        if interrupt.requested:
            raise KeyboardInterrupt(f"interrupted after epoch {row.epoch}")
        return going

    def _finish_epoch(self, loader: Loader, validation: Split | None, begun: float) -> Epoch:
        """Validate, and write down what the epoch came to."""
        at = self.position
        checked = evaluate(self.kept_model, validation, self.criterion) if validation is not None else None
        row = Epoch(
            epoch=at.epoch + 1,
            lr=self.optimizer.lr,
            train_loss=at.loss_sum / at.images,
            train_accuracy=at.correct / at.images if self.criterion.classifies else math.nan,
            validation_loss=checked.loss if checked else math.nan,
            validation_accuracy=checked.accuracy if checked else math.nan,
            seconds=time.perf_counter() - begun,
        )
        self.history.append(row)
        self.schedule.observe(checked.loss if checked else row.train_loss)
        score = [*([checked.accuracy] if self.criterion.classifies else []), -checked.loss] if checked else None
        better = score is None or at.best_score is None or score > at.best_score
        best_epoch = row.epoch if better else at.best_epoch
        self.position = Position(row.epoch, best_score=score if better else at.best_score, best_epoch=best_epoch)
        if self.folder is not None:
            if better:
                shape, classifies = loader.split.input_shape, self.criterion.classifies
                save_best(self.folder, self.kept_model, shape, self.classes, classifies=classifies)
            history.write_csv(self.folder / history.HISTORY, self.history)
        return row

    def _call(self, callbacks: Iterable[Callable[..., Any]], happened: Step | Epoch, loader: Loader) -> bool:
        """Call them all; whether to go on."""
        try:
            said = [callback(self, happened) for callback in callbacks]
        except BaseException:
            self._save(loader)
            raise
        return not any(each is STOP for each in said)

    def _stale(self) -> bool:
        return self.patience is not None and self.position.epoch - self.position.best_epoch >= self.patience

    def _save(self, loader: Loader) -> None:
        if self.folder is not None:
            checkpoint.save(self.folder / CHECKPOINT, self.checkpointed(loader), self.position, self.history)
