"""A network as a small diagram: a box for each call of a layer, and the values that flow between them."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from .wiring import Node, Wiring

WIDTH, HEIGHT, GAP = 168, 24, 14  # of a box, and between rows
MOST_LETTERS = 18


def diagram(wiring: Wiring, marks: Callable[[int], str] = lambda number: "", link: Callable[[int], str] = str) -> str:
    """An SVG, in the colour of the text around it.

    Parameters
        marks : of a call's number, more of the SVG at the right end of its box; with its right edge at 0
        link : of a call's number, where its box leads; not a link if empty
    """
    places = _places(wiring)
    wide = 1 + max((column for _, column in places.values()), default=0)
    deep = 1 + max((row for row, _ in places.values()), default=0)
    lines, boxes = [], []
    for number, node in enumerate(wiring.nodes):
        for value in node.reads:
            lines.append(_line(places[value], places[node.writes]))
        boxes.append(_box(node, places[node.writes], marks(number), link(number)))
    lines.append(_line(places[wiring.output], (deep, places[wiring.output][1])))
    ends = _label("input", places[0]) + _label("loss", (deep, places[wiring.output][1]))
    width, height = wide * (WIDTH + GAP) + 2 * GAP, (deep + 1) * (HEIGHT + GAP)
    return (
        f'<svg class="wiring" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="the network" fill="none" stroke="currentColor" font-size="12" '
        f'font-family="system-ui, sans-serif">'
        f"{''.join(lines)}{''.join(boxes)}{ends}</svg>"
    )


def _places(wiring: Wiring) -> dict[int, tuple[int, int]]:
    """Row and column of each value's writer; below what it reads, in the same column if that is free."""
    places, taken = {0: (0, 0)}, {(0, 0)}
    for node, row in zip(wiring.nodes, wiring.depths(), strict=True):
        column = min(places[value][1] for value in node.reads)
        while (row, column) in taken:
            column += 1
        places[node.writes] = (row, column)
        taken.add((row, column))
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    row, column = place
    return GAP + column * (WIDTH + GAP), row * (HEIGHT + GAP) + GAP // 2


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (u, v) = _corner(start), _corner(end)
    x, u, y = x + WIDTH // 2, u + WIDTH // 2, y + HEIGHT
    if end[0] - start[0] > 1 and x == u:  # around the boxes between
        side = x + WIDTH // 2 + GAP // 2
        way = f"M{x + 40},{y} Q{side},{y} {side},{y + GAP} V{v - GAP} Q{side},{v} {u + 40},{v}"
        return f'<path d="{way}"/>'
    return f'<path d="M{x},{y} C{x},{v} {u},{y} {u},{v}"/>'


def _box(node: Node, place: tuple[int, int], marks: str, link: str) -> str:
    x, y = _corner(place)
    title = node.title if len(node.title) <= MOST_LETTERS else f"{node.title[: MOST_LETTERS - 1]}…"
    box = (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x + 8}" y="{y + 16}" fill="currentColor" stroke="none">{escape(title)}<title>{escape(node.title)}'
        f"</title></text>"
    )
    box = f'<a href="{link}">{box}</a>' if link.startswith("#") else box
    return f'{box}<g transform="translate({x + WIDTH} {y + 16})">{marks}</g>' if marks else box


def _label(text: str, place: tuple[int, int]) -> str:
    x, y = _corner(place)
    return (
        f'<text x="{x + WIDTH // 2}" y="{y + 16}" fill="currentColor" stroke="none" text-anchor="middle">{text}</text>'
    )
