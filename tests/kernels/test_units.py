"""Into which units each fast implementation cuts an operation: sizes that decide speed and memory, not results."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from xpcnn.kernels import threads
from xpcnn.nn import Conv2d
from xpcnn.ops import Window, dispatch

from ..snapshot import assert_same

CONVOLUTIONS = {
    "3×3, padded": (3, {"padding": 1}),
    "5×5, stride 2": (5, {"stride": 2}),
    "3×3, groups": (3, {"groups": 4, "padding": 1}),
    "1×1": (1, {}),
}
IMAGES = [(1, 40, 40, 16), (9, 30, 31, 16), (64, 14, 14, 64), (300, 5, 6, 8), (8, 90, 150, 16)]
WINDOWS = {"2×2": Window(2, 2), "3×3, stride 2": Window(3, 2, padding=1)}
ROWS = [(1, 30, 50), (9, 3000, 50), (64, 400, 50), (700, 5, 50), (64, 3001, 500), (2000, 300, 40)]


def calls():
    """The implementation that runs, and an operation's name with its arguments."""
    for shape in IMAGES:
        x, channels = np.zeros(shape, "f4"), np.ones(shape[-1], "f4")
        for name, (kernel, options) in CONVOLUTIONS.items():
            layer = Conv2d(shape[-1], 24, kernel, rng=0, **options)
            more = {"window": layer.window, "groups": layer.groups}
            yield f"{shape} {name}", "conv2d", (x, layer.weight, layer.bias), more
        for name, window in WINDOWS.items():
            for kind in ("max_pool2d", "avg_pool2d"):
                yield f"{shape} {name}", kind, (x,), {"window": window}
        for kind, more in (
            ("global_avg_pool2d", ()), ("batch_norm", (channels, channels)), ("relu", ()),
            ("zero_pad", ([(1, 2), (3, 4), (0, 0)],)),
        ):  # fmt: skip
            yield f"{shape}", kind, (x, *more), {}
    for shape in ROWS:
        n, features, outputs = shape
        yield f"{shape}", "linear", (np.zeros((n, features), "f4"), np.zeros((outputs, features), "f4"), None), {}


def short(unit):
    if isinstance(unit, slice):
        return f"{unit.start or 0}:{unit.stop}"
    if isinstance(unit, list):
        return f"{len(unit)} taps"
    if isinstance(unit, np.ndarray):
        return "×".join(map(str, unit.shape))
    return f"({', '.join(map(short, unit))})" if isinstance(unit, tuple) else str(unit)


@pytest.fixture
def units(monkeypatch):
    """The units of each call of `parallel`, which `reduce_units` calls as well."""
    cut = []

    def parallel(work, units, cost):
        last = f" … {short(units[-1])}" if len(units) > 1 else ""
        cut.append(f"    {len(units)} for {cost:.4g}: {short(units[0])}{last}")
        run(work, units, cost)

    def reduce_units(add, shape, dtype, units, cost):
        cut.append(f"    a sum over {len(units)}: {short(units[0])} … {short(units[-1])}")
        return reduce(add, shape, dtype, units, cost)

    run, reduce = threads.parallel, threads.reduce_units
    for op in dispatch.operations():
        dispatch.implementations(op)  # imports them
    for name, module in sys.modules.items():
        if name.startswith("xpcnn.kernels."):
            for known in (parallel, reduce_units):
                if hasattr(module, known.__name__):
                    monkeypatch.setattr(module, known.__name__, known)
    return cut


def test_the_units_of_each_implementation(units):
    for what, op, arrays, options in calls():
        for each in dispatch.implementations(op)[:-1]:
            if each.name != "numba" and each.refuses(*arrays, **options) is None:  # it may not be installed
                units.append(f"{op} {what}: {each.name}")
                y, cache, *_ = each.forward(*arrays, **options)
                if each.backward is not None:
                    units.append("  backward")
                    each.backward(np.zeros(y.shape, y.dtype), cache)
    assert_same(Path(__file__).parent / "snapshots" / "units.txt", units)
