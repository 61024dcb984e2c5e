"""The loss and the gradients of a batch in shards, on one process or several; see `xpcnn.shards`.

The loss of the whole batch is that of `xpcnn.training.gradients`, over the shards s. It is known before backward:

    D = Σ_s D_s,   L = Σ_s D_s·L_s / D          a mean; without items D_s = 0                   (1)
    ∂L/∂y_s = (D_s / D) · ∂L_s/∂y_s             a shard's part of the whole loss                (2)
    g = Σ_s g_s                                 each g_s from (2)                               (3)

With a sum as reduction, D, D_s and the factor of (2) are 1. Of items that all have the class weight 0, D_s = 0 and
there is no L_s: D_s·L_s is then the sum itself.

Each layer's generator is drawn from once a batch, by every process; from that number and s each shard makes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from ..backend import array_namespace
from ..data.loader import Loader
from ..distributed import Group
from ..errors import OptionError
from ..nn import Layer
from ..nn.loss import Loss
from ..nn.summary import several
from ..ops.dispatch import one_blas_thread
from ..options import as_count
from ..shards import Shard, cut, in_step
from ..typing import Array
from .gradients import Gradients, correct_items, loss_of

SHARDS = 8  # of a batch, unless there are more processes


@dataclass(frozen=True)
class Sharding:
    """Into how many shards each batch is cut, and which of them this process has.

    Parameters
        group : the processes
        shards : S; 0 for one on each process, whose gradients MPI adds up in its own order
    """

    group: Group
    shards: int

    @classmethod
    def checked(cls, who: str, group: Group | None, shards: int | None) -> Self:
        """The sharding for these arguments, as of `Trainer`.

        Raises
            OptionError : there are more processes than shards, or it is no group
        """
        if group is not None and not isinstance(group, Group):
            raise OptionError(who, "group: the result of distributed.init()", repr(group)[:80])
        if shards is None:
            shards = 1 if group is None else max(SHARDS, group.size)
        shards, group = as_count(who, "shards", shards, least=0), group or Group()
        if 0 < shards < group.size:
            remedy = "start fewer; the number of shards is kept with a run"
            raise OptionError(
                who, f"at most {shards} processes, as each batch has {shards} shards", str(group.size), remedy
            )
        return cls(group, shards)

    @property
    def count(self) -> int:
        """S, or the number of processes."""
        return self.shards or self.group.size

    @property
    def own(self) -> range:
        """The numbers of this process's shards."""
        return self.group.shards(self.count)

    @property
    def is_whole(self) -> bool:
        """True if a batch is one shard on one process: then nothing is cut."""
        return self.count == self.group.size == 1

    def of(self, x: Any, y: Array) -> ShardedBatch:
        """This process's shards of a whole batch."""
        cuts = cut(y.shape[0], self.count)
        some = [slice(*cuts[s]) if cuts[s][0] < cuts[s][1] else slice(1) for s in self.own]
        return ShardedBatch(y.shape[0], [(_rows(x, each), y[each, ...]) for each in some], lambda: (x, y))

    def batches(self, loader: Loader, epoch: int, start: int) -> Iterator[ShardedBatch]:
        """This process's shards of each batch of an epoch."""

        def whole(number: int) -> tuple[Any, Array]:
            items, parts = next(loader.shards(epoch, number, self.count, range(self.count)))
            xs, ys = zip(*parts[:items], strict=True)  # shards without items are the last ones
            xp = array_namespace(ys[0])
            several = isinstance(xs[0], tuple)
            return tuple(map(xp.concat, zip(*xs, strict=True))) if several else xp.concat(xs), xp.concat(ys)

        for number, (items, parts) in enumerate(loader.shards(epoch, start, self.count, self.own), start):
            yield ShardedBatch(items, parts, partial(whole, number))


@dataclass(frozen=True)
class ShardedBatch:
    """This process's shards of a batch.

    Parameters
        items : in the whole batch
        parts : (x, y) of each shard; one without items has one of another's
        whole : makes the whole batch, (x, y)
    """

    items: int
    parts: Sequence[tuple[Any, Array]]
    whole: Callable[[], tuple[Any, Array]]


def sharded_gradients(model: Layer, criterion: Loss, batch: ShardedBatch, sharding: Sharding) -> Gradients:
    """Loss and gradients of the whole batch, the same on every process."""
    cuts, group = cut(batch.items, sharding.count), sharding.group
    shards = [Shard(s, cuts[s][1] - cuts[s][0], batch.items, s == sharding.own.start) for s in sharding.own]
    parts = {shard.number: part for shard, part in zip(shards, batch.parts, strict=True)}
    drawing, generators = _generators(model, sharding.own)
    means = criterion.reduction == "mean"

    def work(shard: Shard) -> tuple[Array, float, Any, dict[str, Array]]:
        x, y = parts[shard.number]
        logits, cache = model.forward(x)
        own, loss, loss_cache, items = loss_of(criterion, logits, y)
        count, correct = float(items) if means else 1.0, correct_items(criterion, logits, y)
        each = shard.gather([float(items), float(loss) * (count or 1.0), float(correct)])  # (S, 3)
        divisor, whole, right = (sum(column) for column in each.T.tolist())
        divided = divisor or 1.0 if means else 1.0
        xp = array_namespace(loss)
        dy = own.backward(loss_cache) * ((count or 1.0) / divided)  # (2)
        _, grads = model.backward(dy, cache, input_grad=False)
        if not shard.items:  # batch norm's sums have reached it
            grads = {name: xp.zeros_like(g) for name, g in grads.items()}
        whole = xp.asarray(whole / divided, dtype=loss.dtype, device=loss.device)  # (1)
        return whole, right, int(divisor) if isinstance(items, int) else divisor, grads

    def exchange(numbers: list[Any]) -> Any:
        return group.gather(numbers, sharding.count)

    def turn(shard: Shard) -> None:
        for layer, rng in zip(drawing, generators[shard.number], strict=True):
            layer.rng = rng

    before = [layer.rng for layer in drawing]
    try:
        with one_blas_thread():  # so that sums do not depend on how many threads BLAS has
            done = in_step(shards, work, exchange, turn)
    finally:
        for layer, rng in zip(drawing, before, strict=True):
            layer.rng = rng
    loss, correct, items, _ = done[0]
    each = [grads for *_, grads in done]
    total = group.sum_of_shards(each, sharding.count) if sharding.shards else group.all_reduce(each[0])  # (3)
    xp = array_namespace(loss)
    return Gradients(loss, xp.asarray(correct, device=loss.device), items, total)


def _generators(model: Layer, own: range) -> tuple[list[Any], dict[int, list[np.random.Generator]]]:
    """The layers that draw, and a generator for each of them and each shard."""
    drawing: list[Any] = [layer for _, layer in model.named_layers() if _draws(layer)]
    seeds = [int(layer.rng.integers(2**63)) for layer in drawing]
    return drawing, {s: [np.random.default_rng([seed, s]) for seed in seeds] for s in own}


def _draws(layer: Any) -> bool:
    return isinstance(getattr(layer, "rng", None), np.random.Generator)


def _rows(x: Any, rows: slice) -> Any:
    if isinstance(x, dict):
        return {name: each[rows, ...] for name, each in x.items()}
    return tuple(each[rows, ...] for each in several(x)) if isinstance(x, tuple | list) else x[rows, ...]
