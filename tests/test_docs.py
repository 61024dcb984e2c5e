"""The documentation's code runs and prints the text on its pages; the package has all code that the pages include.

On a page, each block of Python is followed by the text that it prints, if any. The blocks of one page run in order, as
a reader would run them. In docs/coming_from, blocks of another library run where it is installed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

from xpcnn.cli import COMMANDS

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path for folder in (".", "howto", "derivations", "coming_from") for path in (DOCS / folder).glob("*.md"))
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n(?P<about><!-- differs between processors -->\n\n)?```text\n(?P<said>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
OTHERS = {  # whether the library below whose name a block stands is there
    "PyTorch": find_spec("torch") and find_spec("safetensors"),
    "Keras": find_spec("keras") and os.environ.get("KERAS_BACKEND") == "torch",
    "scikit-learn": find_spec("sklearn"),
}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def name(path: Path) -> str:
    return str(path.relative_to(DOCS))


def agrees(said: str, printed: str) -> bool:
    """True if the words are equal and the numbers nearly: a training's last digits depend on the processor."""
    if NUMBER.sub("#", said).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(map(float, NUMBER.findall(said)), map(float, NUMBER.findall(printed)), strict=True)
    return all(abs(a - b) <= 0.15 + 0.15 * abs(a) for a, b in pairs)


@pytest.mark.skipif(bool(os.environ.get("XPCNN_IMPLEMENTATION")), reason="pages say what runs where none is forced")
@pytest.mark.parametrize("path", [path for path in PAGES if BLOCK.search(path.read_text())], ids=name)
def test_the_code_of_a_page_prints_what_the_page_says(path, tmp_path, monkeypatch):
    if path.stem == "compiled_loops":
        pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XPCNN_NUMBA", "0")  # and as it was before, after a page that sets it
    text, names = path.read_text(), {"__name__": "__main__"}
    if path.stem == "pytorch" and not OTHERS["PyTorch"]:
        pytest.skip("without PyTorch there are no numbers to compare with")
    for block in BLOCK.finditer(text):
        if not runs(text, block.start()):
            continue
        line = text.count("\n", 0, block.start("code"))
        code = compile("\n" * line + block["code"], path, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
            if owner(text, block.start()) in OTHERS:
                warnings.simplefilter("ignore")  # theirs
            exec(code, names)
        said = block["said"] or ""
        if block["about"]:
            assert agrees(said, printed.getvalue()), f"{path}:{line}: it prints\n{printed.getvalue()}"
        else:
            assert printed.getvalue() == said, f"{path}:{line}: it prints\n{printed.getvalue()}"


def owner(text: str, start: int) -> str:
    """The library below whose name a block stands."""
    return text[:start].rstrip().rpartition("\n")[2].strip("*")


def runs(text: str, start: int) -> bool:
    """False for a block of a library that is not there, and for one that reads the file of such a block."""
    name = owner(text, start)
    section = text[:start].rpartition("\n## ")[2]
    others = [other for other in OTHERS if name == other or (name == "xpcnn" and f"Weights from {other}" in section)]
    return all(OTHERS[other] for other in others)


def test_numbers_from_training_may_differ_a_little_and_words_may_not():
    assert agrees("test accuracy 98.6%\n", "test accuracy 99.2%\n")
    assert agrees("[1 2] of 360", "[1 2] of 359")
    assert not agrees("test accuracy 98.6%\n", "test accuracy 31.4%\n")
    assert not agrees("loss 0.2", "loss 0.9")
    assert not agrees("loss 0.2", "cost 0.2")
    assert not agrees("1 2", "1 2 3")


def defined(source: str) -> set[str]:
    """The functions and classes of a file, and those within its classes, as `Class.function`."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("path", [path for path in PAGES if "literalinclude" in path.read_text()], ids=name)
def test_what_a_page_includes_is_in_the_package(path):
    included = re.findall(r"^```\{literalinclude\} (\S+)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    assert included
    for file, options in included:
        source = (path.parent / file).read_text()
        asked = dict(re.findall(r":([a-z-]+): \"?([^\"\n]+)", options))
        assert asked, f"{path}: {file} as a whole"
        for option, value in asked.items():
            known = defined(source) if option == "pyobject" else source
            assert value in known, f"{path}: {file} has no {value}"


@pytest.mark.parametrize("path", [p for p in PAGES if p.parent.name == "derivations" and p.stem != "index"], ids=name)
def test_the_numbers_of_formulas_are_those_of_the_included_code(path):
    """A formula `\\tag{2}` on a page appears as (2) in a docstring of one of the files that the page shows."""
    text = path.read_text()
    shown = [(path.parent / file).read_text() for file in re.findall(r"\{literalinclude\} (\S+)", text)]
    sources = shown or [(DOCS.parent / "xpcnn" / "gradient_witnesses.py").read_text()]
    known = {int(n) for source in sources for n in re.findall(r"\((\d+)\)", source)}
    assert {int(n) for n in re.findall(r"\\tag\{(\d+)\}", text)} <= known


def test_every_page_is_reached_from_the_index():
    listed = set()
    for index in [DOCS / "index.md", *(path for path in PAGES if path.stem == "index")]:
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", index.read_text(), re.DOTALL | re.MULTILINE):
            entries = (line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":"))
            listed |= {(index.parent / entry.rpartition("<")[2].rstrip(">")).with_suffix(".md") for entry in entries}
    assert {path for path in PAGES if path != DOCS / "index.md"} <= listed


def test_links_lead_to_files_of_a_clone():
    """Not to pages that only a build makes, such as those of the gallery: people read the pages on a forge, too."""
    targets = 0
    for path in [*PAGES, *DOCS.parent.glob("*.md")]:
        prose = re.sub(r"^```.*?^```|`[^`]*`", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
            assert target.startswith("http") or (path.parent / target).exists(), f"{path}: {target}"
            targets += 1
    assert targets > 50


def test_commands_on_the_pages_exist():
    for path in PAGES:
        for command in re.findall(r"^(?:\$ )?xpcnn ([a-z]\w*)", path.read_text(), re.MULTILINE):
            assert command in COMMANDS, f"{path}: xpcnn {command}"


@pytest.mark.parametrize("path", sorted((DOCS.parent / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_begins_with_a_title(path):
    """The gallery has no page for an example without a title."""
    title, line, empty, *_ = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()
    assert line == "=" * len(line)
    assert len(line) >= len(title)
    assert empty == ""
