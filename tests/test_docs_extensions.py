"""The reference names everything public, and shows docstrings completely, with their lists and formulas."""

from __future__ import annotations

import re
import runpy
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

pytest.importorskip("sphinx")
sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "extensions"))

import docstrings
import reference


def rst(text: str) -> str:
    return docstrings.to_rst(dedent(text).strip(), {"Loader": "xpcnn.data.Loader"}.get)


def test_every_exported_function_and_class_is_in_the_reference():
    for part in reference.parts():
        package = import_module(part)
        described = {getattr(import_module(page.home), name) for page in reference.pages(part) for name in page.names}
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if isinstance(value, type) or callable(value):
                assert value in described, f"{part}.{name}"


def test_every_public_module_has_a_page():
    modules = {page.module.__name__ for part in reference.parts() for page in reference.pages(part)}
    root = Path(reference.xpcnn.__file__).parent
    for path in root.rglob("*.py"):
        names = path.relative_to(root).with_suffix("").parts
        if names[0] not in {"__init__", "__main__", "cli", "extras", "options", "typing"} and not any(
            name.startswith("_") for name in names
        ):
            assert ".".join(("xpcnn", *names)) in modules


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


def test_a_formula_that_cannot_be_translated_is_a_warning(caplog):
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
