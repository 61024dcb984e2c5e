"""Names of PyTorch, Keras and scikit-learn, and what stands for each here, where a page says {names-from-elsewhere}.

The table is that of `xpcnn.habits`, from which the errors for such names are made. Each name is an entry of the index,
so that a search for it leads here; "main" ones come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.application import Sphinx

from xpcnn import habits

TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "Of a network or a layer": ("model.", habits.LAYER),
    "Of an optimizer": ("optimizer.", habits.OPTIMIZER),
    "Of a criterion": ("criterion.", habits.CRITERION),
    "Of a trainer": ("trainer.", habits.TRAINER),
    "Layers and losses": ("nn.", habits.NN),
    "Optimizers and schedules": ("optim.", habits.OPTIM),
    "Data": ("data.", habits.DATA),
    "Training": ("training.", habits.TRAINING),
    "Of xpcnn itself": ("xpcnn.", habits.TOP),
}


class Names(Directive):
    """`.. names-from-elsewhere::`."""

    required_arguments: ClassVar[int] = 0

    def run(self) -> list[nodes.Node]:
        sections: list[nodes.Node] = []
        for title, (owner, names) in TABLES.items():
            section = nodes.section(ids=[nodes.make_id(f"names {title}")], names=[title])
            section += nodes.title("", title)
            items = nodes.definition_list()
            for name, said in names.items():
                items += _item(owner, name, said)
            section += items
            sections.append(section)
        return sections


def _item(owner: str, name: str, said: str) -> nodes.definition_list_item:
    place = nodes.make_id(f"name {owner} {name}")
    term = nodes.term("", "", nodes.literal("", f"{owner}{name}"), ids=[place])
    term.insert(0, addnodes.index(entries=[("single", name, place, "main", None)]))
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", said)))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("names-from-elsewhere", Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
