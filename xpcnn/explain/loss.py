"""Softmax and cross-entropy: where the gradient begins."""

from __future__ import annotations

import math

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.classification_loss import CrossEntropyLoss
from ..ops.softmax import log_softmax_forward
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .patterns import filled
from .rules import Largest, Text
from .run import Pass
from .sums import MOST_TERMS


def cross_entropy(page: Explanation, done: Pass, at: Index) -> None:
    """Equations (1), (2) and (4) of `xpcnn.ops.loss_classification`, for the network's outputs and targets."""
    criterion = CrossEntropyLoss()
    labels = array_namespace(done.output).asarray(done.target, device=done.output.device)
    loss, cache = criterion.forward(done.output, labels)
    y = to_numpy(done.output)
    rows, classes = y.shape
    log_p = to_numpy(log_softmax_forward(done.output)[0])  # each implementation has its own cache
    assert done.target is not None
    page.add("y", "the network's outputs", ("n", "k"), y)
    page.add("m", "the largest of the row", ("n",), y.max(axis=1))
    page.add("z", "y, less its largest", ("n", "k"), y - y.max(axis=1, keepdims=True))
    page.add("log p", "logarithms of the probabilities", ("n", "k"), log_p)
    page.add("p", "probabilities", ("n", "k"), np.exp(log_p))
    page.add("q", "1 for the target, else 0", ("n", "k"), np.eye(classes)[done.target])
    page.add("L", "loss", (), to_numpy(loss))
    page.add("dy", "∂L/∂y: backward begins here", ("n", "k"), to_numpy(criterion.backward(cache)))

    def logarithm(index: Index) -> Worked:
        n, _ = index
        z = page.arrays["z"].values[n].astype(np.float64)
        largest = sorted(np.argsort(-z, kind="stable")[:MOST_TERMS].tolist())
        refs = {f"z{k}": Ref("z", (n, k)) for k in largest} | {"z": Ref("z", index)}
        sums = " + ".join(f"exp({{z{k}}})" for k in largest)
        if len(largest) < classes:
            rest = float(np.exp(np.delete(z, largest)).sum())
            sums += f" + ({classes - len(largest)} smaller terms: {rest:.3g})".replace("-", "−")
        value = page.value(refs["z"]) - math.log(float(np.exp(z).sum()))
        return Worked(Ref("log p", index), filled(f"{{z}} − log({sums})", **refs), value)

    def loss_of(index: Index) -> Worked:
        refs = [Ref("log p", (n, int(k))) for n, k in enumerate(done.target)]
        shown = refs[:MOST_TERMS]
        names = {f"l{n}": ref for n, ref in enumerate(shown)}
        terms = " + ".join(f"{{{name}}}" for name in names)
        if len(shown) < rows:
            rest = sum(map(page.value, refs[MOST_TERMS:]))
            terms += f" + ({rows - len(shown)} more terms: {rest:z.3g})".replace("-", "−")
        value = -sum(map(page.value, refs)) / rows
        return Worked(Ref("L", ()), filled(f"−({terms}) / {rows}" if rows > 1 else "−{l0}", **names), value)

    exponentials = " + ".join(f"exp({{z[n,{k}]}})" for k in range(classes))
    log = Text(f"{{z[n,k]}} − log({exponentials})") if classes <= MOST_TERMS else None
    parts = " + ".join(f"{{log p[{n},{k}]}}" for n, k in enumerate(done.target))
    mean = Text(f"−({parts}) / {rows}" if rows > 1 else f"−{parts}") if rows <= MOST_TERMS else None
    gradient = Text(f"({{p[n,k]}} − {{q[n,k]}}) / {rows}" if rows > 1 else "{p[n,k]} − {q[n,k]}")
    module = "loss_classification"
    title = "Forward: nothing above 0, so that no exp overflows"
    page.add_step("Forward: the largest output", (), ("y",), "m", at[:1], Largest(f"y[n,k] | k<{classes}"))
    page.add_step(title, quoted(module, 1), ("y", "m"), "z", at, Text("{y[n,k]} − {m[n]}"))
    title = "Forward: logarithms of the probabilities"
    page.add_step(title, quoted(module, 1), ("z",), "log p", at, log or logarithm)
    page.add_step("Forward: the probabilities", (), ("log p",), "p", at, Text("exp({log p[n,k]})"))
    title = "Forward: how unlikely the target is"
    page.add_step(title, quoted(module, 2), ("log p",), "L", (), mean or loss_of)
    note = f"With one target a row, (4) is {f'(p − q)/{rows}' if rows > 1 else 'p − q'}."
    page.add_step("Backward: probability less target", quoted(module, 4), ("p", "q"), "dy", at, gradient, note)
