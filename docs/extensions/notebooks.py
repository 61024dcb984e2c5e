"""Notebooks: executed when the documentation is built, shown with what they give, and offered for download.

A source is a Python file in cells, as editors and Jupytext know them: "# %%" begins code, "# %% [markdown]" text. A
third kind, "# %% [output]", follows code and says what it gives; `tests/test_notebooks.py` compares.

    python docs/extensions/notebooks.py notebooks/*.py      writes what they give now into the sources: look at it
"""

from __future__ import annotations

import base64
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

SOURCES = Path(__file__).parents[2] / "notebooks"
PAGES = Path(__file__).parents[1] / "notebooks"
_CELL = re.compile(r"^# %%(?: \[(markdown|output)\])?\n", re.MULTILINE)


def cells(source: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each cell: "code", "markdown" or "output"."""
    _, *parts = _CELL.split(source)
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        text = text.strip("\n")
        yield kind or "code", re.sub(r"^# ?", "", text, flags=re.MULTILINE) if kind else text


def executed(path: Path) -> Any:
    """The notebook of that source with its outputs.

    Raises
        RuntimeError : a cell wrote to standard error;  CellExecutionError : one failed
    """
    import nbformat
    from nbclient import NotebookClient

    made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    found = [made[kind](text) for kind, text in cells(path.read_text("utf-8")) if kind in made]
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=found)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}, record_timing=False).execute()
    for cell in found:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}: a cell writes to standard error: {output.text}")
    return notebook


def said(cell: Any) -> str:
    """What a cell of code gives, as text; of pictures and HTML, that there are some."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
            continue
        picture = "image/png" in output.data
        parts += [] if picture else [output.data.get("text/plain", "")]
        parts += [f"[{kind}]" for kind in sorted(output.data) if kind != "text/plain"]
    return "\n".join(part.rstrip("\n") for part in parts if part)


def rewritten(path: Path) -> str:
    """The source with what its cells give now."""
    given = iter([cell for cell in executed(path).cells if cell.cell_type == "code"])
    written = []
    for kind, text in cells(path.read_text("utf-8")):
        if kind == "markdown":
            written.append("# %% [markdown]\n" + _commented(text))
        elif kind == "code":
            written.append(f"# %%\n{text}\n")
            if output := said(next(given)):
                written.append("# %% [output]\n" + _commented(output))
    return "\n".join(written)


def page(notebook: Any, name: str) -> str:
    """The notebook as a page of the documentation; its pictures are written beside it."""
    parts = [f"{{download}}`Download this notebook, with its outputs <{name}.ipynb>`\n"]
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.insert(0 if not number else len(parts), cell.source + "\n")
            continue
        parts.append(f"```python\n{cell.source}\n```\n")
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                picture = PAGES / f"{name}-{number}.png"
                picture.write_bytes(base64.b64decode(data["image/png"]))
                width = output.metadata.get("image/png", {}).get("width", 640)
                parts.append(f"```{{image}} {picture.name}\n:width: {width}px\n:alt: what the cell above shows\n```\n")
            elif "text/html" in data:
                parts.append(f"`````{{raw}} html\n{data['text/html']}\n`````\n")
            else:
                text = output.text if output.output_type == "stream" else data["text/plain"]
                parts.append(f"```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Any) -> None:
    import nbformat

    rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    sources = sorted(SOURCES.glob("*.py"))
    for path in sources:
        notebook = executed(path)
        nbformat.write(notebook, PAGES / f"{path.stem}.ipynb")
        (PAGES / f"{path.stem}.md").write_text(page(notebook, path.stem), "utf-8")
    listed = "\n".join(path.stem for path in sources)
    about = "Each was executed when this documentation was built, and can be downloaded with its outputs. "
    about += "The first goes the whole way. [How to run one](../howto/notebooks.md)."
    (PAGES / "index.md").write_text(f"# Notebooks\n\n{about}\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n")


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n"))


if __name__ == "__main__":
    for each in map(Path, sys.argv[1:]):
        each.write_text(rewritten(each), "utf-8")
