"""The processes that train one network together, and what they say to each other.

    group = distributed.init()
    for x, y in loader:
        x, y = group.part(x, y)                                     this rank's items of the batch
        logits, cache = model.forward(x)
        loss, loss_cache = criterion.forward(logits, y)             reduction="sum"
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(group.sum(grads))                            the same numbers on every rank

With one process every call returns what it is given, and needs no MPI. `Trainer(…, group=group)` does all of this.
"""

from __future__ import annotations

import atexit
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from ..backend import array_namespace, to_numpy
from ..errors import OptionError, RankError, XpcnnError
from ..ops.dispatch import one_blas_thread
from ..shards import cut
from ..typing import Array, NDArray
from .ranks import Ranks
from .tree_sum import Node, nodes, root, total

Value = TypeVar("Value")


class Group:
    """This process and the others of the same program; `init` makes it.

    Attributes
        rank, size : this process's number, from 0 on, and how many there are
        speaks : whether this is the one that tells the user what happened: rank 0, as long as it is there

    >>> group = Group()
    >>> group.rank, group.size
    (0, 1)
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks = ranks
        self.rank: int = 0 if ranks is None else ranks.rank
        self.size: int = 1 if ranks is None else ranks.size
        self.speaks, self._failed = self.rank == 0, False

    @property
    def hosts(self) -> list[str]:
        """The host of each rank; none with one process."""
        return [] if self._ranks is None else self._ranks.hosts

    def in_words(self) -> str:
        """Such as "4 processes on 2 hosts, 1 thread each"; all ranks need not call it."""
        hosts = len(set(self.hosts)) or 1
        where = "this host" if hosts == 1 else f"{hosts} hosts"
        with one_blas_thread() as threads:
            return f"{self.size} processes on {where}, {threads} thread{'s' * (threads > 1)} each"

    @property
    def sent(self) -> tuple[int, int]:
        """The messages and bytes that this rank has sent so far."""
        return (0, 0) if self._ranks is None else (self._ranks.messages, self._ranks.bytes)

    def part(self, *arrays: Array) -> Any:
        """This rank's rows of each array of a batch; of one array alone the rows themselves, else a tuple.

        >>> Group().part(np.arange(3))
        array([0, 1, 2])
        """
        start, stop = cut(arrays[0].shape[0], self.size)[self.rank]
        parts = tuple(array[start:stop, ...] for array in arrays)
        return parts[0] if len(parts) == 1 else parts

    def shards(self, shards: int) -> range:
        """The numbers of this rank's shards."""
        start, stop = cut(shards, self.size)[self.rank]
        return range(start, stop)

    def sum(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """The sum of the gradients of all ranks, in an order that depends on their number alone."""
        return self.sum_of_shards([grads], self.size)

    def sum_of_shards(self, grads: Sequence[Mapping[str, Array]], shards: int) -> dict[str, Array]:
        """The sum over all shards, in the order of `tree_sum`, which depends on their number alone.

        Parameters
            grads : of this rank's shards, as `shards` says them
        """
        own, end = self.shards(shards), root(shards)
        values: dict[Node, Mapping[str, Array]] = {(s, 1): each for s, each in zip(own, grads, strict=True)}
        if self._ranks is None:
            whole: Mapping[str, Array] = total(values, end, shards, _add)
            return dict(whole)
        parts = [total(values, node, shards, _add) for node in nodes(own.start, own.stop, shards)]
        return _unpacked(self._summed([_packed(part) for part in parts], shards), grads[0])

    def all_reduce(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """The sum of the gradients of all ranks, in an order that MPI chooses: fewer bytes, and other bits."""
        if self._ranks is None:
            return dict(grads)
        return _unpacked([self._ranks.all_reduce(flat) for flat in _packed(grads)], grads)

    def _summed(self, parts: list[list[NDArray]], shards: int) -> list[NDArray]:
        """Each rank adds up one piece of all numbers, and gives the sum to all."""
        assert self._ranks is not None
        whole = []
        ranges = cut(shards, self.size)
        those = [nodes(start, stop, shards) for start, stop in ranges]  # each rank's nodes
        for flats in zip(*parts, strict=True):  # one for each dtype
            cuts = cut(len(flats[0]), self.size)
            sizes = [stop - start for start, stop in cuts]
            own = np.concatenate([flat[start:stop] for start, stop in cuts for flat in flats])
            receive = [sizes[self.rank] * len(each) for each in those]
            got = self._ranks.all_to_all(own, [size * len(flats) for size in sizes], receive)
            pieces = got.reshape(-1, sizes[self.rank])  # (nodes of all ranks, numbers)
            values = dict(zip((node for each in those for node in each), pieces, strict=True))
            piece = total(values, root(shards), shards, lambda a, b: a + b)
            whole.append(self._ranks.all_gather(piece, sizes))
        return whole

    def gather(self, numbers: Sequence[NDArray], shards: int | None = None) -> NDArray:
        """The numbers (k,) of all shards, by default one for each rank: (S, k).

        Parameters
            numbers : those of this rank's shards
        """
        own = np.stack(numbers)
        if self._ranks is None:
            return own
        counts = [(stop - start) * own.shape[1] for start, stop in cut(shards or self.size, self.size)]
        return self._ranks.all_gather(own.reshape(-1), counts).reshape(-1, own.shape[1])

    def most(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        return int(self.gather([np.array([number])]).max())

    def all(self, value: Value) -> list[Value]:
        """The values of all ranks."""
        if self._ranks is None:
            return [value]
        return [pickle.loads(each) for each in self._ranks.gather_text(pickle.dumps(value))]

    def first(self, make: Callable[[], Value]) -> Value:
        """What `make` returns on rank 0, where alone it is called; if it raises there, all ranks raise."""
        return self.all(make() if self.rank == 0 else None)[0]  # type: ignore[return-value]

    def share(self, arrays: Mapping[str, Array]) -> None:
        """Write the arrays of rank 0 into those of all ranks."""
        if self._ranks is None:
            return
        for array in arrays.values():
            host = np.array(to_numpy(array), order="C")
            self._ranks.broadcast(host)
            if self.rank:
                array[...] = array_namespace(array).asarray(host, device=array.device)
        self.most(0)

    def check_same(self, who: str, facts: Mapping[str, Any]) -> None:
        """Refuse ranks that differ in one of these facts.

        Raises
            OptionError : on all ranks; names the first one that differs from rank 0
        """
        if self._ranks is None:
            return
        each = self.all(json.dumps(facts, default=repr))
        first = json.loads(each[0])
        for rank, text in enumerate(each):
            told = json.loads(text)
            for name in first | told:
                if first.get(name) != told.get(name):
                    what = f"{who}: {self._ranks.name(rank)}"
                    remedy = "start all ranks with the same program, options and data"
                    raise OptionError(what, f"{name} {first.get(name)}, as rank 0", str(told.get(name)), remedy)

    @contextmanager
    def together(self) -> Iterator[None]:
        """If the block raises on one rank, it raises on all: there a `RankError`, which names rank, host and reason."""
        try:
            yield
        except BaseException as error:
            if self._ranks is not None and not self._failed:
                self._failed = True
                self._fail(self._ranks, error)
            raise

    def _fail(self, ranks: Ranks, error: BaseException) -> None:
        missing = error.missing if isinstance(error, RankError) else ()
        if isinstance(error, RankError):
            pass  # its rank has told all
        elif isinstance(error, XpcnnError):
            ranks.fail([error.who, error.expected, error.got, error.remedy])
            error.who = f"{ranks.name()}: {error.who}"
        else:
            ranks.fail(["it", "to go on", f"{type(error).__name__}: {error}", ""])
        if not ranks.end(failed=True, missing=missing):
            self.speaks = self.rank == min(set(range(self.size)) - set(missing))
        if isinstance(error, RankError) and not self.speaks:
            sys.excepthook = lambda *_: None  # it has been said
        if not ranks.mpi.Is_finalized():
            atexit.register(ranks.abort, self.speaks)  # after this program has said what happened

    def end(self) -> None:
        """Wait until all ranks have come here, and end MPI; call it last, or leave it to the end of the program."""
        if self._ranks is not None:
            with self.together():
                self._ranks.end(failed=False)

    def __repr__(self) -> str:
        return f"Group(rank {self.rank} of {self.size})"


def _add(one: Mapping[str, Array], other: Mapping[str, Array]) -> Mapping[str, Array]:
    return {name: g + other[name] for name, g in one.items()}


def _packed(grads: Mapping[str, Array]) -> list[NDArray]:
    """All gradients in one flat array for each dtype, on the host."""
    hosts = [np.asarray(to_numpy(g)) for g in grads.values()]
    kinds = dict.fromkeys(host.dtype for host in hosts)
    return [np.concatenate([host.reshape(-1) for host in hosts if host.dtype == kind]) for kind in kinds]


def _unpacked(flats: Sequence[NDArray], like: Mapping[str, Array]) -> dict[str, Array]:
    rest = {flat.dtype: flat for flat in flats}
    grads = {}
    for name, g in like.items():
        host = np.asarray(to_numpy(g))
        own, rest[host.dtype] = np.split(rest[host.dtype], [host.size])
        grads[name] = array_namespace(g).asarray(own.reshape(host.shape), device=g.device)
    return grads
