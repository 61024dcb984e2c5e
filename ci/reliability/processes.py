"""The same training in forked and spawned children, in joblib's workers, and in threads that share a model."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np

from xpcnn import models, nn, optim

from . import child
from .row import Effort, Row, not_tried, shown
from .small import digest

SAME, OTHER = "the same numbers", "other numbers"
LIMIT = 600.0  # seconds that a pool may take

Run = Callable[[Iterable[int]], list[str]]


def rows(effort: Effort) -> list[Row]:
    """A row for each way to start processes or threads."""
    seeds = list(range(effort.times(40, 8)))
    expected = [train(seed) for seed in seeds]  # this process's threads have worked before it forks
    found = []
    for name, run in WAYS.items():
        what = f"{len(seeds)} short trainings, against the same in this process"
        if why := _missing(name):
            found.append(not_tried(name, what, why))
            continue
        row = Row(name, what, (SAME,), (SAME,))
        # in a child, so that a hang becomes a row of the table and does not stop the checks
        ended = child.run(lambda run=run: run(seeds), limit=LIMIT) if child.FORKS else None  # type: ignore[misc]
        if ended is not None and ended.how != "exit 0":
            row.add(f"ended with {ended.how}", shown(ended.err))
        else:
            got = ended.value if ended else run(seeds)
            for seed, one, other in zip(seeds, got, expected, strict=True):
                row.add(SAME if one == other else OTHER, f"seed {seed}")
        found.append(row)
    shared = Row("threads that share a model", f"{len(seeds)} gradients of one model, in 8 threads", (SAME,), (SAME,))
    for seed, one, other in zip(seeds, _shared(seeds, 8), _shared(seeds, 1), strict=True):
        shared.add(SAME if one == other else OTHER, f"seed {seed}")
    return [*found, shared]


def train(seed: int) -> str:
    """A digest of a convolutional network after a few steps, large enough for several threads."""
    rng = np.random.default_rng(seed)
    model = models.mnist_cnn((28, 28, 1), 10, rng=seed)
    optimizer, criterion = optim.SGD(model.parameters(), lr=0.05, momentum=0.9), nn.CrossEntropyLoss()
    for _ in range(2):
        logits, cache = model.forward(rng.normal(size=(16, 28, 28, 1)).astype("float32"))
        loss, loss_cache = criterion.forward(logits, rng.integers(0, 10, 16))
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
    return digest(loss, {name: np.ascontiguousarray(array) for name, array in model.state_dict().items()})


def _pool(method: str) -> Run:
    def run(seeds: Iterable[int]) -> list[str]:
        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.map(train, seeds, chunksize=2)

    return run


def _joblib(seeds: Iterable[int]) -> list[str]:
    import joblib  # type: ignore[import-untyped]

    return list(joblib.Parallel(n_jobs=2)(joblib.delayed(train)(seed) for seed in seeds))


def _threads(seeds: Iterable[int]) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(train, seeds))


WAYS: dict[str, Run] = {
    "forked processes": _pool("fork"),
    "spawned processes": _pool("spawn"),
    "joblib": _joblib,
    "trainings in threads": _threads,
}


def _missing(name: str) -> str:
    if name == "joblib" and find_spec("joblib") is None:
        return "joblib is not installed"
    return child.NO_FORK if name == "forked processes" and not child.FORKS else ""


def _shared(seeds: Iterable[int], threads: int) -> list[str]:
    """Inference and gradients of one model, on an input for each seed."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10, rng=1)
    )

    def gradients(seed: int) -> str:
        x = np.random.default_rng(seed).normal(size=(16, 16, 16, 3)).astype("float32")
        y, cache = model.forward(x)
        dx, grads = model.backward(y, cache)
        return digest(*(np.ascontiguousarray(each) for each in (model(x), y, dx, *grads.values())))

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(gradients, seeds))
