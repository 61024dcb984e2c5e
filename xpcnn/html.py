"""HTML for the cells of a notebook: everything is escaped, and sizes are bounded.

Text has the notebook's own colour, and every other colour is neither dark nor light, so that one page suits both kinds
of themes. Nothing comes from a network, and nothing is a script, except in the frame of a `page`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from .errors import printable, shortened
from .png import data_url

MOST_ROWS = 200  # of a table
MOST_POINTS = 300  # of a curve
MOST_NUMBERS = 25  # rows and columns of a matrix with a number in each cell
SIDE = 64  # pixels of a picture
BLUE, ORANGE = "#3b8fd1", "#d9742b"  # readable on white and on black
_RIGHT, _WRONG = "rgba(59,143,209", "rgba(217,116,43"  # the same, for any opacity
_STYLE = """<style>
.xpcnn{max-width:62em;margin-bottom:.8em;line-height:1.45;overflow-x:auto}
.xpcnn .xpcnn-scroll{max-height:26em;overflow:auto}
.xpcnn table{border-collapse:collapse;margin:.4em 0;font-size:.92em;display:table;width:auto;border:0}
.xpcnn tr,.xpcnn td,.xpcnn th{background:none;color:inherit;border:0}
.xpcnn td,.xpcnn th{padding:.12em .8em .12em 0;text-align:right;white-space:pre;font-variant-numeric:tabular-nums}
.xpcnn .xpcnn-left{text-align:left}
.xpcnn thead tr{border-bottom:1px solid #8889}
.xpcnn tr.xpcnn-total{border-top:1px solid #8889}
.xpcnn table.xpcnn-matrix td{padding:.2em .55em;text-align:center}
.xpcnn .xpcnn-row{display:flex;flex-wrap:wrap;gap:.7em;margin:.5em 0;align-items:flex-end}
.xpcnn figure{margin:0;text-align:center;font-size:.85em;max-width:8em;overflow:hidden;text-overflow:ellipsis}
.xpcnn img{display:block;margin:0 auto .2em;image-rendering:pixelated;border:1px solid #8886;max-width:none}
.xpcnn svg text{fill:currentColor;font:11px sans-serif}
.xpcnn progress{width:16em;max-width:40%;vertical-align:middle;margin:0 .6em}
.xpcnn pre{margin:0;background:none;color:inherit;white-space:pre-wrap}
</style>"""


class Html(str):
    """Text that is HTML already, and is not escaped again."""


def panel(title: str, *parts: Html) -> Html:
    """A cell's output: a title in one line, if it is not empty, and the parts below each other."""
    heading = f"<div><b>{_text(title, 300)}</b></div>" if title else ""
    return Html(f'{_STYLE}<div class="xpcnn">{heading}{"".join(parts)}</div>')


def facts(said: Mapping[str, Any]) -> Html:
    """Names with their values; None is left out."""
    rows = "".join(
        f'<tr><td class="xpcnn-left">{_text(name)}</td><td class="xpcnn-left">{_text(value, 400)}</td></tr>'
        for name, value in said.items()
        if value is not None
    )
    return Html(f"<table><tbody>{rows}</tbody></table>")


def table(
    header: Sequence[str], body: Sequence[Sequence[Any]], total: Sequence[str] = (), *, left: Collection[int] = (0,)
) -> Html:
    """A table as `xpcnn.table.columns` writes it; its first rows, if there are many. A cell that is `Html` stays so."""

    def row(cells: Sequence[Any], tag: str = "td", kind: str = "") -> str:
        written = (
            f"<{tag}{' class=xpcnn-left' if i in left else ''}>{_text(cell, 200)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr{kind}>{''.join(written)}</tr>"

    rows = [row(cells) for cells in body[:MOST_ROWS]]
    if len(body) > MOST_ROWS:
        rows.append(row([f"… and {len(body) - MOST_ROWS} more"]))
    if total:
        rows.append(row(total, kind=" class=xpcnn-total"))
    head = f"<thead>{row(header, 'th')}</thead>"
    return Html(f'<div class="xpcnn-scroll"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>')


def note(text: str) -> Html:
    """A paragraph."""
    return Html(f"<div>{_text(text, 600)}</div>")


def verdict(passed: bool, text: str) -> Html:
    """A word in the colour of what is right, or of what is wrong."""
    return Html(f'<span style="color:{BLUE if passed else ORANGE};font-weight:bold">{_text(text)}</span>')


def pictures(images: Any, captions: Iterable[str]) -> Html:
    """Small pictures side by side, each with its caption.

    Parameters
        images : NumPy array of bytes (N, H, W, 1, 3 or 4); of large ones, only some rows and columns are shown
    """
    step = max(1, -(-max(images.shape[1:3]) // SIDE))
    images = images[:, ::step, ::step]
    zoom = max(1, SIDE // max(images.shape[1:3]))
    size = f'width="{images.shape[2] * zoom}" height="{images.shape[1] * zoom}"'
    shown = (
        f'<figure><img {size} alt="{_text(caption)}" src="{data_url(image)}">{_text(caption, 40)}</figure>'
        for image, caption in zip(images, captions, strict=True)
    )
    return Html(f'<div class="xpcnn-row">{"".join(shown)}</div>')


def curves(name: str, x: Sequence[float], lines: Mapping[str, Sequence[float]]) -> Html:
    """A small diagram, as SVG, of up to two lines over the same x; nothing if no number is finite.

    Parameters
        name : what is drawn
        lines : numbers y by the name of the line; where one is not finite, the line has a gap
    """
    known = [y for line in lines.values() for y in line if math.isfinite(y)]
    if not known:
        return Html("")
    step = -(-len(x) // MOST_POINTS)
    low, high = min(known), max(known)
    left, right, top, bottom = 52, 330, 26, 150
    across, up = (x[-1] - x[0]) or 1, (high - low) or 1
    parts = [f'<text x="{left}" y="14">{_text(name)}</text>']
    for (label, line), colour, at in zip(lines.items(), (BLUE, ORANGE), (160, 250), strict=False):
        if not any(map(math.isfinite, line)):
            continue
        shown = [i for i in range(len(x)) if i % step == 0 or i == len(x) - 1]
        path, points, pen = [], [], "M"
        for i in shown:
            if not math.isfinite(line[i]):
                pen = "M"
                continue
            place = (left + (x[i] - x[0]) / across * (right - left), bottom - (line[i] - low) / up * (bottom - top))
            path.append(f"{pen}{place[0]:.1f} {place[1]:.1f}")
            points.append(f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="2"/>')
            pen = "L"
        drawn = f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        dots = f'<g fill="{colour}">{"".join(points)}</g>' if len(points) <= 40 else ""
        key = f'<rect x="{at}" y="5" width="10" height="10" fill="{colour}"/>'
        parts += [drawn, dots, f'{key}<text x="{at + 14}" y="14">{_text(label)}</text>']
    axes = f"M{left - 6} {top}V{bottom + 6}H{right}"
    parts += [
        f'<path d="{axes}" fill="none" stroke="#888"/>',
        f'<text x="{left - 10}" y="{bottom + 2}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{left - 10}" y="{top + 8}" text-anchor="end">{high:.3g}</text>' if high > low else "",
        f'<text x="{left}" y="{bottom + 20}">{x[0]:g}</text>',
        f'<text x="{right}" y="{bottom + 20}" text-anchor="end">{x[-1]:g}</text>' if len(x) > 1 else "",
    ]
    return Html(f'<svg width="345" height="176" role="img" aria-label="{_text(name)}">{"".join(parts)}</svg>')


def beside(*parts: Html) -> Html:
    """The parts side by side, where there is room."""
    return Html(f'<div class="xpcnn-row">{"".join(parts)}</div>')


def confusion(counts: Any, most: int = 10) -> Html:
    """Counts (K, K) of true (rows) and predicted classes, each cell coloured by its share of the row.

    Of more than 25 classes, a table of the most frequent mistakes.
    """
    size = len(counts)
    if size > MOST_NUMBERS:
        wrong = sorted(((int(counts[i][j]), i, j) for i, j in _mistakes(counts)), key=lambda each: -each[0])[:most]
        return table(("true class", "predicted", "times"), [(str(i), str(j), f"{n:,}") for n, i, j in wrong])
    rows = []
    for i in range(size):
        total = sum(map(int, counts[i])) or 1
        cells = "".join(
            f'<td style="background:{_RIGHT if i == j else _WRONG},{0.75 * math.sqrt(n / total):.2f})">{n or ""}</td>'
            for j, n in enumerate(map(int, counts[i]))
        )
        rows.append(f"<tr><th>{i}</th>{cells}</tr>")
    head = "".join(f"<td>{j}</td>" for j in range(size))
    body = f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return Html(f'<table class="xpcnn-matrix">{body}</table>{note("rows: true classes; columns: predicted ones")}')


def bar(done: int, total: int, before: str, after: str) -> Html:
    """A line with a bar."""
    return Html(f'<div>{_text(before)}<progress value="{done}" max="{total}"></progress>{_text(after, 200)}</div>')


def lines(text: str) -> Html:
    """Lines of text, as they are."""
    return Html(f"<pre>{_text(text, 20_000)}</pre>" if text else "")


def page(document: str, height: int = 640) -> Html:
    """A whole HTML document, in a frame in which its scripts can reach nothing else."""
    frame = f'sandbox="allow-scripts" style="width:100%;height:{height}px;border:1px solid #8886"'
    return Html(f'<iframe {frame} srcdoc="{escape(document)}"></iframe>')


def _mistakes(counts: Any) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in zip(*counts.nonzero(), strict=True) if i != j]


def _text(value: Any, most: int = 80) -> str:
    """The value as text of at most so many characters, escaped; HTML as it is."""
    if isinstance(value, Html):
        return value
    return escape("\n".join(map(printable, shortened(str(value), most).split("\n"))))
