"""The reference has everything public once, with examples; docstrings are shown completely; galleries have pictures."""

from __future__ import annotations

import re
import runpy
import sys
from importlib import import_module
from inspect import ismodule
from pathlib import Path
from pkgutil import iter_modules
from textwrap import dedent

import pytest

pytest.importorskip("sphinx")
sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "extensions"))

import docstrings
import pictures
import reference
import side_by_side
import thumbnails_examples
import words
from topics import CONSTANTS, TOPICS

from xpcnn import ops
from xpcnn.explain.drawings import DRAWINGS


def rst(text: str) -> str:
    return docstrings.to_rst(dedent(text).strip(), {"Loader": "xpcnn.data.Loader"}.get)


def test_every_public_name_is_on_exactly_one_page():
    """Public is what the `__all__` of xpcnn or of one of its packages names."""
    shown = [name for topic in TOPICS for name in reference.names_on(topic)]
    assert len(shown) == len(set(shown))
    for name in reference.public():
        assert name in shown, f"{name}: put {reference.public()[name]} on a page of docs/extensions/topics.py"
    values = {id(reference.value_of(name)) for name in shown}
    packages = [f"xpcnn.{each.name}" for each in iter_modules(reference.xpcnn.__path__) if each.ispkg]
    for module in map(import_module, ["xpcnn", *packages]):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            assert ismodule(value) or id(value) in values, f"{module.__name__}.{name} is on no page"


def test_no_page_has_a_name_that_is_not_public():
    for topic in TOPICS:
        page = reference._page(topic, {})
        written = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (.+)$", page, re.MULTILINE)
        assert sorted(written) == sorted(reference.names_on(topic))
        for full in written:
            home, _, name = full.rpartition(".")
            assert name in import_module(home).__all__, full


def test_every_public_name_has_an_example():
    for full in reference.public():
        if full not in CONSTANTS:
            value = reference.value_of(full)
            members = [*vars(value).values()] if isinstance(value, type) else []
            texts = [value.__doc__, *(getattr(each, "__doc__", None) for each in members)]
            assert any(">>>" in (text or "") for text in texts), f"{full}: a doctest in its docstring"


def test_every_operation_has_a_drawing_and_an_equation():
    plain = {
        "batch_norm_shards",
        "check",
        "dispatch",
        "formula",
        "gather",
        "implementations",
        "one_hot",
        "normal_distribution",
        "item_weight",
    }
    for path in Path(ops.__path__[0]).glob("[a-z]*.py"):
        if path.stem not in plain:
            assert path.stem in DRAWINGS, f"ops/{path.name}: what to draw of it in xpcnn/explain/drawings.py"
            assert "(1)" in (import_module(f"xpcnn.ops.{path.stem}").__doc__ or ""), path.name


def test_every_page_of_a_gallery_brings_its_picture():
    for name in pictures.how_tos():
        assert name in pictures.OF_HOW_TOS, (
            f"howto/{name}.md: docs/extensions/thumbnails.py, or thumbnails_tasks.py, needs {name}(figure), in PICTURES"
        )
    for name in {*pictures.examples()} - pictures.drawn_by_themselves():
        assert name in thumbnails_examples.PICTURES, (
            f"examples/{name}.py draws no figure, so docs/extensions/thumbnails_examples.py needs {name}(figure)"
        )
    assert set(thumbnails_examples.PICTURES) <= set(pictures.examples())


@pytest.mark.slow
def test_no_two_pictures_are_the_same(tmp_path):
    pytest.importorskip("matplotlib")
    drawn = {}
    for makers in (pictures.OF_HOW_TOS, thumbnails_examples.PICTURES):
        for name, make in makers.items():
            pictures.draw(make, tmp_path / "picture.png")
            assert drawn.setdefault((tmp_path / "picture.png").read_bytes(), name) == name


def test_words_for_the_search_lead_to_pages():
    docs = Path(__file__).parent.parent / "docs"
    for page in words.WORDS:
        part, _, name = page.rpartition("/")
        made = part == "reference" and name in {topic.name for topic in TOPICS}
        assert made or (docs / f"{page}.md").exists(), page


