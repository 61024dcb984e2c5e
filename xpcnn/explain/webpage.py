"""An explanation as one self-contained HTML page, without network access or other files.

Without its script, it explains the focus of each step; with the script, every number shown of each result. The script
contains no formulas: this module works out a number's formula and writes it as text with references ("@3.17 is element
17 of array 3"), and the script looks it up.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from ..errors import one_line
from .drawings import drawing_of
from .explanation import Explanation, NamedArray, Piece, Ref, Step, Worked, check_page
from .formatting import Box, Numbers, Table, boxes, cut, equation_line, expression, statistics, tables, worked
from .html_document import html_document
from .picture import heat, photograph

ROWS, COLUMNS, PAGES = 12, 27, 3
IMAGE = 9  # rows and columns of an array with pages: two of them fit side by side
WIDTH = 150  # letters and margins of a wide table
MOST_FORMULAS = 700_000  # characters of formulas for the script
LEVELS = 9  # of colour


def html(page: Explanation, *, precision: int = 4, title: str = "") -> str:
    """The explanation as a self-contained HTML page.

    Parameters
        precision : significant digits
        title : what was explained, such as the file's name; the layer, if it is not given

    >>> import numpy as np
    >>> from xpcnn.explain import explain
    >>> from xpcnn.nn import ReLU
    >>> html(explain(ReLU(), "", np.array([[-1.0, 2.0]], np.float32)))[:15]
    '<!DOCTYPE html>'
    """
    check_page("explain.html", page, precision)
    return _Writer(page, precision).write(one_line(str(title)))


Explanation._as_page = html


class _Writer:
    def __init__(self, page: Explanation, precision: int) -> None:
        self.page, self.precision = page, precision
        self.numbers = {name: Numbers(array.values, precision) for name, array in page.arrays.items()}
        self.order = {name: number for number, name in enumerate(page.arrays)}
        self.sizes = {name: _largest(array) for name, array in page.arrays.items()}
        self.values: dict[str, str] = {}  # of every reference in a formula
        self.formulas: list[dict[str, Any]] = []  # for each step: reference → [formula, remarks …]
        self.room = MOST_FORMULAS

    def write(self, title: str) -> str:
        page = self.page
        kind = page.title.partition("(")[0]
        sections = "".join(self.step(number, step) for number, step in enumerate(page.steps, 1))
        arrays = [[name, list(array.values.shape)] for name, array in page.arrays.items()]
        data = {"arrays": arrays, "values": self.values, "formulas": self.formulas}
        heading = f"{kind} {page.name}".strip() + (f" of {title}" if title else "")
        body = f"""{self.header(title, kind)}
<main>
{sections}</main>
<footer>Made by xpcnn. Orange numbers are above 0, blue ones below; a ring marks the numbers of a formula.</footer>"""
        return html_document(f"{heading}: every gradient", body, data, styles=["page.css"], scripts=["page.js"])

    def header(self, title: str, kind: str) -> str:
        page = self.page
        path = "".join(
            f"<li{' aria-current=true' if name == page.name else ''}><b>{escape(name)}</b> {escape(kind)}</li>"
            for name, kind in page.path
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in page.notes)
        if page.source.startswith("xpcnn.ops"):
            notes += f"<li>The equations are those of <code>{escape(page.source)}</code>.</li>"
        image = ""
        if page.image is not None:
            image = f'<img class="input" alt="the input image" src="{photograph(page.image)}">'
        drawn = None if page.layer is None else drawing_of(page.layer)
        drawing = ""
        if drawn is not None:
            drawing = f"<details><summary>What it reads, and where its gradients go</summary>{drawn.svg()}</details>"
        about = f'<p class="about">{escape(title)}</p>' if title else ""
        nav = f'<nav aria-label="layers of the network"><ol>{path}</ol></nav>' if len(page.path) > 1 else ""
        return f"""<header>
{image}<div>{about}<h1>{escape(kind)}</h1>
<p class="call"><code>{escape(page.title)}</code></p>
<ul class="notes">{notes}</ul>{drawing}</div>
{nav}
</header>"""

    def step(self, number: int, step: Step) -> str:
        said = "".join(f"<p>{escape(note)}</p>" for note in step.notes)
        lines = "\n".join(equation_line(line) for equation in step.equations for line in equation.lines)
        equations = f'<pre class="equations">{escape(lines)}</pre>' if lines else ""
        refs, formula = [], ""
        if step.work is not None:
            done = worked(step)
            refs, formula = done.refs(), self.formula(done)
        around = boxes(self.page, step)
        shown = {}
        for name in (*step.reads, step.makes):
            array = self.page.arrays[name]
            rows, columns = (IMAGE, IMAGE) if array.values.ndim == 4 else (ROWS, self.columns(array, around[name]))
            shown[name] = tables(array, around[name], rows=rows, columns=columns, pages=PAGES)
        self.formulas.append(self.every_formula(step, shown[step.makes]))
        left_out = ""
        if step.work is not None and len(self.formulas[-1]) < sum(
            len(row) for each in shown[step.makes] for row in each.cells
        ):
            left_out = (
                f"<p>To keep this page small, {len(self.formulas[-1])} numbers of this step have their formula.</p>"
            )
        figures = "".join(self.figure(name, shown[name], refs, name == step.makes) for name in shown)
        focus = self.key(Ref(step.makes, step.focus))
        return f"""<section data-focus="{focus}" aria-labelledby="step-{number}">
