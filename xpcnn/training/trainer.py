"""The training loop, with everything around it that a long run needs.

The loop itself is five lines, and anyone may write them out:

    for x, y in loader:
        logits, cache = model.forward(x)
        loss, loss_cache = criterion.forward(logits, y)
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import array_namespace, is_numpy, to_numpy
from ..data.dataset import Split
from ..data.loader import Loader
from ..errors import DataError, NonFiniteError, OptionError
from ..io.architecture import registry
from ..io.atomic import sweep
from ..io.model_file import save_model
from ..io.tensors import write_tensors
from ..nn import CrossEntropyLoss, Layer
from ..nn.loss import Loss
from ..optim.clip import clip_by_norm
from ..optim.optimizer import Optimizer
from ..optim.schedule import Constant, Schedule
from ..options import as_count, as_number
from ..typing import Array, Shape
from . import checkpoint, history
from .checkpoint import Position
from .history import Epoch
from .interrupt import Interrupt
from .metrics import confusion_matrix, top_k_accuracy
from .progress import Progress, progress

CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
WEIGHTS = "weights.safetensors"
UNREAD_STEPS = 50  # steps of a device whose losses wait to be read: reading one waits for the device


@dataclass(frozen=True)
class Evaluation:
    """How a model does on labelled images; in a regression, by the loss alone: the rest is NaN and empty."""

    loss: float
    accuracy: float
    top5_accuracy: float  # of 5 or, with fewer, all classes
    confusion: np.ndarray[Any, np.dtype[np.int64]]  # (K, K): row = true class, column = predicted


class Trainer:
    """Trains a network: epochs, validation, schedule, checkpoints, early stopping.

    Parameters
        model : gives logits (N, K); for a regression (with a criterion such as MSELoss) what the targets are
        optimizer : made from model.parameters()
        criterion : the loss; cross-entropy by default
        schedule : learning rate at each step (batch), the optimizer's own by default; it observes the validation
            loss, or without validation the training loss
        clip_norm : gradients are scaled down to this global L2 norm
        patience : stop after so many epochs in which validation has not improved
        folder : where the run is kept: `history.csv`, `checkpoint.safetensors` (the last state),
            `model.safetensors` (the best epoch by validation accuracy, then loss; without validation the
            last; or, where the model has layers that are not xpcnn's, `weights.safetensors`, for
            `read_tensors` and `load_state_dict`). None keeps nothing
        classes : names of the classes, kept with the model
        checkpoint_seconds : a checkpoint is written after each epoch, on Ctrl-C, and at least this often
        verbose : show progress
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        criterion: Loss | None = None,
        *,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        patience: int | None = None,
        folder: str | Path | None = None,
        classes: Sequence[str] = (),
        checkpoint_seconds: float = 60.0,
        verbose: bool = True,
    ) -> None:
        if patience is not None:
            as_count("Trainer", "patience", patience)
        if clip_norm is not None:
            as_number("Trainer", "clip_norm", clip_norm, "(0, inf)")
        as_number("Trainer", "checkpoint_seconds", checkpoint_seconds, "[0, inf)")
        own = model.parameters()
        if own.keys() != optimizer.parameters.keys() or any(own[k] is not optimizer.parameters[k] for k in own):
            remedy = "make it from model.parameters(), after any astype or to_backend"
            raise OptionError("Trainer", "an optimizer of this model's parameters", "one of other arrays", remedy)
        self.model, self.optimizer = model, optimizer
        self.criterion = criterion or CrossEntropyLoss()
        self.schedule = schedule or Constant(optimizer.lr)
        self.clip_norm, self.patience = clip_norm, patience
        self.folder = None if folder is None else Path(folder)
        self.classes, self.verbose = tuple(classes), verbose
        self.checkpoint_seconds = checkpoint_seconds
        self.history: list[Epoch] = []
        self.position = Position()

    def fit(self, loader: Loader, validation: Split | None = None, *, epochs: int, resume: bool = False) -> list[Epoch]:
        """Train until `epochs` epochs are done in all.

        Parameters
            loader : the training images
            validation : held-out images, looked at after each epoch
            resume : go on from the folder's checkpoint, bit for bit as if the run had not stopped
        Returns
            history : one row an epoch
        Raises
            NonFiniteError : the loss is NaN or infinite; the last checkpoint stays as it is
            KeyboardInterrupt : Ctrl-C or SIGTERM; the step at hand was finished and a checkpoint written
        """
        as_count("Trainer.fit", "epochs", epochs)
        for given, kind in ((loader, Loader), (validation, Split)):
            if given is not None and not isinstance(given, kind):
                raise OptionError("Trainer.fit", f"a {kind.__name__}", type(given).__name__, "see xpcnn.data")
        if resume:
            self._resume(loader)
        elif self.folder is not None and not self.history and (self.folder / CHECKPOINT).exists():
            raise OptionError(
                "Trainer.fit", "a folder without a run", str(self.folder), "pass resume=True, or name another folder"
            )
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
        # Overflow on the way to NaN needs no warning: the loss is looked at
        with Interrupt() as interrupt, progress(self.verbose) as shown, np.errstate(over="ignore", invalid="ignore"):
            while self.position.epoch < epochs and not self._stale():
                self._run_epoch(loader, validation, epochs, interrupt, shown)
        return self.history

    def evaluate(self, split: Split, *, batch_size: int = 256) -> Evaluation:
        """Loss and metrics on labelled images."""
        return evaluate(self.model, split, self.criterion, batch_size=batch_size)

    def train_step(self, x: Array, y: Array) -> tuple[Array, Array]:
        """One step of the optimizer on one batch; the loss, and how many items were classified rightly.

        The second is 0 where the criterion does not classify, such as MSELoss.
        """
        logits, cache = self.model.forward(x)
        loss, loss_cache = self.criterion.forward(logits, y)
        _, grads = self.model.backward(self.criterion.backward(loss_cache), cache, input_grad=False)
        if self.clip_norm is not None:
            grads, _ = clip_by_norm(grads, self.clip_norm)
        self.optimizer.lr = self.schedule.lr_at(self.optimizer.steps)
        self.optimizer.step(grads)
        xp = array_namespace(logits)
        if not self.criterion.classifies:
            return loss, xp.asarray(0, device=logits.device)
        true = y if y.ndim == 1 else xp.argmax(y, axis=1)  # (N,), also of probabilities (N, K)
        return loss, xp.sum(xp.astype(xp.argmax(logits, axis=1) == true, xp.int64))

    def _run_epoch(
        self, loader: Loader, validation: Split | None, epochs: int, interrupt: Interrupt, shown: Progress
    ) -> None:
        at = self.position
        begun = time.perf_counter() - at.seconds
        saved = time.perf_counter()
        unread: list[tuple[Array, Array, int]] = []
        shown.start(at.epoch + 1, epochs, len(loader), at.batch)
        for x, y in loader.epoch(at.epoch, start=at.batch):
            loss, correct = self.train_step(x, y)
            unread.append((loss * _items(self.criterion, x), correct, x.shape[0]))
            at.batch += 1
            shown.advance()
            due = interrupt.requested or time.perf_counter() - saved > self.checkpoint_seconds
            if is_numpy(loss) or due or len(unread) == UNREAD_STEPS:
                self._read(unread)
            if due:
                at.seconds = time.perf_counter() - begun
                self._save(loader)
                saved = time.perf_counter()
            if interrupt.requested:
                raise KeyboardInterrupt(f"interrupted in epoch {at.epoch + 1}, after batch {at.batch} of {len(loader)}")
        self._read(unread)
        checked = evaluate(self.model, validation, self.criterion) if validation is not None else None
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
        shown.line(str(row))
        score = [*([checked.accuracy] if self.criterion.classifies else []), -checked.loss] if checked else None
        better = score is None or at.best_score is None or score > at.best_score
        best_epoch = row.epoch if better else at.best_epoch
        self.position = Position(row.epoch, best_score=score if better else at.best_score, best_epoch=best_epoch)
        if self.folder is not None:
            if better:
                self._save_best(loader.split.input_shape)
            history.write_csv(self.folder / "history.csv", self.history)
            self._save(loader)
        if interrupt.requested:
            raise KeyboardInterrupt(f"interrupted after epoch {row.epoch}")

    def _read(self, unread: list[tuple[Array, Array, int]]) -> None:
        at = self.position
        for back, (loss, correct, images) in enumerate(unread):
            value = float(loss)
            if not math.isfinite(value):
                raise NonFiniteError(
                    "Trainer",
                    "a finite loss",
                    f"{value} in epoch {at.epoch + 1}, batch {at.batch - len(unread) + back + 1}",
                    "lower the learning rate, clip gradients (clip_norm), or look for NaN in the images",
                )
            at.loss_sum += value
            at.correct += int(correct)
            at.images += images
        unread.clear()

    def _stale(self) -> bool:
        since = self.position.epoch - self.position.best_epoch
        return self.patience is not None and since >= self.patience

    def _save(self, loader: Loader) -> None:
        if self.folder is not None:
            path = self.folder / CHECKPOINT
            checkpoint.save(path, self.model, self.optimizer, self.schedule, loader, self.position, self.history)

    def _save_best(self, input_shape: Shape) -> None:
        assert self.folder is not None
        if all(type(layer) in registry().values() for _, layer in self.model.named_layers()):
            save_model(self.folder / MODEL, self.model, input_shape=input_shape, classes=self.classes)
        else:  # a layer of the user's own, which no file can name
            write_tensors(self.folder / WEIGHTS, self.model.state_dict(), {"kind": "weights"})

    def _resume(self, loader: Loader) -> None:
        if self.folder is None:
            raise OptionError("Trainer.fit", "a folder to resume from", "folder=None", "pass folder= to Trainer")
        path = self.folder / CHECKPOINT
        if not path.exists():
            raise DataError("resume", f"a checkpoint at {path}", "no such file", "name the folder of a run")
        self.position, self.history = checkpoint.load(path, self.model, self.optimizer, self.schedule, loader)


