"""One step of a training: gradients of its batches, the optimizer, the moving average, and checks of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import is_numpy
from ..data.loader import Loader
from ..errors import NonFiniteError
from ..habits import Familiar
from ..nn import Layer, PartsPlan, all_parameters, plan_training, unfreeze
from ..nn.loss import Loss
from ..optim.clip import clip_by_norm
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..typing import Array
from .accumulation import accumulated_gradients
from .callback import OnStep
from .finite_weights import FiniteWeights
from .gradients import Gradients, StepResult
from .moving_average import MovingAverage
from .nonfinite_report import report
from .position import Position
from .sharded_gradients import ShardedBatch, Sharding
from .training_state import TrainingState


class Stepping(Familiar):
    """What a `Trainer` needs to do one step; it sets these attributes."""

    model: Layer
    optimizer: Optimizer
    criterion: Loss
    schedule: Schedule
    clip_norm: float | None
    average: MovingAverage | None
    sharding: Sharding
    on_step: Sequence[OnStep]
    read_every: int
    position: Position
    loader: Loader | None  # in use by `fit`
    folder: Path | None
    _state: TrainingState
    _weights: FiniteWeights
    _planned: PartsPlan | None = None

    @np.errstate(over="ignore", invalid="ignore")  # the results are checked
    def step(self, batches: Sequence[tuple[Any, Array] | ShardedBatch]) -> StepResult:
        """Do one step on these batches, of which this process has all or some shards; see `train_step`."""
        read, sharding = bool(self.on_step) or self.read_every == 1, self.sharding
        total = accumulated_gradients(
            self._plan, self.criterion, self._state, batches, sharding=sharding, read=read, report=self._report
        )
        grads = self.optimizer.select(total.grads)
        if self.clip_norm is not None:
            grads, _ = clip_by_norm(grads, self.clip_norm)
        self.optimizer.lr = self.schedule.lr_at(self.optimizer.steps)
        self.optimizer.step(grads)
        if is_numpy(total.loss):
            self._weights.check("Trainer", self.optimizer.parameters, f"after step {self.optimizer.steps}")
        if self.average is not None:
            self.average.update(self.model, self.optimizer.steps)
        return StepResult(total.loss, total.correct, total.items)

    @property
    def _plan(self) -> PartsPlan:
        """That of the network; a training may replace it, as `unfreeze` does."""
        if self._planned is None or self._planned.model is not self.model:
            self._planned = plan_training(self.model)
        return self._planned

    def unfreeze(self) -> None:
        """Train all of the network's parameters from now on, as from epoch `unfreeze_at` on; see `nn.freeze`."""
        trained = self.model.parameters()
        frozen = {name: p for name, p in all_parameters(self.model).items() if name not in trained}
        if frozen:
            self.optimizer.add(frozen)
            self.model = unfreeze(self.model)
            if self.average is not None:
                self.average.model = unfreeze(self.average.model)

    def _report(self, number: int, x: Array, y: Array, gradients: Gradients) -> NonFiniteError:
        """The error for this batch of a step, which gave NaN or infinity."""
        at = self.position
        batch = at.batch + number
        run = {"step": self.optimizer.steps + 1, "epoch": at.epoch + 1, "batch": batch + 1}
        indices = None if self.loader is None else self.loader.indices(at.epoch, batch)
        return report(self.model, self.criterion, (x, y), gradients, run, indices, self.folder)
