"""The page of a training step: each array once, and a rule for each stop, by which the script works out any number."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

import numpy as np

from ..errors import one_line
from ..typing import NDArray
from .diagram import diagram
from .drawings import drawing_of
from .explanation import Explanation, NamedArray, check_precision
from .formatting import Numbers, equation_line, statistics
from .html_document import html_document
from .picture import photograph
from .rules import tree
from .walk import Key, Record, Stop

MOST_NUMBERS = 800_000  # that a page holds: 4.3 MB
PARTS = {"forward": "Forward", "loss": "The loss", "backward": "Backward", "update": "The update"}


def write(walk: Record, *, title: str = "", precision: int = 4, more: str = "") -> str:
    """The page.

    Parameters
        title : what was trained, such as a file's name
        precision : significant digits
        more : HTML at the end of the page
    """
    check_precision("step.html", precision)
    return _Writer(walk, precision).write(one_line(str(title)), more)


class _Writer:
    def __init__(self, walk: Record, precision: int) -> None:
        self.walk, self.precision = walk, precision
        self.arrays: dict[Key, NDArray] = {("v", number): value for number, value in enumerate(walk.values)}
        for stop in walk.stops:
            for name, array in stop.page.arrays.items():
                if not array.of:
                    self.arrays.setdefault(stop.keys[name], array.values)
        self.number = {key: number for number, key in enumerate(self.arrays)}
        self.groups: dict[int, int] = {}
        self.members: list[list[Any]] = []
        self.names: list[dict[str, int]] = []
        self.left_out = 0
        self.drawn: set[Any] = set()  # nodes, and pictures

    def write(self, title: str, more: str) -> str:
        stops = [self.stop(stop) for stop in self.walk.stops]
        data = {"arrays": self.payloads(), "groups": self.members, "stops": stops, "precision": self.precision}
        body = f"""{self.header(title)}
<main>
<noscript><p>The numbers of this page are worked out by its script, which is switched off.</p></noscript>
{self.sections()}
{self.after()}
{more}
</main>
<footer>Made by xpcnn. Orange numbers are above 0, blue ones below. Click on any number to see what it is made of; n and
p go to the next and the previous stop.</footer>
<div class="bar"><button id="back" title="previous stop: p">‹</button> <a id="here" href="#s0"></a>
<button id="next" title="next stop: n">›</button></div>"""
        name = "A training step" + (f" of {title}" if title else "")
        styles, scripts = ("page.css", "step.css"), ("numbers.js", "step.js")
        return html_document(name, body, data, styles=styles, scripts=scripts, kind="walk")

    def header(self, title: str) -> str:
        walk = self.walk
        notes = [*walk.notes, f"Optimizer: {walk.optimizer}"]
        if self.left_out:
            notes.append(
                f"To keep this page small, {self.left_out} large arrays are not whole: only those of their numbers are "
                f"here that the first formula of each stop needs. xpcnn explain RUN LAYER IMAGE shows one layer's."
            )
        image = f'<img class="input" alt="the input" src="{photograph(walk.image)}">' if walk.image is not None else ""
        about = f'<p class="about">{escape(title)}</p>' if title else ""
        return f"""<header>
{image}<div>{about}<h1>One training step</h1>
<p class="losses">Loss {walk.loss:.4g} <b>→ {walk.loss_after:.4g}</b></p>
<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul></div>
</header>
<nav aria-label="the network"><p>A layer leads to its forward, ∂ to its backward, Δ to its update.</p>
{self.diagram()}</nav>"""

    def diagram(self) -> str:
        first: dict[tuple[str, Any], int] = {}
        for number, stop in enumerate(self.walk.stops):
            first.setdefault((stop.part, stop.node if stop.node is not None else stop.place), number)

        def marks(node: int) -> str:
            made = ""
            learned = [stop.place for stop in self.walk.stops if stop.part == "update"]
            name = self.walk.wiring.nodes[node].name
            own = next((each for each in learned if each.rpartition(".")[0] == name), None)
            for x, letter, key in ((-26, "∂", ("backward", node)), (-12, "Δ", ("update", own))):
                if key in first:
                    made += (
                        f'<a href="#s{first[key]}"><text x="{x}" fill="currentColor" stroke="none">{letter}</text></a>'
                    )
            return made

        return diagram(self.walk.wiring, marks, lambda node: f"#s{first['forward', node]}")

    def sections(self) -> str:
        made, part = "", ""
        for number, stop in enumerate(self.walk.stops):
            if stop.part != part:
                part = stop.part
                made += f'<h2 class="part" id="{part}">{PARTS[part]}</h2>\n'
            made += self.section(number, stop)
        return made

    def section(self, number: int, stop: Stop) -> str:
        step = stop.step
        lines = "\n".join(equation_line(line) for equation in step.equations for line in equation.lines)
        equations = f'<pre class="equations">{escape(lines)}</pre>' if lines else ""
        said = "".join(f"<p>{escape(note)}</p>" for note in (*stop.page.notes, *step.notes))
        if step.rule is None:
            said += "<p>The numbers alone: their formula is not on this page.</p>"
        title = step.title.removeprefix("Forward: ").removeprefix("Backward: ")
        title = title[0].upper() + title[1:]
        source = f' title="{escape(stop.page.source)}"' if stop.page.source else ""
        return f"""<section id="s{number}" aria-labelledby="t{number}">
