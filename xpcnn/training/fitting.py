"""One call of `Trainer.fit`: epochs of steps, each with its validation, its row in the history and its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from ..backend import array_namespace, is_numpy
from ..data.loader import Loader
from ..data.split import Split
from ..errors import DataError, FileError, FormatError, Interrupted, NonFiniteError, OptionError, RankError
from ..io.atomic import sweep
from ..nn import Layer
from ..progress import Progress, progress
from ..typing import Array
from . import checkpoint, trained_on
from .best_model import keep_best
from .checkpoint import CHECKPOINT
from .epoch_totals import EpochTotals
from .finite_weights import FiniteWeights
from .gradients import StepResult
from .history import HISTORY, Epoch, write_csv
from .interrupt import Interrupt
from .out_of_memory import enough_memory
from .position import Position
from .same_everywhere import Shared, check_alike, share_state
from .telling import tell, tell_rest


class Fitting:
    """The epochs that are still to be trained.

    Parameters
        trainer : the `Trainer`, whose position and history are those of the run; nothing else is changed in it
        weights : of the trainer's networks
        loader, validation, epochs : those of `fit`
    """

    def __init__(
        self, trainer: Any, weights: FiniteWeights, loader: Loader, validation: Split | None, epochs: int
    ) -> None:
        self.trainer, self.weights = trainer, weights
        self.loader, self.validation, self.epochs = loader, validation, epochs
        self.shared = Shared()

    def run(self) -> None:
        """Train until they are done, validation no longer improves, or a callback asks to stop; see `Trainer.fit`."""
        trainer = self.trainer
        if trainer.folder is not None:
            trainer.folder.mkdir(parents=True, exist_ok=True)
            sweep(trainer.folder)
            trained_on.keep(trainer.folder, self.loader.split, self.validation, add=trainer.position != Position())
            if trainer.history:  # the last row may be in the checkpoint alone, as after a full disk
                write_csv(trainer.folder / HISTORY, trainer.history)
        self.weights.begin(trainer.model)
        self.shared = Shared.by(trainer)
        with enough_memory(self.loader, trainer.folder), Interrupt() as interrupt, progress(trainer.verbose) as shown:
            callbacks = trainer.on_step, trainer.on_epoch
            going, _ = self._agree(tell_rest(*callbacks, trainer, trainer.history, trainer.position, self.save), 0)
            while going and trainer.position.epoch < self.epochs and not trainer.position.is_stale(trainer.patience):
                going = self._run_epoch(interrupt, shown)

    def save(self, *, checked: bool = False) -> None:
        """Write a checkpoint, if there is a folder.

        Parameters
            checked : whether the weights are known to be finite
        """
        trainer = self.trainer
        if trainer.folder is not None:
            if not checked:
                self._check_weights()
            run = trainer.checkpointed(self.loader)
            checkpoint.save(trainer.folder / CHECKPOINT, run, trainer.position, trainer.history)

    def _run_epoch(self, interrupt: Interrupt, shown: Progress) -> bool:
        """Run one epoch, or the rest of one; return whether to continue after it."""
        trainer, at = self.trainer, self.trainer.position
        if trainer.unfreeze_at is not None and at.epoch + 1 >= trainer.unfreeze_at:
            trainer.unfreeze()
        begun = time.perf_counter() - at.seconds
        totals = EpochTotals(at, trainer.criterion, 1 if trainer.on_step else trainer.read_every)
        later = (self.epochs - at.epoch - 1) * len(self.loader)
        shown.start(f"epoch {at.epoch + 1}/{self.epochs}", len(self.loader), at.batch, later)
        try:
            if not self._run_steps(totals, begun, interrupt, shown):
                return False
        except RankError:  # the step that another process did not do is undone
            totals.read()
            with suppress(FileError):
                self.save()
            raise
        total = totals.read(self._sum_of_weights())
        try:
            if not math.isfinite(total):  # else all weights are finite
                self._check_weights()
            check_alike(trainer, self.loader)
            row = self._finish_epoch(totals, begun)
        except BaseException as error:
            if not isinstance(error, NonFiniteError):
                with suppress(FileError):  # such as a full disk, which has already raised an error
                    self.save()
            raise
        shown.line(str(row))
        going = tell(trainer.on_epoch, trainer, row, trainer.position, self.save)
        going, signal = self._agree(going, interrupt.requested, shares=self.shared.after_epoch)
        self.save(checked=not trainer.on_epoch)  # a callback may have changed the weights
        if signal:
            raise Interrupted(f"interrupted after epoch {row.epoch}", signal)
        return going

    def _run_steps(self, totals: EpochTotals, begun: float, interrupt: Interrupt, shown: Progress) -> bool:
        """Run the steps of an epoch, or the rest of them; return whether to continue after them."""
        trainer, optimizer, loader = self.trainer, self.trainer.optimizer, self.loader
        at: Position = trainer.position
        saved, sharding, going = time.perf_counter(), trainer.sharding, True
        whole = sharding.is_whole
        batches: Any = loader.epoch(at.epoch, at.batch) if whole else sharding.batches(loader, at.epoch, at.batch)
        while going and (some := self._read(batches, totals)):
            done = trainer.train_step(*some[0], *some[1:]) if whole else trainer.step(some)
            if not isinstance(done, StepResult):  # of a user's own train_step
                raise OptionError("Trainer.fit", "train_step to return a StepResult", type(done).__name__)
            images = sum(batch[1].shape[0] if whole else batch.items for batch in some)
            at.batch += len(some)
            totals.add(done, images)
            shown.advance(len(some), totals.said)
            at.seconds = time.perf_counter() - begun
            if trainer.on_step:
                step = totals.step(done, images, optimizer.steps, optimizer.lr)
                going = tell(trainer.on_step, trainer, step, at, self.save)
            going, signal = self._agree(going, interrupt.requested, shares=self.shared.after_step)
            if signal or not going or time.perf_counter() - saved > trainer.checkpoint_seconds:
                totals.read()
                self.save()
                saved = time.perf_counter()
            if signal:
                where = f"epoch {at.epoch + 1}, after batch {at.batch} of {len(loader)}"
                raise Interrupted(f"interrupted in {where}", signal)
        return going

    def _agree(self, going: bool, signal: int, *, shares: bool = False) -> tuple[bool, int]:
        """What all processes do next: stop if one of them stops, end if one of them has had a signal.

        Parameters
            shares : give all processes what a callback of rank 0 may have changed
        """
        group = self.trainer.sharding.group
        if shares:
            share_state(self.trainer, self.loader)
        if group.size > 1:
            told = group.most(2 * signal + (not going))
            going, signal = not told % 2, told // 2
        return going, signal

    def _read(self, batches: Iterator[Any], totals: EpochTotals) -> list[Any]:
        """The next step's batches; if their source fails, a checkpoint holds all that is done."""
        try:
            return list(islice(batches, self.trainer.accumulate))
        except (DataError, FileError, FormatError) as error:
            totals.read()
            with suppress(FileError):  # the same disk may be full or gone
                self.save()
            raise FileError(error.who, error.expected, error.got, error.remedy) from error

    def _finish_epoch(self, totals: EpochTotals, begun: float) -> Epoch:
        """Validate, keep the model if it is the best, and record the epoch's results.

        Until the best model is kept, nothing is changed, so that a run that fails there can finish the epoch again.
        """
        trainer, criterion = self.trainer, self.trainer.criterion
        checked = trainer.validate(self.validation) if self.validation else None
        row = totals.row(checked, trainer.optimizer.lr, time.perf_counter() - begun)
        score = row.score(criterion.classifies, trainer.monitor)
        if trainer.position.is_best(score, trainer.min_delta):
            options = {"criterion": criterion, "validated": score is not None}
            kept = keep_best(trainer.folder, trainer.kept_model, self.loader, trainer.classes, **options)
            trainer.best_arrays = kept
        trainer.schedule.observe(checked.loss if checked else row.train_loss)
        trainer.history.append(row)
        trainer.position = trainer.position.next_epoch(score, trainer.min_delta)
        if trainer.folder is not None:
            write_csv(trainer.folder / HISTORY, trainer.history)
        return row

    def _networks(self) -> list[Layer]:
        average = self.trainer.average
        return [self.trainer.model, *([] if average is None else [average.model])]

    def _sum_of_weights(self) -> Array | None:
        """On a device, the sum of all weights, which is NaN or infinite if one is; None on NumPy."""
        arrays: list[Any] = [array for part in self._networks() for array in part.state_dict().values()]
        if not arrays or is_numpy(arrays[0]):
            return None
        total: Array = sum(array_namespace(array).sum(array) for array in arrays)
        return total

    def _check_weights(self) -> None:
        trainer = self.trainer
        for part in self._networks():
            self.weights.check("Trainer", part.state_dict(), f"after step {trainer.optimizer.steps}")
