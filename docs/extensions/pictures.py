"""The galleries' pictures: of how-to pages in their index, {how-to-gallery}, and of examples, in sphinx-gallery's.

Made by `thumbnails…`, a function for each; an example that draws a figure keeps its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import thumbnails
import thumbnails_examples
import thumbnails_tasks
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

DOCS = Path(__file__).parent.parent
HOW_TO = DOCS / "howto"
OF_HOW_TOS = thumbnails.PICTURES | thumbnails_tasks.PICTURES
THUMBS = DOCS / "gallery" / "images" / "thumb"  # sphinx-gallery's


def how_tos() -> list[str]:
    """The how-to pages, in the order of their index."""
    listed = (HOW_TO / "index.md").read_text("utf-8")
    return re.findall(r"^(\w+)$", listed.partition("{toctree}")[2], re.MULTILINE)


def drawn_by_themselves() -> set[str]:
    """The examples whose own figure is their picture."""
    sources = (DOCS.parent / "examples").glob("*.py")
    return {path.stem for path in sources if "pyplot.subplots(" in path.read_text("utf-8")}


def examples() -> list[str]:
    return sorted(path.stem for path in (DOCS.parent / "examples").glob("*.py"))


def draw(make: Callable[[Any], None], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 2.8), dpi=100, layout=None)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.16, 0.17, 0.95, 0.93)
    make(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


class Gallery(Directive):
    """`.. how-to-gallery::`: a card for each page, with its picture, its title and its first sentence."""

    required_arguments: ClassVar[int] = 0

    def run(self) -> list[nodes.Node]:
        cards = []
        for name in how_tos():
            title, first = summary(HOW_TO / f"{name}.md")
            picture = f'<img src="../_static/howto/{name}.png" alt="" loading="lazy">'
            cards.append(
                f'<a class="card-link" href="{name}.html">{picture}<b>{escape(title)}</b><p>{escape(first)}</p></a>'
            )
        return [nodes.raw("", f'<div class="cards">{"".join(cards)}</div>', format="html")]


def summary(path: Path) -> tuple[str, str]:
    """A page's title, and its first sentence without markup."""
    title, _, rest = path.read_text("utf-8").removeprefix("# ").partition("\n")
    prose = next((each for each in rest.strip().split("\n\n") if re.match(r"[A-Z`*\[]", each)), "")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", lambda match: match[1] or "", " ".join(prose.split()))
    sentence = re.split(r"(?<=[.:])\s", plain)[0]
    return title.strip(), sentence.rstrip(":.") + "."


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("how-to-gallery", Gallery)
    app.connect("builder-inited", _examples, priority=900)  # after sphinx-gallery
    app.connect("build-finished", _how_tos)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _examples(app: Sphinx) -> None:
    for name in set(examples()) - drawn_by_themselves():
        draw(thumbnails_examples.PICTURES[name], THUMBS / f"sphx_glr_{name}_thumb.png")


def _how_tos(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for name in how_tos():
            draw(OF_HOW_TOS[name], Path(app.outdir) / "_static" / "howto" / f"{name}.png")
