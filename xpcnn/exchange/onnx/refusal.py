"""Why no network can be read from a file: all kinds of operators that stop it, where each is first, and what helps."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ...errors import FormatError
from .file import Node
from .graph_state import GraphState
from .operators import READERS
from .value import Made

_OUT_OF_SCOPE = {
    "recurrent": ("LSTM", "GRU", "RNN"),
    "attention": ("Attention", "MultiHeadAttention", "RotaryEmbedding"),
    "quantised": (
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
        *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
    ),
    "control flow": ("If", "Loop", "Scan"),
}
_KIND = {operator: kind for kind, operators in _OUT_OF_SCOPE.items() for operator in operators}


def refusal(state: GraphState, targets: Iterable[str], parts: Collection[str]) -> FormatError | None:
    """The error of the first node that stops these values, with all others in its remedy; None if none does.

    Parameters
        parts : operators that stand within layers of several: where these are stopped before, they are not at fault
    """
    found = _stops(state, targets)
    if not found:  # but an input may
        return next((known for name in targets if isinstance(known := state.known.get(name), FormatError)), None)
    stops = [(node, error) for node, error in found if node.operator not in parts] or found
    node, error = stops[0]
    error.remedy = "; ".join(filter(None, (error.remedy, _others(stops), _way_out(state, node))))
    return error


def _stops(state: GraphState, targets: Iterable[str]) -> list[tuple[Node, FormatError]]:
    """The nodes that are no layer themselves, and not because of what they read, in the order of the file."""
    rest, seen = list(targets), set[str]()
    found: dict[int, FormatError] = {}
    while rest:
        name = rest.pop()
        known, node = state.known.get(name), state.producer(name)
        if name in seen or node is None or not isinstance(known, FormatError):
            continue
        seen.add(name)
        own = not any(state.known.get(each) is known for each in node.inputs)
        if own:
            found[id(node)] = known
        if not own or node.operator not in READERS:  # else what it reads is not at fault
            rest += node.inputs
    return [(node, found[id(node)]) for node in state.contents.nodes if id(node) in found]


def _others(stops: list[tuple[Node, FormatError]]) -> str:
    """How many nodes of each kind there are, and which is the first."""
    kinds: dict[str, list[Node]] = {}
    for node, _ in stops:
        kinds.setdefault(node.operator, []).append(node)
    if len(stops) == 1 and stops[0][0].operator not in _KIND:
        return ""
    rows = []
    for operator, nodes in kinds.items():
        kind = f", {_KIND[operator]}" if operator in _KIND else ""
        rows.append(f"{len(nodes)} {operator[:40]} (first {nodes[0].name[:60]}{kind})")
    more = f" and {len(rows) - 6} more kinds" if len(rows) > 6 else ""
    return f"what stops the file: {', '.join(rows[:6])}{more}"


def _way_out(state: GraphState, node: Node) -> str:
    """What can be read of the file as it is."""
    others = [name for name in state.contents.outputs if isinstance(state.known.get(name), Made)]
    before = [name for name in node.inputs if state.producer(name) and isinstance(state.known.get(name), Made)]
    if others:
        return f"output={others[0][:60]!r} can be read"
    return f"output={before[0][:60]!r} reads what comes before" if before else ""