def test_the_ten_things_are_ten_with_both_sides():
    folder = Path(__file__).parent.parent / "docs" / "coming_from"
    for name in side_by_side.NAMES[:3]:
        text = (folder / f"{name.lower().replace('-', '_')}.md").read_text("utf-8")
        for number in range(1, 11):
            section = text.partition(f"\n## {number}. ")[2].partition("\n## ")[0]
            assert f"**{name}**" in section, (name, number)
            assert "**xpcnn**" in section, (name, number)


def test_the_first_sentence_of_a_module_is_its_heading():
    assert reference.titled("Pads images.\n\nAs (1).") == ("Pads images", "As (1).")
    assert reference.titled("Scales; equations in `ops.scale`.")[0] == "Scales"
    long = f"Means, sums, maxima and minima, {'and others ' * 6}."
    assert reference.titled(long) == ("Means, sums, maxima and minima", long)


def test_fields_of_a_dataclass_are_described_by_their_comments():
    from xpcnn.training import Step

    assert "    epoch : from 1" in docstrings.fields(Step)


def test_formulas_stay_as_they_are_also_with_an_empty_line():
    assert rst("""
        With K scores,

            y = |x| * w_        (1)

            z = y**2            (2)

        and so on.
    """) == ("With K scores,\n\n::\n\n    y = |x| * w_        (1)\n\n    z = y**2            (2)\n\nand so on.\n")


def test_sections_become_lists_of_what_is_described():
    assert rst("""
        Does it.

        Parameters
            x : Array (N, C),
                float
            a, b : numbers;  c : another
        Raises
            ShapeError, DTypeError
        Sources
            A. Author, Title, 2017      → (1)
            B. Author, 2018
    """) == dedent("""\
        Does it.

        .. rubric:: Parameters
           :class: section

        x
            Array (N, C), float

        a, b
            numbers

        c
            another

        .. rubric:: Raises
           :class: section

        ShapeError, DTypeError

        .. rubric:: Sources
           :class: section

        - A\\. Author, Title, 2017 → (1)
        - B\\. Author, 2018
    """)


def test_sections_of_estimators_are_those_of_all_others():
    assert rst("""
        Fits.

        Parameters
        ----------
        X : array of shape (n, d)
            The items.

        y : array of shape (n,)
            The labels.

        Examples
        --------
        >>> 1 + 1
        2
    """) == dedent("""\
        Fits.

        .. rubric:: Parameters
           :class: section

        X
            array of shape (n, d). The items.

        y
            array of shape (n,). The labels.

        >>> 1 + 1
        2
    """)


def test_prose_means_nothing_but_itself_and_names_are_links_or_code():
    assert rst("|x| and *args of `Loader` or `loader.epoch(0)`s") == (
        "\\|x\\| and \\*args of :py:obj:`Loader <xpcnn.data.Loader>` or ``loader.epoch(0)``\\ s\n"
    )


def test_examples_stay_doctests():
    assert (
        rst("""
        It is used so:

            >>> class A:
            ...     x = 1
            >>> A.x
            1
    """)
        == "It is used so:\n\n>>> class A:\n...     x = 1\n>>> A.x\n1\n"
    )


def test_tables_in_a_docstring_keep_their_columns():
    assert rst("config.json   what was asked for\nhistory.csv   one line") == (
        "::\n\n    config.json   what was asked for\n    history.csv   one line\n"
    )


def test_a_formula_that_cannot_be_translated_is_a_warning():
    mathml = pytest.importorskip("mathml")
    from docutils import nodes

    assert "<mfrac>" in mathml._translated(nodes.math_block("", r"y = \frac{1}{2} \tag{3}"), as_block=True)
    assert "tag" not in mathml._translated(nodes.math_block("", r"y = \frac{1}{2} \tag{3}"), as_block=True)
    text = mathml._translated(nodes.math("", r"\nonsense{x} < 1"), as_block=False)
    assert text.startswith("<code>")
    assert "<code>\\nonsense{x} &lt; 1" in text


def test_no_example_can_end_the_build(monkeypatch):
    """Without PyTorch, the example that needs it exits; sphinx-gallery would then end, too, with status 0."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    root = Path(__file__).parent.parent
    monkeypatch.setattr(sys, "path", [*sys.path])
    run = runpy.run_path(str(root / "docs" / "conf.py"))["sphinx_gallery_conf"]["filename_pattern"]
    for path in (root / "examples").glob("*.py"):
        assert bool(re.search(run, str(path))) != ("sys.exit" in path.read_text("utf-8")), path.name
