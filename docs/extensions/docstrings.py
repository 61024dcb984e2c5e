"""xpcnn's docstrings as reStructuredText.

They are plain text: prose, indented formulas, doctests, and sections of indented entries:

    Parameters
        x : Array (N, H, W, C), float
        window : what it means,
            on several lines

Prose keeps its characters, formulas their form, and sections become lists. Estimators for scikit-learn have their
sections in its form, underlined; those are brought into this one first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from textwrap import dedent
from typing import Any

from sphinx.application import Sphinx

_ENTRY = re.compile(r"(?P<term>[\w*.()/ ,₀-ₙα-ωΑ-Ω-]{1,60}?) : (?P<text>.*)", re.DOTALL)
_UNDERLINE = re.compile(r"-{3,}")
_SOURCES = ("Source", "Sources")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    targets: dict[str, str] = getattr(app, "xpcnn_targets", {})
    if is_dataclass(obj) and "Parameters" not in lines:
        before = next((at for at, line in enumerate(lines) if line.startswith(">>>")), len(lines))
        lines[before:before] = fields(obj)
    lines[:] = to_rst("\n".join(lines), targets.get).splitlines()


def _signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, call: str, result: str) -> Any:
    """A dataclass's default that is made anew is no Python, and Sphinx would show the whole text as it is."""
    return (call.replace("<factory>", "..."), result) if call and "<factory>" in call else None


def fields(kind: type) -> list[str]:
    """A section of a dataclass's fields that have a comment at the end of their line."""
    described = re.findall(r"^    (\w+): [^#\n]+?  # (.+)$", inspect.getsource(kind), re.MULTILINE)
    return ["", "Fields", *(f"    {name} : {text}" for name, text in described), ""] if described else []


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn adds to every estimator, and the functions that a layer runs."""
    return True if re.fullmatch("set_.*_request|pair|pair_backward", name) else None


def to_rst(text: str, target: Callable[[str], str | None] = lambda name: None) -> str:
    """A docstring, cleaned of its indentation, as reStructuredText.

    Parameters
        target : the full name of what a name in backticks means, or None
    """
    parts = []
    for block in _blocks(_without_underlines(text.expandtabs().splitlines())):
        first, rest = block[0], block[1:]
        if first.lstrip().startswith(">>>"):
            parts.append(dedent("\n".join(block)))
        elif first.lstrip().startswith("- "):
            parts.append(_prose(dedent("\n".join(block)), target))
        elif first.startswith(" ") or any("   " in line.strip() for line in block if not line.startswith(" ")):
            parts.append(_literal(block))
        elif rest and rest[0].startswith(" "):
            parts.append(_section(first, rest, target))
        else:
            parts.append(_prose("\n".join(block), target))
    return "\n\n".join(parts) + "\n"


def _without_underlines(lines: list[str]) -> list[str]:
    """Sections of scikit-learn's form, indented below their titles; examples stand by themselves."""
    titles = [i for i in range(len(lines) - 1) if lines[i] and _UNDERLINE.fullmatch(lines[i + 1])]
    if not titles:
        return lines
    out = lines[: titles[0]]
    for start, end in zip(titles, [*titles[1:], len(lines)], strict=True):
        body = [line for line in lines[start + 2 : end] if line.strip()]
        if body and body[0].startswith(">>>"):
            out += ["", *body]
        else:
            ends = [*(line.startswith(" ") and not each.startswith(" ") for each, line in pairwise(body)), False]
            body = [f"{line}." if end else line for line, end in zip(body, ends, strict=True)]  # types, then prose
            out += ["", lines[start], *(f"    {line}" for line in body)]
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs; a section with its entries, and a formula with empty lines in it, are one."""
    block: list[str] = []
    for position, line in enumerate(lines):
        if line.strip():
            starts = block and not line.startswith(" ") and any(each.startswith(" ") for each in block)
            ends = len(block) > 1 and line.startswith(" ") and not any(each.startswith(" ") for each in block)
            if (starts or ends) and not block[0].startswith(">>>"):  # a section follows another one, or a list prose
                yield block
                block = []
            block.append(line.rstrip())
            continue
        following = next((each for each in lines[position:] if each.strip()), "")
        inside = block and block[-1].startswith(" ") and following.startswith(" ")
        if inside and ">>>" not in following and ">>>" not in block[0]:
            block.append("")
        elif block:
            yield block
            block = []
    if block:
        yield block


def _literal(block: list[str]) -> str:
    return "::\n\n" + "\n".join(f"    {line}".rstrip() for line in dedent("\n".join(block)).splitlines())


def _section(title: str, body: list[str], target: Callable[[str], str | None]) -> str:
    """A title and its entries, one at each line that is not indented further."""
    entries: list[str] = []
    for line in dedent("\n".join(body)).splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        elif line:
            entries += re.split(r";  (?=\w+ : )", line)  # two on a line
    parts = [f".. rubric:: {_prose(title, target)}\n   :class: section"]
    plain = []
    for entry in entries:
        match = None if title in _SOURCES else _ENTRY.fullmatch(entry)
        if match:
            parts.append(f"{_prose(match['term'], target)}\n    {_prose(match['text'].strip() or '…', target)}")
        else:
            plain.append(" ".join(entry.split()))
    if plain:
        bullet = "- " if len(plain) > 1 else ""
        parts.append("\n".join(bullet + _prose(entry, target) for entry in plain))
    return "\n\n".join(parts)


def _prose(text: str, target: Callable[[str], str | None]) -> str:
    """Text whose characters mean nothing but themselves, `names` as links or code."""
    pieces = re.split(r"`([^`\n]+(?:\n[^`\n]+)?)`", text)
    out = []
    for position, piece in enumerate(pieces):
        if position % 2 == 0:
            piece = re.sub(r"([\\*|_`])", r"\\\1", piece)
            out.append(re.sub(r"^(- |)(\w+)([.)] )", r"\1\2\\\3", piece, flags=re.MULTILINE))  # initials are no list
            continue
        piece = " ".join(piece.split())
        full = target(piece)
        role = "ref" if full and full.startswith("module-") else "py:obj"  # a module is a section of a page
        out.append(f":{role}:`{piece} <{full}>`" if full else f"``{piece}``")
        if position + 1 < len(pieces) and re.match(r"\w", pieces[position + 1]):
            out.append("\\ ")
    return "".join(out)
