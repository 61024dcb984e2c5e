"""A graph of layers to layers within layers: chains become `Sequential`, branches `Residual` and `Concat`.

Where branches end, they have begun at the last value that all of them come from: the one that every path from the
input goes through (the immediate dominator).

Source: K. Cooper, T. Harvey and K. Kennedy, A simple, fast dominance algorithm, 2001.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import FormatError
from ...io.architecture import MOST_DEPTH
from ...nn.layer import Layer
from ...nn.sequential import Sequential
from .graph_state import Made


def assemble(values: Mapping[str, Made], source: str, target: str, who: str) -> Sequential:
    """The network that makes the value `target` of the value `source`.

    Parameters
        values : how each value is made, in the order in which they run
        who : the file's name, for errors
    Raises
        FormatError : branches cross, or are too deep
    """
    forks = _forks(values, source)
    used: set[str] = set()

    def chain(start: str, end: str, depth: int) -> list[Layer]:
        layers: list[Layer] = []
        if depth > MOST_DEPTH:
            raise FormatError(who, f"branches within branches, at most {MOST_DEPTH} deep", "deeper ones")
        while end != start:
            if end in used:
                remedy = "only branches that end where one of them began can be read"
                raise FormatError(who, f"one use of {end[:80]!r}, within its branch", "several", remedy)
            used.add(end)
            made = values[end]
            if made.join is not None:
                fork = forks[end]
                layers.append(made.join(*(_one(chain(fork, branch, depth + 1)) for branch in made.inputs)))
                end = fork
            else:
                layers += [] if made.layer is None else [made.layer]
                end = made.inputs[0]
        return layers[::-1]

    return Sequential(*chain(source, target, 0))


def _forks(values: Mapping[str, Made], source: str) -> dict[str, str]:
    """For each value, the last one before it that every path from the source to it goes through."""
    forks = {source: source}
    place = {source: 0}
    for name, made in values.items():
        if name != source:
            fork = made.inputs[0]
            for other in made.inputs[1:]:
                while fork != other:  # the later of the two cannot be where the paths have met
                    if place[fork] < place[other]:
                        other = forks[other]
                    else:
                        fork = forks[fork]
            forks[name], place[name] = fork, len(place)
    return forks


def _one(layers: list[Layer]) -> Layer | None:
    """The layers as one, or None if there are none."""
    if not layers:
        return None
    return layers[0] if len(layers) == 1 else Sequential(*layers)
