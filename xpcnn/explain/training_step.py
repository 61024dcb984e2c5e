"""One training step of a whole network: forward, loss, backward, the update of each parameter, the loss after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..backend import to_numpy
from ..errors import OptionError, one_line
from ..html import page
from ..io.atomic import write_atomically
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..optim import SGD
from ..optim.clip import clip_by_norm
from ..optim.optimizer import Optimizer, check_optimizer
from ..options import as_names, as_number, as_path
from ..training.training_state import unchanged
from ..typing import Array, NDArray
from .epochs import epochs as epochs_of
from .explain_layer import check_input, describe
from .explanation import Explanation
from .run import run
from .step_page import overview, write
from .walk import Record, Walk

MOST_IN_A_CELL = 100_000  # numbers of a page that a notebook holds

NOTHING = "loss"  # no layer has this name


class TrainingStep(Record):
    """One training step, number by number; `step` makes it.

    >>> import numpy as np
    >>> from xpcnn.explain import step
    >>> from xpcnn.nn import Linear
    >>> from xpcnn.optim import SGD
    >>> layer = Linear(2, 2, rng=0)
    >>> walk = step(layer, np.array([[1.0, 2.0]], np.float32), target=1, optimizer=SGD(layer.parameters(), lr=0.1))
    >>> walk.check()
    26
    """

    def check(self, tolerance: float = 1e-4) -> int:
        """Work out every number of every stop, and compare it with the library's; return how many.

        Raises
            GradientError : one of them differs
        """
        pages = {id(stop.page): stop.page for stop in self.stops}
        return sum(page.check(tolerance) for page in pages.values())

    def html(self, *, title: str = "", precision: int = 4, epochs: Mapping[int, Layer] | None = None) -> str:
        """The step as a self-contained HTML page.

        Parameters
            title : what was trained, such as a file's name
            precision : significant digits
            epochs : the network after some epochs, by their numbers; the page then has a slider over them
        """
        more = "" if epochs is None else epochs_of(epochs, self.values[0][0], self.classes)
        return write(self, title=title, precision=precision, more=more)

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the page to a file, with the options of `html`."""
        write_atomically(as_path("TrainingStep.save", path), self.html(**options).encode())

    def _repr_html_(self) -> str:
        """The page in a frame; of a large network, which layers there are."""
        pages = {id(stop.page): stop.page for stop in self.stops}.values()
        numbers = sum(array.values.size for each in pages for array in each.arrays.values())
        return page(self.html()) if numbers <= MOST_IN_A_CELL else overview(self)

    def __repr__(self) -> str:
        number = len(self.wiring.nodes)
        calls = f"{number} calls of layers" if number != 1 else "1 call of a layer"
        return f"TrainingStep({calls}, {len(self.stops)} stops, loss {self.loss:.4g} → {self.loss_after:.4g})"


def step(
    model: Layer,
    x: Array,
    target: Any = None,
    criterion: Loss | None = None,
    optimizer: Optimizer | None = None,
    *,
    clip_norm: float | None = None,
    classes: Iterable[str] = (),
) -> TrainingStep:
    """One training step of a network, as a walk through all of its numbers. Network and optimizer stay unchanged.

    Parameters
        model : a network of one input and one output
        x : Array (N, …), float, of the model's dtype
        target : as the criterion needs it; for the cross-entropy, None takes the class with the highest output
        criterion : the cross-entropy by default
        optimizer : of the model's parameters, or of some of them, in its present state; SGD with lr 0.1 by default
        clip_norm : gradients are scaled down to this global norm, as the Trainer does
        classes : names of the network's outputs
    Returns
        a TrainingStep : its `save(path)` writes a page for the browser
    Raises
        OptionError, ShapeError, DTypeError, DataError

    >>> import numpy as np
    >>> from xpcnn import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 2, rng=1))
    >>> walk = step(model, np.ones((1, 2), "float32"), target=1)
    >>> [stop.step.makes for stop in walk.stops if stop.place == "1 ReLU"], walk.loss_after < walk.loss
    (['y', 'f′', 'dx'], True)
    """
    check_layer("step", model)
    if model.arity != (1, 1) or len(getattr(model, "outputs", ())) > 1:
        raise OptionError("step", "a network of one input and one output", f"{type(model).__name__} of several")
    names = as_names("step", "classes", classes)
    check_input("step", x)
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("step", criterion)
    optimizer = SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer
    check_optimizer("step", optimizer, model.parameters())
    with unchanged(model, optimizer):
        done = run(model, None, x, target=target, criterion=criterion)
        walk = Walk(model, x, done, criterion)
        walk.go()
        grads, factor = optimizer.select(done.grads), 1.0
        if clip_norm is not None:
            grads, norm = clip_by_norm(grads, as_number("step", "clip_norm", clip_norm, "(0, inf)"))
            factor = min(1.0, clip_norm / float(norm)) if float(norm) else 1.0
        before = _state(optimizer)
        optimizer.step(grads)
        walk.update(optimizer, before, _state(optimizer), factor)
        after = run(model, NOTHING, x, target=done.target, criterion=criterion)
    assert done.loss is not None
    assert after.loss is not None
    values = [to_numpy(value) for value in walk.wiring.values]
    made = TrainingStep(walk.wiring, values, walk.stops, done.loss, after.loss, repr(optimizer))
    about = Explanation("", "")
    made.classes = tuple(map(one_line, names))
    describe(about, done, x, made.classes, 0, criterion)
    made.notes, made.image = about.notes, about.image
    return made


def _state(optimizer: Optimizer) -> dict[str, dict[str, NDArray]]:
    """Of each parameter: its copy, "p", and those of the optimizer's arrays for it."""
    state = optimizer.state_dict()
    return {
        name: {"p": to_numpy(p).copy()}
        | {key[: -len(name) - 1]: to_numpy(each).copy() for key, each in state.items() if key.endswith(f".{name}")}
        for name, p in optimizer.parameters.items()
    }
