"""Checks that another backend agrees with NumPy: every layer, loss and optimizer, and a short training.

    XPCNN_BACKEND=cupy python -m ci.agreement --out agreement.json

Both get the same weights, inputs and gradients, in float32 and in float64. An error is the largest difference, divided
by the largest number of NumPy's result. The status is 1 if an error is above its limit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import xpcnn
from xpcnn import data, nn, optim
from xpcnn.backend import current_backend
from xpcnn.errors import BackendError
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES
from xpcnn.table import columns

LIMITS = {"float32": 2e-5, "float64": 1e-11}
TRAINING_LIMITS = {"float32": 1e-3, "float64": 1e-9}  # rounding errors grow from step to step
STEPS = 20

Results = dict[str, Any]  # by name: arrays of the current backend
Rows = list[dict[str, Any]]


def layer(name: str, dtype: str) -> Results:
    """Output in training and inference, and all gradients, of that layer's example."""
    made, host = EXAMPLES[name]()
    made.astype(dtype)
    x = xpcnn.asarray(host, dtype)
    y, cache = made.forward(x)
    dx, grads = made.backward(_normal(y.shape, dtype), cache)
    return {"y": y, "dx": dx, **{f"d {key}": g for key, g in grads.items()}, "inference": made(x)}


def loss(name: str, dtype: str) -> Results:
    """The value and gradient of that loss's example."""
    criterion, y, target = LOSSES[name]()
    targets = xpcnn.asarray(target, dtype if target.dtype.kind == "f" else None)
    value, cache = criterion.forward(xpcnn.asarray(y, dtype), targets)
    return {"loss": value, "gradient": criterion.backward(cache)}


def optimizer(kind: type[Any], dtype: str) -> Results:
    """Parameters after three steps."""
    p = _normal((5, 4), dtype)
    p = p + 0  # its own memory: the optimizer writes it
    made = kind({"p": p}, lr=0.1, weight_decay=0.01)
    for seed in range(3):
        made.step({"p": _normal((5, 4), dtype, seed)})
    return {"parameters": p}


def training(dtype: str) -> Results:
    """The losses of the first steps of a network with all the usual parts, and its parameters after these steps."""
    digits = data.digits()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, rng=1), nn.ReLU())),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2, rng=2), nn.Linear(128, 10, rng=3),
    ).astype(dtype)  # fmt: skip
    criterion, adam = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.003)
    losses = []
    batches = data.Loader(digits.train, 32, shuffle=True, seed=0).epoch(0)
    for _, (x, y) in zip(range(STEPS), batches, strict=False):
        logits, cache = model.forward(xpcnn.asarray(x, dtype))
        value, loss_cache = criterion.forward(logits, y)
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        adam.step(grads)
        losses.append(float(value))
    return {f"loss of {STEPS} steps": xpcnn.asarray(np.array(losses)), "weight": model.parameters()["0.weight"]}


def parts() -> Iterator[tuple[str, Callable[[str], Results], dict[str, float]]]:
    """The comparisons: name, function of the dtype that computes the results, and limits."""
    for name in EXAMPLES:
        yield name, partial(layer, name), LIMITS
    for name in LOSSES:
        yield name, partial(loss, name), LIMITS
    for named in optim.OPTIMIZERS.values():
        yield named.kind.__name__, partial(optimizer, named.kind), LIMITS
    yield "training", training, TRAINING_LIMITS


def compare(backend: str, rows: Rows) -> None:
    """Add a row for each quantity of each part: the error in each dtype; and True if all are within the limits."""
    for name, compute, limits in parts():
        errors: dict[str, dict[str, float]] = {}
        for dtype in limits:
            with xpcnn.use_backend("numpy"):
                expected = compute(dtype)
            with xpcnn.use_backend(backend):
                found = _or_nothing(name, compute, dtype)
            for quantity in expected.keys() | found.keys():
                errors.setdefault(quantity, {})[dtype] = _error(found.get(quantity), expected.get(quantity), backend)
        for quantity in sorted(errors):
            agrees = all(errors[quantity][dtype] <= limit for dtype, limit in limits.items())
            rows.append({"part": name, "quantity": quantity, **errors[quantity], "agrees": agrees})


def _or_nothing(name: str, compute: Callable[[str], Results], dtype: str) -> Results:
    """The results; none if a compiler, a driver or a library raises: the other parts are compared all the same."""
    try:
        return compute(dtype)
    except Exception as error:
        print(f"{name} in {dtype}: {type(error).__name__}: {' '.join(str(error).split())[:200]}", file=sys.stderr)
        return {}


def table(rows: Rows) -> str:
    """The rows as text, and a summary line."""
    cells = [
        (row["part"], row["quantity"], *(f"{row[dtype]:.1e}" for dtype in LIMITS), "" if row["agrees"] else "NO")
        for row in rows
    ]
    worst = ", ".join(
        f"{max((row[dtype] for row in rows if row['part'] != 'training'), default=0.0):.1e} in {dtype}"
        for dtype in LIMITS
    )
    wrong = sum(not row["agrees"] for row in rows)
    summary = f"{len(rows)} quantities, {wrong} beyond the limits; largest error but for training {worst}"
    return columns(("part", "quantity", *LIMITS, ""), cells, left=(0, 1)) + "\n" + summary


def _normal(shape: Any, dtype: str, seed: int = 1) -> Any:
    return xpcnn.asarray(np.random.default_rng(seed).normal(size=tuple(shape)), dtype)


def _error(found: Any, expected: Any, backend: str) -> float:
    if found is None or expected is None or type(found).__module__.partition(".")[0] != backend:
        return float("inf")
    a, b = xpcnn.to_numpy(found), xpcnn.to_numpy(expected)
    if a.shape != b.shape or a.dtype != b.dtype or not np.isfinite(a).all():
        return float("inf")
    return float(np.max(np.abs(a - b), initial=0.0) / (np.max(np.abs(b), initial=0.0) or 1.0))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.agreement", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the rows as JSON")
    options = parser.parse_args()
    try:
        backend = current_backend().name
    except BackendError as error:
        print(f"ci.agreement: {error}", file=sys.stderr)
        return 2
    if backend == "numpy":
        print("ci.agreement: expected XPCNN_BACKEND=cupy or another that is not NumPy, got numpy", file=sys.stderr)
        return 2
    rows: Rows = []
    try:
        compare(backend, rows)
    except KeyboardInterrupt:  # as where a stage of ci/gpu.sh is out of time
        print(f"interrupted after {rows[-1]['part'] if rows else 'nothing'}", file=sys.stderr)
    if options.out:
        options.out.write_text(json.dumps({"backend": backend, "limits": LIMITS, "rows": rows}, indent=1) + "\n")
    print(table(rows))
    return 0 if all(row["agrees"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
