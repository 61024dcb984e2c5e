"""Softmax and cross-entropy: where the gradient begins."""

from __future__ import annotations

import math

import numpy as np

from ..backend import array_namespace, to_numpy
from ..nn.classification_loss import CrossEntropyLoss
from .equations import quoted
from .explanation import Explanation, Index, Ref, Worked
from .patterns import applied, filled
from .run import Pass
from .sums import MOST_TERMS


def cross_entropy(page: Explanation, done: Pass, at: Index) -> None:
    """Equations (1), (2) and (4) of `xpcnn.ops.loss_classification`, for the network's outputs and targets."""
    criterion = CrossEntropyLoss()
    labels = array_namespace(done.output).asarray(done.target, device=done.output.device)
    loss, cache = criterion.forward(done.output, labels)
    y = to_numpy(done.output)
    rows, classes = y.shape
    log_p = to_numpy(cache[0])
    assert done.target is not None
    page.add("y", "the network's outputs", ("n", "k"), y)
    page.add("z", "y, less its largest", ("n", "k"), y - y.max(axis=1, keepdims=True))
    page.add("log p", "logarithms of the probabilities", ("n", "k"), log_p)
    page.add("p", "probabilities", ("n", "k"), np.exp(log_p))
    page.add("q", "1 for the target, else 0", ("n", "k"), np.eye(classes)[done.target])
    page.add("L", "loss", (), to_numpy(loss))
    page.add("dy", "∂L/∂y: backward begins here", ("n", "k"), to_numpy(criterion.backward(cache)))

    def shifted(index: Index) -> Worked:
        n, _ = index
        top = (n, int(y[n].argmax()))
        return applied(page, Ref("z", index), "{y} − {top}", y=Ref("y", index), top=Ref("y", top))

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

    def probability(index: Index) -> Worked:
        return applied(page, Ref("p", index), "exp({l})", l=Ref("log p", index))

    def loss_of(index: Index) -> Worked:
        refs = [Ref("log p", (n, int(k))) for n, k in enumerate(done.target)]  # type: ignore[arg-type]
        shown = refs[:MOST_TERMS]
        names = {f"l{n}": ref for n, ref in enumerate(shown)}
        terms = " + ".join(f"{{{name}}}" for name in names)
        if len(shown) < rows:
            rest = sum(map(page.value, refs[MOST_TERMS:]))
            terms += f" + ({rows - len(shown)} more terms: {rest:z.3g})".replace("-", "−")
        value = -sum(map(page.value, refs)) / rows
        return Worked(Ref("L", ()), filled(f"−({terms}) / {rows}" if rows > 1 else "−{l0}", **names), value)

    def gradient(index: Index) -> Worked:
        refs = {"p": Ref("p", index), "q": Ref("q", index)}
        return applied(page, Ref("dy", index), f"({{p}} − {{q}}) / {rows}" if rows > 1 else "{p} − {q}", **refs)

    module = "loss_classification"
    title = "Forward: nothing above 0, so that no exp overflows"
    page.add_step(title, quoted(module, 1), ("y",), "z", at, shifted)
    page.add_step("Forward: logarithms of the probabilities", quoted(module, 1), ("z",), "log p", at, logarithm)
    page.add_step("Forward: the probabilities", (), ("log p",), "p", at, probability)
    page.add_step("Forward: how unlikely the target is", quoted(module, 2), ("log p",), "L", (), loss_of)
    note = f"With one target a row, (4) is {f'(p − q)/{rows}' if rows > 1 else 'p − q'}."
    page.add_step("Backward: probability less target", quoted(module, 4), ("p", "q"), "dy", at, gradient, note)
