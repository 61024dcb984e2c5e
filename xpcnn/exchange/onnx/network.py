"""What an ONNX graph's values are made of, to a network: a chain is a `Sequential`, everything else a `Graph`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ...io.architecture import MOST_NAME
from ...nn import Graph, Identity, Layer, Sequential
from .graph_state import GraphState
from .value import Made

_INPUT = "x"


def assemble(state: GraphState, targets: Sequence[str]) -> tuple[Sequential | Graph, list[str]]:
    """The network that makes the values of these names of the graph's inputs, and the names of those that it needs.

    A graph's entries have their nodes' names, in letters that names of parameters may have.
    """
    inputs = [each.name for each in state.contents.inputs]
    made = {name: known for name, known in state.known.items() if isinstance(known, Made)}
    stands_for: dict[str, str] = {}  # where nothing is computed: the value that it is
    for name, each in made.items():
        same = name not in inputs and each.layer is None
        stands_for[name] = stands_for[each.inputs[0]] if same else name
    ends = [stands_for[name] for name in targets]
    needed, rest = set[str](), list(ends)
    while rest:
        name = rest.pop()
        if name not in needed:
            needed.add(name)
            rest += (stands_for[each] for each in made[name].inputs)
    sources = [name for name in inputs if name in needed]
    names = [name for name in made if name in needed and name not in sources]
    reads = {name: tuple(stands_for[each] for each in made[name].inputs) for name in names}
    layers: dict[str, Layer] = {name: layer for name in names if (layer := made[name].layer) is not None}
    if len(ends) == 1 and list(reads.values()) == [(before,) for before in [sources[0], *names][: len(names)]]:
        return Sequential(*layers.values()), sources
    safe = _Names()
    called = {name: safe.give(_INPUT if len(sources) == 1 else name) for name in sources}
    given = list(called.values())
    called |= {name: safe.give(state.node_name(name)) for name in names}
    entries: dict[str, tuple[Layer | str, ...]] = {
        called[name]: (layers[name], *(called[each] for each in reads[name])) for name in names
    }
    outputs: list[str] = []
    for name, end in zip(targets, ends, strict=True):
        output = called[end]
        if output in (*given, *outputs):  # which no entry makes for this output alone
            entries[again := safe.give(name)] = (Identity(), output)
            output = again
        outputs.append(output)
    return Graph(entries, inputs=given, outputs=outputs), sources


class _Names:
    """Names of entries, each once."""

    def __init__(self) -> None:
        self.taken = set[str]()
        self.times: Counter[str] = Counter()

    def give(self, name: str) -> str:
        """The name in letters, digits and underlines; its end, where it is long."""
        plain = name = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[-MOST_NAME:] or "entry"
        while name in self.taken:
            self.times[plain] += 1
            number = f"_{self.times[plain] + 1}"
            name = plain[-MOST_NAME + len(number) :] + number
        self.taken.add(name)
        return name
