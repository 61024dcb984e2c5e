"""Runs a Graph's document with a peer's layers: which entry reads what, in order, and when a value is let go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Wiring:
    """What a `Graph` of the document says of its entries; all of these networks have one input and one output."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.input, self.output = (_one(document[key]) for key in ("inputs", "outputs"))
        self.steps: list[tuple[str, list[str], list[str]]] = []  # an entry, what it reads, what nothing reads later
        last = {name: entry for entry, reads in document["reads"].items() for name in reads}
        for entry, reads in document["reads"].items():
            ended = [name for name in reads if last[name] == entry and name != self.output]
            self.steps.append((entry, list(reads), list(dict.fromkeys(ended))))

    def run(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """The output; `call(entry, x)` runs a layer, with a tuple for one that reads several values."""
        values = {self.input: x}
        for entry, reads, ended in self.steps:
            read = tuple(values[name] for name in reads)
            for name in ended:
                del values[name]
            values[entry] = call(entry, read if len(read) > 1 else read[0])
            del read
        return values[self.output]


def _one(names: Any) -> str:
    [name] = [names] if isinstance(names, str) else names
    return str(name)
