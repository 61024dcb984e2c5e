"""A network as a graph of entries; each entry is a layer and the names of the values that it reads.

A value v that several entries read gets its gradient from all of them:

    ∂L/∂v = Σ over the uses of v                                                                          (1)

Forward runs each entry after those that it reads. Backward runs the entries in reverse order, and adds.

    >>> from xpcnn.nn import Add, Conv2d, Graph, ReLU
    >>> net = Graph({
    ...     "conv1": (Conv2d(3, 8, 3, padding=1, rng=0), "x"),
    ...     "relu": (ReLU(), "conv1"),
    ...     "conv2": (Conv2d(8, 8, 3, padding=1, rng=1), "relu"),
    ...     "y": (Add(), "conv2", "conv1"),
    ... })
    >>> net.output_shape((16, 16, 3))
    (16, 16, 8)
    >>> list(net.parameters())
    ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, Self

from ..backend import array_namespace
from ..errors import OptionError, ShapeError
from ..ops import dispatch
from ..ops.check import check_cache
from ..settings import once
from ..typing import Array, Cache, Shape
from .activation import Identity
from .container import Container, RunChild
from .display import written
from .entries import as_entry_names, in_order, parse_entries
from .frozen_part import Divided, can_stay, has_frozen
from .fusion import inference_steps, training_steps
from .layer import Layer


class _Step(NamedTuple):
    """One call, of an entry's layer or of several fused layers."""

    name: str  # of the entry, or of the first of several
    run: Any  # in inference the function to call; in training the options of the layer's forward
    reads: tuple[str, ...]
    writes: str
    frees: tuple[str, ...]  # values that nothing reads later