<h2 id="step-{number}"><span>{number}</span> {escape(step.title)}</h2>
{equations}{said}{left_out}{formula}
<div class="arrays">{figures}</div>
</section>
"""

    def columns(self, array: NamedArray, box: Box) -> int:
        """The number of columns of an array without pages that fit side by side."""
        shown = tables(array, box, rows=ROWS, columns=COLUMNS, pages=1)
        write = self.numbers[array.name]
        longest = max(len(write(float(array.values[index]))) for each in shown for row in each.cells for index in row)
        return min(COLUMNS, WIDTH // (longest + 2))

    def every_formula(self, step: Step, shown: list[Table]) -> dict[str, Any]:
        """The formula of each number of the result that is shown, as long as there is space."""
        found: dict[str, Any] = {}
        cells = [index for table in shown for row in table.cells for index in row]
        for index in sorted(cells, key=lambda index: index != step.focus) if step.work else ():
            if self.room < 0:
                break
            done = step.work(index)  # type: ignore[misc]
            remarks = [
                [label, self.template(pieces), self.amount(done, value)] for label, pieces, value in done.remarks
            ]
            template = self.template(done.pieces)
            self.template((done.target,))
            found[self.key(done.target)] = [template, *remarks]
            self.room -= len(template) + 20
        return found

    def template(self, pieces: tuple[Piece, ...]) -> str:
        """The pieces as text with references; their numbers are kept for the script."""
        for piece in pieces:
            if isinstance(piece, Ref):
                self.values[self.key(piece)] = self.number(piece)
        return "".join(piece if isinstance(piece, str) else f"@{self.key(piece)}" for piece in pieces)

    def formula(self, done: Worked) -> str:
        """The three lines, and the remarks, which the script later replaces with those of other numbers."""

        def mark(ref: Ref, number: str) -> str:
            return f'<span data-r="{self.key(ref)}">{escape(number)}</span>'

        symbols = expression(done.pieces, str, mark=mark, words=escape)
        numbers = expression(done.pieces, self.number, mark=mark, words=escape)
        remarks, value = "", self.number(done.target)
        hidden = " hidden" if expression(done.pieces, self.number) == value else ""
        for label, pieces, amount in done.remarks:
            remarks += f"<li>{escape(label)}"
            if pieces:
                written = expression(pieces, self.number, mark=mark, words=escape)
                remarks += (
                    f": {expression(pieces, str, mark=mark, words=escape)} = {written} = {self.amount(done, amount)}"
                )
            remarks += "</li>"
        return f"""<div class="formula" role="status">
