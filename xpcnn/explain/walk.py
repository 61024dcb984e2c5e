"""The stops of a training step: an explanation for each call of a layer, in the order of the computation.

Each array has a key, which says what it is in the whole network: so the input of a layer is the output of the one
before it, and any number can be followed across layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..backend import to_numpy
from ..nn import Add, Concat, CrossEntropyLoss, Layer, graph
from ..nn.loss import Loss
from ..ops import dispatch
from ..ops.join import concat_backward, concat_forward
from ..optim.optimizer import Optimizer
from ..typing import Array, NDArray
from .equations import equations
from .explain_layer import largest_output, show
from .explanation import Explanation, Step, letters
from .loss import cross_entropy
from .rules import Sum
from .run import Pass, Visit
from .sums import largest
from .update import Updated, update
from .wiring import Node, Wiring, wire

Key: TypeAlias = tuple[Any, ...]  # ("v", value), ("dv", value), ("dx", node, place), ("p", parameter), ("g", …), …
LEARNED = {"w": "weight", "b": "bias", "γ": "weight", "β": "bias", "s": "weight"}  # names on pages, and of layers


@dataclass(frozen=True, eq=False)
class Stop:
    """One stop of the walk: a step of an explanation.

    Parameters
        part : "forward", "loss", "backward" or "update"
        place : the layer's title, or what is updated
        node : number of the call; None for loss and updates
        page, step : the explanation, and its step
        keys : of each array of the page
    """

    part: str
    place: str
    node: int | None
    page: Explanation
    step: Step
    keys: dict[str, Key]


@dataclass(eq=False)
class Record:
    """What there is to know of a training step.

    Parameters
        wiring : the calls of layers, and how they are wired
        values : the arrays that flow between them, on the host
        stops : the walk, in the order of the computation
        loss, loss_after : of the same items, before and after the update
        optimizer : in words
        notes : what was run
        image : the first item, if it is an image
        classes : names of the network's outputs
    """

    wiring: Wiring
    values: list[NDArray]
    stops: list[Stop]
    loss: float
    loss_after: float
    optimizer: str
    notes: list[str] = field(default_factory=list)
    image: NDArray | None = None
    classes: tuple[str, ...] = ()


class Walk:
    """Makes the stops of a pass."""

    def __init__(self, model: Layer, x: Array, done: Pass, criterion: Loss) -> None:
        self.done, self.criterion = done, criterion
        self.wiring = wire(model, x, done.visits)
        self.parameters = {id(array): name for name, array in model.parameters().items()}
        self.calls: dict[str, list[tuple[int, str, NDArray]]] = {}  # of each parameter: node, key and gradient
        self.axes: dict[str, tuple[str, ...]] = {}
        self.gradients = self._gradients()
        self.stops: list[Stop] = []

    def go(self) -> None:
        """Forward, loss and backward."""
        pages = [self._page(number, node) for number, node in enumerate(self.wiring.nodes)]
        for number, (page, keys) in enumerate(pages):
            self._add("forward", number, page, keys, (each for each in page.steps if _is_forward(each)))
        self._loss()
        for number, (page, keys) in reversed([*enumerate(pages)]):
            self._fork(number)
            self._add("backward", number, page, keys, (each for each in page.steps if not _is_forward(each)))
        self._fork(None)

    def _add(
        self,
        part: str,
        node: int | None,
        page: Explanation,
        keys: dict[str, Key],
        steps: Iterable[Step],
        place: str = "",
    ) -> None:
        place = place or (self.wiring.nodes[node].title if node is not None else part)
        self.stops += [Stop(part, place, node, page, each, keys) for each in steps]

    def _page(self, number: int, node: Node) -> tuple[Explanation, dict[str, Key]]:
        """The explanation of a call, and the keys of its arrays."""
        visit = node.visit or self._joined(node)
        page = Explanation(repr(visit.layer), node.name, aside=False)
        show(page, visit, largest_output(visit.y))
        several = isinstance(visit.x, tuple)
        keys: dict[str, Key] = {"y": ("v", node.writes), "dy": self.gradient(node.writes)}
        for place, value in enumerate(node.reads):
            name = f"x{place + 1}" if several else "x"
            keys |= {name: ("v", value), f"d{name}": ("dx", number, place)}
        for key, gradient in visit.grads.items():
            name = self.parameters[id(getattr(visit.layer if node.visit is None else node.visit.layer, key))]
            self.calls.setdefault(name, []).append((number, key, to_numpy(gradient)))
            for local in (key, *(each for each, long in LEARNED.items() if long == key)):
                for made, what in (
                    (local, ("p", name)),
                    (f"d{local}", ("g", number, key)),
                    (f"d {local}", ("g", number, key)),
                ):
                    if made in page.arrays:
                        keys[made], array = what, page.arrays[made]
                        page.arrays[made] = replace(array, values=array.values.copy())  # an optimizer may write there
                        self.axes[name] = array.axes
        for name in page.arrays:
            keys.setdefault(name, ("own", number, name))
        return page, keys

    def _joined(self, node: Node) -> Visit:
        """What a container does with the results of its children, as a call of a join."""
        parts = tuple(self.wiring.values[each] for each in node.reads)
        y, dy = self.wiring.values[node.writes], self.gradients[node.writes]
        if isinstance(node.layer, Concat):
            return Visit(Concat(), parts, y, None, dy, concat_backward(dy, concat_forward(parts)[1]))
        return Visit(Add(), parts, y, None, dy, (dy,) * len(parts))

    def _gradients(self) -> list[Any]:
        """The gradient of each value, as the layer that wrote it got it; else, the sum of what readers hand back."""
        found: list[Any] = [None] * len(self.wiring.values)
        found[self.wiring.output] = self.done.dy
        for node in [*reversed(self.wiring.nodes), None]:
            value = 0 if node is None else node.writes
            if node is not None and node.visit is not None:
                found[value] = node.visit.dy
            elif found[value] is None:
                found[value] = sum(
                    self._handed_back(reader, place, found) for reader, place in self.wiring.readers(value)
                )
        return found

    def _handed_back(self, node: Node, place: int, gradients: list[Any]) -> Any:
        if node.visit is not None:
            return node.visit.dx[place] if isinstance(node.visit.dx, tuple | list) else node.visit.dx
        dy = gradients[node.writes]
        if isinstance(node.layer, Concat):
            return concat_backward(dy, concat_forward([self.wiring.values[each] for each in node.reads])[1])[place]
        return dy

    def gradient(self, value: int) -> Key:
        """The key of a value's gradient: that of its only reader's, or its own."""
        readers = self.wiring.readers(value)
        if len(readers) == 1 and value != self.wiring.output:
            (node, place) = readers[0]
            return ("dx", self.wiring.nodes.index(node), place)
        return ("dv", value)

    def _fork(self, node: int | None) -> None:
        """The sum of the gradients of a value that several read: what the node writes, or the network's input."""
        value = 0 if node is None else self.wiring.nodes[node].writes
        readers = self.wiring.readers(value)
        if len(readers) < 2 or value == self.wiring.output:
            return
        page = Explanation("", "", "xpcnn.nn.graph")
        axes = letters(self.wiring.values[value].ndim)
        names = [f"d{k + 1}" for k in range(len(readers))]
        keys: dict[str, Key] = {"dv": self.gradient(value)}
        for name, (reader, place) in zip(names, readers, strict=True):
            keys[name] = ("dx", self.wiring.nodes.index(reader), place)
            page.add(name, f"from {reader.title}", axes, to_numpy(self._handed_back(reader, place, self.gradients)))
        page.add("dv", "∂L/∂v", axes, to_numpy(self.gradients[value]))
        said = tuple(equations(graph.__doc__ or ""))
        rule = Sum(*(f"{name}[{','.join(axes)}]" for name in names))
        title = f"Backward: {len(readers)} layers read this value, and their gradients are added"
        page.add_step(title, said, tuple(names), "dv", largest(page.arrays["dv"].values), rule)
        where = "the input" if node is None else self.wiring.nodes[node].title
        self._add("backward", node, page, keys, page.steps, where)

    def _loss(self) -> None:
        page, done = Explanation(repr(self.criterion), "loss"), self.done
        target = np.asarray(to_numpy(done.target))
        if repr(self.criterion) == repr(CrossEntropyLoss()) and target.ndim == 1:
            page.source = "xpcnn.ops.loss_classification"
            done.target = target
            cross_entropy(page, done, (0, int(target[0])))
        else:
            axes = letters(done.output.ndim)
            forward = self.criterion.pair[0] if hasattr(self.criterion, "pair") else None
            if isinstance(forward, partial):  # chosen by `dispatch`, for which the reference is read
                forward = dispatch.implementations(*forward.args)[-1].forward
            page.source = getattr(forward, "__module__", "")
            page.add("y", "the network's outputs", axes, to_numpy(done.output))
            page.add("t", "the targets", letters(target.ndim), target)
            page.add("L", "loss", (), np.asarray(done.loss))
            page.add("dy", "∂L/∂y: backward begins here", axes, to_numpy(done.dy))
            page.add_step(f"Forward: {self.criterion!r}", (), ("y", "t"), "L", (), None)
            page.add_step("Backward: its gradient", (), ("y", "t"), "dy", largest(page.arrays["dy"].values), None)
        keys: dict[str, Key] = {name: ("loss", name) for name in page.arrays}
        keys |= {"y": ("v", self.wiring.output), "dy": ("dv", self.wiring.output)}
        self._add("loss", None, page, keys, page.steps, type(self.criterion).__name__)

    def update(self, optimizer: Optimizer, before: dict[str, Any], after: dict[str, Any], factor: float) -> None:
        """The stops of all parameters."""
        for name in optimizer.parameters:
            calls = self.calls.get(name, [])
            gradient = to_numpy(self.done.grads[name])
            axes = self.axes.get(name, ())
            if len(axes) != gradient.ndim:  # such as those of a layer of sequences
                axes = tuple(f"a{k}" for k in range(gradient.ndim))
            key: Key = ("g", *calls[0][:2]) if len(calls) == 1 else ("G", name)
            if len(calls) > 1:
                self._shared(name, calls, gradient, axes)
            page = update(
                optimizer.of_parameter(name), Updated(name, before[name], after[name], gradient, factor), axes
            )
            keys: dict[str, Key] = {each: ("update", name, each) for each in page.arrays} | {"p": ("p", name), "g": key}
            self._add("update", None, page, keys, page.steps, name)

    def _shared(self, name: str, calls: list[tuple[int, str, NDArray]], total: NDArray, axes: tuple[str, ...]) -> None:
        """The sum of the gradients of a parameter whose layer is called several times."""
        page = Explanation("", name)
        names = [f"d{k + 1}" for k in range(len(calls))]
        keys: dict[str, Key] = {"g": ("G", name)}
        for each, (node, key, gradient) in zip(names, calls, strict=True):
            page.add(each, f"from {self.wiring.nodes[node].title}", axes, gradient.reshape(total.shape))
            keys[each] = ("g", node, key)
        page.add("g", f"∂L/∂p, the gradient of {name}", axes, total)
        rule = Sum(*(f"{each}[{','.join(axes)}]" for each in names))
        page.add_step(f"The gradients of {len(calls)} calls are added", (), tuple(names), "g", largest(total), rule)
        self._add("update", None, page, keys, page.steps, name)


def _is_forward(step: Step) -> bool:
    return not step.title.startswith("Backward")
