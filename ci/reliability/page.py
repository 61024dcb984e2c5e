"""The table of a run in Markdown, and the page of the documentation that contains it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

import xpcnn
from ci.bench import machine
from ci.bench.errors import BenchError
from xpcnn.cli.info import cores

from .row import FAILS, HOLDS, NOT_TRIED, Effort, Row

BEGIN, END = "<!-- python -m ci.reliability: begin -->", "<!-- python -m ci.reliability: end -->"
_WITNESSES = ("torch", "onnx", "h5py", "pillow", "scikit-learn")


def about(effort: Effort, seconds: float) -> dict[str, Any]:
    """The machine, the versions, and the form of the checks."""
    count = cores()
    pools = [{"library": "numpy" if "numpy" in pool["filepath"] else "", **pool} for pool in threadpool_info()]
    try:
        found = machine.describe(count, pools)
    except BenchError:  # the BLAS does not matter here
        found = {
            "cpu": platform.processor() or platform.machine(),
            "cores": count,
            "blas": "a BLAS of an unknown core",
        }
        found |= {"system": platform.system(), "python": platform.python_version(), "date": "", "commit": ""}
    return {
        **found,
        "xpcnn": xpcnn.__version__,
        "versions": {name: each for name in ("numpy", *_WITNESSES) if (each := _version(name))},
        "seed": effort.seed,
        "form": "quick" if effort.quick else "full",
        "minutes": round(seconds / 60, 1),
    }


def text(rows: list[Row], about: dict[str, Any]) -> str:
    """The machine and date, the table, and the faults."""
    versions = ", ".join(f"{name} {each}" for name, each in about["versions"].items())
    lines = [
        f"The {about['form']} form, seed {about['seed']}, {about['minutes']} minutes: xpcnn {about['xpcnn']} "
        f"({about['commit'] or 'no commit'}), {about['cpu']}, {about['cores']} cores, {about['system']}, "
        f"{about['blas']}, Python {about['python']}, {versions}; {about['date'][:10]}.",
        "",
        summary(rows),
        "",
        "| What was tried | Tries | What came of it | |",
        "|---|---:|---|---|",
        *(_line(row) for row in rows),
        "",
        "## What does not hold",
        "",
        *(_faults(rows) or ["Nothing that was tried failed."]),
    ]
    return "\n".join(lines) + "\n"


def summary(rows: list[Row]) -> str:
    """A summary in one sentence."""
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in (HOLDS, FAILS, NOT_TRIED)}
    tries = sum(row.tried for row in rows)
    return (
        f"{len(rows)} rows, {tries:,} tries: {counts[HOLDS]} hold, {counts[FAILS]} do not, "
        f"{counts[NOT_TRIED]} were not tried."
    )


def write(page: Path, written: str) -> None:
    """Put the text between the page's markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{page} has no place for the table: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{written}\n{END}{after}")


def _line(row: Row) -> str:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in row.counts.most_common())
    verdict = f"**{row.verdict}**" if row.verdict == FAILS else row.verdict
    cells = (f"**{row.name}**: {row.what}", f"{row.tried:,}", outcomes or row.not_tried or "nothing", verdict)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _faults(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        for fault in row.faults:
            examples = row.examples.get(fault.rpartition(": ")[0], [])
            lines.append(f"- **{row.name}**: {fault}")
            lines += [f"  - `{example.replace('`', chr(39))}`" for example in examples if example]
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