<p class="symbols"><b>{mark(done.target, str(done.target))}</b> = <span>{symbols}</span></p>
<p class="numbers"{hidden}>= <span>{numbers}</span></p>
<p class="value">= <b>{value}</b></p>
<ul>{remarks}</ul></div>"""

    def figure(self, name: str, shown: list[Table], refs: list[Ref], result: bool) -> str:
        array = self.page.arrays[name]
        shape = " × ".join(
            f"{escape(letter)}&nbsp;{size}" for letter, size in zip(array.axes, array.values.shape, strict=True)
        )
        left_out = cut(array, shown)
        rest = f"<br><small>{statistics(array, self.precision)}; {escape(left_out)}</small>" if left_out else ""
        body = "".join(self.table(array, table, refs, bool(left_out)) for table in shown)
        return f"""<figure{' class="result"' if result else ""}>
<figcaption><b>{escape(name)}</b> {escape(array.meaning)} <small>{shape}</small>{rest}</figcaption>
<div class="tables">{body}</div></figure>
"""

    def table(self, array: NamedArray, table: Table, refs: list[Ref], overview: bool) -> str:
        (row_name, rows), (column_name, columns) = table.rows, table.columns
        picture = self.overview(array, table) if overview and rows else ""
        caption = f"<caption>{escape(table.title)}{picture}</caption>" if table.title or picture else ""
        corner = escape(f"{row_name} \\ {column_name}" if row_name else column_name)
        head = "".join(f'<th scope="col">{column}</th>' for column in columns)
        body = ""
        for row, cells in enumerate(table.cells):
            label = f'<th scope="row">{rows[row] if rows else ""}</th>'
            body += f"<tr>{label}{''.join(self.cell(array, index, refs) for index in cells)}</tr>"
        heading = f"<thead><tr><th>{corner}</th>{head}</tr></thead>" if columns else ""
        return f"<table>{caption}{heading}<tbody>{body}</tbody></table>"

    def cell(self, array: NamedArray, index: tuple[int, ...], refs: list[Ref]) -> str:
        ref = Ref(array.name, index)
        kinds = [_level(float(array.values[index]), self.sizes[array.name])]
        if ref in refs:
            kinds.append("target" if ref == refs[0] else "term")
        return f'<td data-r="{self.key(ref)}" class="{" ".join(kinds)}">{self.number(ref)}</td>'

    def overview(self, array: NamedArray, table: Table) -> str:
        """The whole matrix, with a frame around the part in the table."""
        first = table.cells[0][0]
        down, across = (k for k, letter in enumerate(array.axes) if letter in (table.rows[0], table.columns[0]))
        matrix = array.values[tuple(slice(None) if k in (down, across) else at for k, at in enumerate(first))]
        height, width = matrix.shape
        if (height, width) == (len(table.rows[1]), len(table.columns[1])):
            return ""
        frame = (
            f'<rect x="{table.columns[1][0]}" y="{table.rows[1][0]}" width="{len(table.columns[1])}" '
            f'height="{len(table.rows[1])}"/>'
        )
        return (
            f'<svg viewBox="0 0 {width} {height}" class="overview" role="img" aria-label="all of it" '
            f'preserveAspectRatio="none"><image href="{heat(matrix, self.sizes[array.name])}" width="{width}" '
            f'height="{height}" preserveAspectRatio="none"/>{frame}</svg>'
        )

    def key(self, ref: Ref) -> str:
        shape = self.page.arrays[ref.array].values.shape
        return f"{self.order[ref.array]}.{int(np.ravel_multi_index(ref.at, shape)) if shape else 0}"

    def number(self, ref: Ref) -> str:
        return self.numbers[ref.array](self.page.value(ref))

    def amount(self, done: Worked, value: float) -> str:
        return self.numbers[done.target.array](value)


def _largest(array: NamedArray) -> float:
    finite = np.abs(array.values[np.isfinite(array.values)])
    return float(finite.max(initial=0.0))


def _level(value: float, size: float) -> str:
    """The class of a cell's colour: p1 … p9 above 0, n1 … n9 below, z at 0."""
    if not value or not np.isfinite(value) or not size:
        return "z"
    level = max(1, round(LEVELS * abs(value) / size))
    return f"{'p' if value > 0 else 'n'}{level}"