class Graph(Container):
    """Layers wired as data; see the module's docstring for an example.

    Parameters
        entries : {name: (layer, names of the values that it reads, …)}, in any order. A layer that reads one value is
            called with it, a layer that reads several (a join, such as `Add`) with a tuple. Names contain no dot
        inputs : name of the input, or names of several; the network is then called with a tuple, or a mapping by name
        outputs : name of the output entry, or names of several, which are then returned as a tuple in that order;
            None takes the last entry
    Raises
        OptionError : an unknown, repeated or invalid name, a cycle, an entry or input that nothing reads, or a layer
            that reads the wrong number of values; the error names the entry

    >>> import numpy as np
    >>> from xpcnn.nn import Add, Linear
    >>> graph = Graph({"left": (Linear(2, 3), "x"), "right": (Linear(2, 3), "x"), "sum": (Add(), "left", "right")})
    >>> graph(np.ones((1, 2), np.float32)).shape
    (1, 3)
    """

    config_names = ("reads", "inputs", "outputs")

    def __init__(
        self,
        entries: Mapping[str, tuple[Any, ...]],
        *,
        inputs: str | Sequence[str] = "x",
        outputs: str | Sequence[str] | None = None,
    ) -> None:
        layers, reads = parse_entries(entries)
        self.inputs = as_entry_names("inputs", inputs)
        self.outputs = as_entry_names("outputs", [*layers][-1] if outputs is None else outputs)
        order = in_order(reads, self.inputs)
        self.reads = {name: reads[name] for name in order}
        self.arity = (len(self.inputs), len(self.inputs))
        super().__init__({name: layers[name] for name in order})

    @classmethod
    def from_children(cls, children: Mapping[str, Layer], **config: Any) -> Self:
        reads, outputs = config.pop("reads", {}), as_entry_names("outputs", config.pop("outputs", None))
        if not isinstance(reads, Mapping) or reads.keys() != children.keys():
            raise OptionError("Graph", "reads: what each of its children reads", repr(reads)[:80])
        entries = {
            name: (child, *as_entry_names(f"what {name} reads", reads[name])) for name, child in children.items()
        }
        return cls(entries, outputs=outputs, **config)

    def run_children(self, x: Any, run: RunChild) -> Any:
        values = self._by_name(x, self.inputs, "input")
        for name, child in self._children.items():
            values[name] = run(name, child, _read(values, self.reads[name]))
        return _read(values, self.outputs)

    def run_inference(self, x: Any, run: RunChild) -> Any:
        values = self._by_name(x, self.inputs, "input")
        for step in self._inference:
            values[step.writes] = run(step.name, step.run, _read(values, step.reads))
            for name in step.frees:
                del values[name]
        return _read(values, self.outputs)

    def forward(self, x: Any) -> tuple[Any, Cache]:
        if self.divided is not None:
            return self.divided.forward(x)
        values = self._by_name(x, self.inputs, "input")
        caches = []
        with once():
            for step in self._training:
                values[step.writes], cache = self.forward_child(step.name, _read(values, step.reads), **step.run)
                caches.append(cache)
                for name in step.frees:
                    del values[name]
        return _read(values, self.outputs), caches

    def backward(self, dy: Any, cache: Cache, *, input_grad: bool = True) -> tuple[Any, dict[str, Array]]:
        """As in every layer. For several outputs, dy is a tuple or mapping, with None for unused outputs."""
        if self.divided is not None:
            return self.divided.backward(dy, cache, input_grad=input_grad)
        check_cache(type(self).__name__, cache, type(cache) is list and len(cache) == len(self._training))
        wanted = self._wanted[input_grad]
        waiting = self._by_name(dy, self.outputs, "dy")
        complete, grads = all(all(_there(each)) for each in waiting.values()), dict[str, Array]()
        with once():
            for step, each in zip(reversed(self._training), reversed(cache), strict=True):
                gradient = waiting.pop(step.writes, None)
                if step.writes not in wanted or not any(_there(gradient)):
                    continue
                asked = any(name in wanted for name in step.reads)
                dx = self.backward_child(step.name, gradient, each, grads, asked)
                if asked:
                    parts: Any = (dx,) if len(step.reads) == 1 else dx
                    for name, part in zip(step.reads, parts, strict=True):
                        if name in wanted:
                            waiting[name] = _add(waiting.get(name), part)  # (1)
        if not complete:
            own = self.parameters().items()
            grads = {name: grads[name] if name in grads else array_namespace(p).zeros_like(p) for name, p in own}
        dx = _read({name: waiting.get(name) for name in self.inputs}, self.inputs) if input_grad else None
        return dx, grads

    def zeros(self, input_shape: Shape) -> Any:
        """One item of zeros; for several inputs, `input_shape` is a sequence of shapes."""
        if len(self.inputs) == 1:
            return super().zeros(input_shape)
        if len(input_shape) != len(self.inputs) or not all(isinstance(each, tuple | list) for each in input_shape):
            raise ShapeError("Graph", f"a shape for each of {', '.join(self.inputs)}", str(input_shape))
        return tuple(super(Graph, self).zeros(tuple(shape)) for shape in input_shape)  # type: ignore[arg-type]

    def _check(self) -> None:
        if unknown := [name for name in self.outputs if name not in self.reads]:
            raise OptionError("Graph", "outputs: entries", repr(unknown[0]), f"there are {', '.join(self.reads)[:200]}")
        read = Counter(name for names in self.reads.values() for name in names)
        for name in (*self.inputs, *self.reads):
            if not read[name] and name not in self.outputs:
                raise OptionError(f"Graph, {name}", "an entry that reads it", "none", "make it an output, or drop it")
        for name, names in self.reads.items():
            values = [self._values(each) for each in names]
            if len(values) > 1 and max(values) > 1:
                group = names[values.index(max(values))]
                raise OptionError(f"Graph, {name}", f"{group}, which is several values, alone", ", ".join(names))
            least, most = self._children[name].arity
            if not least <= sum(values) <= (sum(values) if most is None else most):
                number = f"{least} or more" if most is None else str(least) if least == most else f"{least} to {most}"
                got = f"{sum(values)}: {', '.join(names)}"
                raise OptionError(f"Graph, {name}", f"{number} values for {type(self._children[name]).__name__}", got)

    def _values(self, name: str) -> int:
        """The number of arrays in the named value; that of a graph within a graph may have several."""
        return len(child.outputs) if isinstance(child := self._children.get(name), Graph) else 1

    def _find_steps(self) -> None:
        self._check()
        training, inference = [], []
        for chain in self._chains():
            layers = {name: self._children[name] for name in chain}
            training += _wire(training_steps(layers), self.reads[chain[0]], chain[-1])
            inference += _wire(inference_steps(layers), self.reads[chain[0]], chain[-1])
        self._training, self._inference = (_freeing(steps, self.outputs) for steps in (training, inference))
        self._wanted = {input_grad: self._find_wanted(input_grad) for input_grad in (False, True)}
        if has_frozen(self):
            self.divided = self._divide()

    def _divide(self) -> Divided | None:
        """The frozen entries that depend on nothing trained, and the others; None if one of them is an output."""
        first = set(self.inputs)
        for name, child in self._children.items():
            if first.issuperset(self.reads[name]) and can_stay(child):
                first.add(name)
        rest = {name: reads for name, reads in self.reads.items() if name not in first}
        if first == set(self.inputs) or not first.isdisjoint(self.outputs):
            return None
        between = {name: name for reads in rest.values() for name in reads if name in first}  # names in the first part
        entries: dict[str, tuple[Any, ...]] = {n: (self._children[n], *self.reads[n]) for n in self.reads if n in first}
        for name in between.keys() & set(self.inputs):  # an input that both parts read
            between[name] = next(each for i in count() if (each := f"{name}_{i}") not in (*self.reads, *self.inputs))
            entries[between[name]] = (Identity(), name)
        frozen = Graph(entries, inputs=self.inputs, outputs=[*between.values()])
        after = {name: (self._children[name], *reads) for name, reads in rest.items()}
        return Divided(frozen, Graph(after, inputs=[*between], outputs=self.outputs))

    def _chains(self) -> list[list[str]]:
        """Divide the entries into chains: each entry but the first is the only one that reads the entry before it.

        A chain takes the position of its last entry, where all values that it reads exist.
        """
        uses = Counter([name for names in self.reads.values() for name in names] + [*self.outputs])
        chains: dict[str, list[str]] = {}  # by their last entry
        for name, names in self.reads.items():
            chain = chains.pop(names[0]) if len(names) == 1 and names[0] in chains and uses[names[0]] == 1 else []
            chains[name] = [*chain, name]
        return list(chains.values())

    def _find_wanted(self, input_grad: bool) -> set[str]:
        """The values whose gradients are needed, for trained parameters or for an input."""
        wanted = set(self.inputs) if input_grad else set[str]()
        for step in self._training:
            if step.name in self._trained or any(name in wanted for name in step.reads):
                wanted.add(step.writes)
        return wanted

    def _by_name(self, given: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
        """The given arrays by these names."""
        if len(names) == 1 and not isinstance(given, Mapping):
            return {names[0]: given}
        expected = f"{what}: arrays {', '.join(names)}, as a tuple or by name"
        if isinstance(given, Mapping):
            if given.keys() != set(names):
                raise OptionError("Graph", expected, ", ".join(map(str, given))[:80] or "none")
            return {name: given[name] for name in names}
        if not isinstance(given, tuple | list) or len(given) != len(names):
            got = str(len(given)) if isinstance(given, tuple | list) else type(given).__name__
            raise OptionError("Graph", expected, got)
        return dict(zip(names, given, strict=True))

    def __repr__(self) -> str:
        parts = {f"({name}) {', '.join(self.reads[name])} →": each for name, each in self._children.items()}
        return written(f"Graph({', '.join(self.inputs)} → {', '.join(self.outputs)}", parts)


def _wire(steps: Sequence[tuple[str, Any]], reads: tuple[str, ...], last: str) -> list[_Step]:
    """The steps of a chain that reads `reads` and writes the value of its last entry."""
    wired = []
    for i, (name, run) in enumerate(steps):
        writes = last if i == len(steps) - 1 else f"{name}."  # no entry's name contains a dot
        wired.append(_Step(name, run, reads, writes, ()))
        reads = (writes,)
    return wired


def _freeing(steps: Sequence[_Step], outputs: tuple[str, ...]) -> list[_Step]:
    """The steps, each of which frees the values that no later step reads."""
    kept, freeing = set(outputs), list[_Step]()
    for step in reversed(steps):
        frees = tuple(dict.fromkeys(name for name in step.reads if name not in kept))
        kept.update(frees)
        freeing.append(step._replace(frees=frees))
    return freeing[::-1]


def _read(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return values[names[0]] if len(names) == 1 else tuple(values[name] for name in names)


def _there(dv: Any) -> list[bool]:
    """For each array of a gradient, whether it is there, or None."""
    return [each for part in dv for each in _there(part)] if isinstance(dv, tuple | list) else [dv is not None]


def _add(one: Any, other: Any) -> Any:
    """The sum of two gradients of one value, which is an array, None, or several of them."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, tuple | list):
        return tuple(_add(a, b) for a, b in zip(one, other, strict=True))
    return dispatch.output("add", one, other)
