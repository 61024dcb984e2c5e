"""A graph of layers to layers within layers: chains become `Sequential`, branches `Residual` and `Concat`.

Where branches end, they have begun at the last value that all of them come from: the one that every path from the
input goes through (the immediate dominator).

Source: K. Cooper, T. Harvey and K. Kennedy, A simple, fast dominance algorithm, 2001.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import FormatError
from ...io.architecture import MOST_DEPTH
from ...nn.container import Sequential
from ...nn.layer import Layer
from .scope import Step


def assemble(steps: Mapping[str, Step], source: str, target: str, who: str) -> Sequential:
    """The network that makes the value `target` of the value `source`.

    Parameters
        steps : how each value is made, in the order in which they run
        who : the file's name, for errors
    Raises
        FormatError : branches cross, or are too deep
    """
    forks = _forks(steps, source)
    made: set[str] = set()

    def chain(start: str, end: str, depth: int) -> list[Layer]:
        layers: list[Layer] = []
        if depth > MOST_DEPTH:
            raise FormatError(who, f"branches within branches, at most {MOST_DEPTH} deep", "deeper ones")
        while end != start:
            if end in made:
                remedy = "only branches that end where one of them began can be read"
                raise FormatError(who, f"one use of {end[:80]!r}, within its branch", "several", remedy)
            made.add(end)
            step = steps[end]
            if step.join is not None:
                fork = forks[end]
                layers.append(step.join(*(_one(chain(fork, branch, depth + 1)) for branch in step.inputs)))
                end = fork
            else:
                layers += [] if step.layer is None else [step.layer]
                end = step.inputs[0]
        return layers[::-1]

    return Sequential(*chain(source, target, 0))


def _forks(steps: Mapping[str, Step], source: str) -> dict[str, str]:
    """For each value, the last one before it that every path from the source to it goes through."""
    forks = {source: source}
    place = {source: 0}
    for name, step in steps.items():
        if name != source:
            fork = step.inputs[0]
            for other in step.inputs[1:]:
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