@np.errstate(over="ignore", invalid="ignore")  # what becomes of them is looked at
def evaluate(model: Layer, split: Split, criterion: Loss | None = None, *, batch_size: int = 256) -> Evaluation:
    """Loss and metrics of a model on labelled images, in inference.

    Raises
        NonFiniteError : the model gives NaN or infinity
        DataError : labels that the model has no output for
    """
    if not isinstance(split, Split):
        raise OptionError("evaluate", "a Split, such as digits().test", type(split).__name__)
    criterion = criterion or CrossEntropyLoss()
    scores: list[np.ndarray[Any, Any]] = []
    loss = 0.0
    for x, y in Loader(split, batch_size).epoch(0):
        logits = model(x)
        scores.append(to_numpy(logits))
        if criterion.classifies and int(split.labels.max()) >= logits.shape[-1]:
            raise DataError(
                "evaluate", f"labels below {logits.shape[-1]}, as the model has outputs", str(int(split.labels.max()))
            )
        loss += float(criterion(logits, y) * _items(criterion, x))
    all_scores = np.concatenate(scores)  # (N, K)
    if not (np.isfinite(all_scores).all() and math.isfinite(loss)):
        raise NonFiniteError(
            "evaluate", "finite logits and loss", "NaN or infinity", "train again with a lower learning rate"
        )
    if not criterion.classifies:
        return Evaluation(loss / len(split), math.nan, math.nan, np.zeros((0, 0), np.int64))
    return Evaluation(
        loss=loss / len(split),
        accuracy=top_k_accuracy(all_scores, split.labels, k=1),
        top5_accuracy=top_k_accuracy(all_scores, split.labels, k=min(5, all_scores.shape[1])),
        confusion=confusion_matrix(all_scores, split.labels),
    )


def _items(criterion: Loss, x: Array) -> int:
    """What a batch's loss counts for in a sum over items: as many as it is the mean of."""
    return x.shape[0] if criterion.reduction == "mean" else 1
