"""The end of an epoch: what it came to is kept, and the best model where it is the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.loader import Loader
from . import history
from .best_model import copied, save_best
from .checkpoint import Position
from .evaluation import Evaluation
from .history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer


def finish_epoch(trainer: Trainer, loader: Loader, checked: Evaluation | None, row: Epoch) -> Epoch:
    """Keep the model if it is the best, tell the schedule, and move on to the next epoch; the row that was given.

    Until the best model is kept, nothing is changed, so that who fails there may finish the epoch again.
    """
    at, classifies = trainer.position, trainer.criterion.classifies
    score = [*([checked.accuracy] if classifies else []), -checked.loss] if checked else None
    better = score is None or at.best_score is None or score > at.best_score
    if better:
        _keep(trainer, loader, validated=score is not None)
    trainer.schedule.observe(checked.loss if checked else row.train_loss)
    trainer.history.append(row)
    best_epoch = row.epoch if better else at.best_epoch
    trainer.position = Position(row.epoch, best_score=score if better else at.best_score, best_epoch=best_epoch)
    if trainer.folder is not None:
        history.write_csv(trainer.folder / history.HISTORY, trainer.history)
    return row


def stale(trainer: Trainer) -> bool:
    """Whether `patience` is used up."""
    at = trainer.position
    return trainer.patience is not None and at.epoch - at.best_epoch >= trainer.patience


def _keep(trainer: Trainer, loader: Loader, *, validated: bool) -> None:
    """The best model: in the folder, or in memory where it is not just the last."""
    model = trainer.kept_model
    if trainer.folder is None:
        trainer.best_arrays = copied(model) if validated else None
        return
    split, classifies, size = loader.split, trainer.criterion.classifies, loader.batch_size
    save_best(
        trainer.folder, model, split.input_shape, trainer.classes, classifies=classifies, batch_size=size, split=split
    )