<h3 id="t{number}"{source}><span>{number + 1}</span> <b>{escape(stop.place)}</b> {escape(title)}</h3>
{equations}{said}{self.drawing(stop)}<div class="formula" role="status"></div>
<div class="arrays"></div>
</section>
"""

    def drawing(self, stop: Stop) -> str:
        """What the layer reads, at its first stop; the same picture only once."""
        if stop.part != "forward" or stop.node is None or stop.node in self.drawn:
            return ""
        self.drawn.add(stop.node)
        drawn = drawing_of(self.walk.wiring.nodes[stop.node].layer)
        if drawn is None or drawn in self.drawn:
            return ""
        self.drawn.add(drawn)
        return f"<details><summary>What it reads, and where its gradients go</summary>{drawn.svg()}</details>"

    def after(self) -> str:
        walk = self.walk
        better = "less" if walk.loss_after < walk.loss else "more" if walk.loss_after > walk.loss else "the same"
        return f"""<section id="after"><h2 class="part">After the step</h2>
<p>The same items through the network with the new parameters: loss {walk.loss_after:.6g}, which was {walk.loss:.6g}:
{better} than before.</p></section>"""

    def stop(self, stop: Stop) -> dict[str, Any]:
        group = self.group(stop.page, stop.keys)
        names, step = self.names[group], stop.step
        shape = stop.page.arrays[step.makes].values.shape
        rule = None if step.rule is None else step.rule.portable(names)
        focus = int(np.ravel_multi_index(step.focus, shape)) if shape else 0
        reads = [names[name] for name in step.reads]
        return {"g": group, "m": names[step.makes], "r": reads, "f": focus, "rule": rule}

    def group(self, page: Explanation, keys: dict[str, Key]) -> int:
        """The number of a page's arrays: each a name, the array's number, its shape, letters and meaning."""
        if id(page) in self.groups:
            return self.groups[id(page)]
        members, names = list[Any](), dict[str, int]()
        for name, array in page.arrays.items():
            if not array.of:
                names[name] = len(members)
                meaning = self.meaning(array, keys[name])
                members.append([name, self.number[keys[name]], array.values.shape, array.axes, meaning])
        for name, array in page.arrays.items():
            if array.of:
                source, _, at = array.of.partition("[")
                if source not in names:
                    shape = self.arrays[keys[source]].shape
                    names[source] = len(members)
                    spread = shape if len(shape) == len(array.axes) else (shape[0], 1, *shape[1:])
                    members.append([source, self.number[keys[source]], spread, array.axes, ""])
                indices = [tree(each) for each in at.rstrip("]").split(",")]
                names[name] = len(members)
                outside = "0" if array.outside == 0 else "−∞"
                place = [names[source], indices, outside]
                members.append([name, -1, array.values.shape, array.axes, array.meaning, place])
        self.groups[id(page)] = len(self.members)
        self.members.append(members)
        self.names.append(names)
        return self.groups[id(page)]

    def meaning(self, array: NamedArray, key: Key) -> str:
        """What the array is; of an input, which layer wrote it."""
        if key[0] != "v" or array.meaning != "input":
            return array.meaning
        writer = [node.title for node in self.walk.wiring.nodes if node.writes == key[1]]
        return f"from {writer[0]}" if writer else "the network's input"

    def payloads(self) -> list[Any]:
        """Each array: its numbers, the decimals with which they are written, the largest, and a summary."""
        room = MOST_NUMBERS
        whole = set()
        for key in sorted(self.arrays, key=lambda key: self.arrays[key].size):
            array = self.arrays[key]
            room -= 0 if _constant(array) else array.size
            if room >= 0:
                whole.add(key)
        needed = {} if len(whole) == len(self.arrays) else self.needed()
        made = []
        for key, array in self.arrays.items():
            numbers = Numbers(array, self.precision)
            finite = np.abs(array[np.isfinite(array)]).astype(np.float64)
            written: Any
            if _constant(array):
                written = {"c": _json(float(array.flat[0]) if array.size else 0.0)}
            elif key in whole or len(needed.get(key, ())) == array.size:
                written = {"f": base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()}
            else:
                self.left_out += 1
                places = sorted(needed.get(key, ()))
                written = {"s": [places, [_json(float(array.flat[place])) for place in places]]}
            summary = statistics(NamedArray("", "", (), array), self.precision) if array.size > 1 else ""
            decimals = 0 if numbers.whole else numbers.decimals
            made.append([written, array.size, decimals, int(numbers.whole), float(finite.max(initial=0)), summary])
        return made

    def needed(self) -> dict[Key, set[int]]:
        """Of each array, the places of the numbers in the first formula of each stop."""
        found: dict[Key, set[int]] = {}
        for stop in self.walk.stops:
            arrays = stop.page.arrays
            refs = stop.step.work(stop.step.focus).refs() if stop.step.work else []
            for ref in refs:
                array = arrays[ref.array]
                if not array.of:
                    place = int(np.ravel_multi_index(ref.at, array.values.shape)) if ref.at else 0
                    found.setdefault(stop.keys[ref.array], set()).add(place)
                    continue
                source, _, at = array.of.partition("[")
                names = dict(zip(array.axes, ref.at, strict=True))
                inner = [eval(each, {}, names) for each in at.rstrip("]").split(",")]
                shape = self.arrays[stop.keys[source]].shape
                shape = shape if len(shape) == len(inner) else (shape[0], 1, *shape[1:])
                if all(0 <= k < size for k, size in zip(inner, shape, strict=True)):
                    found.setdefault(stop.keys[source], set()).add(int(np.ravel_multi_index(inner, shape)))
        return found


def overview(walk: Record) -> str:
    """The network and its losses, for a notebook."""
    rows = ""
    for node in walk.wiring.nodes[:MOST_ROWS]:
        shape = "×".join(map(str, walk.values[node.writes].shape))
        rows += f"<tr><td>{escape(node.title)}</td><td>{shape}</td></tr>"
    more = len(walk.wiring.nodes) - MOST_ROWS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return f"""<div><p><b>One training step</b>: loss {walk.loss:.4g} → {walk.loss_after:.4g};
{len(walk.stops)} stops, which <code>save("step.html")</code> writes as a page.</p>
<table><thead><tr><th>layer</th><th>output</th></tr></thead><tbody>{rows}</tbody></table>{rest}</div>"""


MOST_ROWS = 40


def _constant(array: NDArray) -> bool:
    return array.size == 0 or bool((array == array.flat[0]).all())


def _json(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)
