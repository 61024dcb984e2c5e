"""Measures, on this machine, which faults xpcnn withstands.

    python -m ci.reliability                           all checks; about 15 minutes on two cores
    python -m ci.reliability --quick                   the same with fewer trials, two to three minutes
    python -m ci.reliability --only kills mutations    some of them
    python -m ci.reliability --seed 7                  other random trials
    python -m ci.reliability --markdown                also write the table into docs/reliability.md
    python -m ci.reliability --from build/reliability.json --markdown

Run it from the repository's root. NumPy is enough; checks that need PyTorch or another package that is not installed
are listed as not tried. The status is 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ci.bench.processes import ROOT

from . import page
from .row import NOT_TRIED, Effort, Row, bad, shown

CHECKS = (
    "gradients", "against_pytorch", "threads", "processes", "resume", "kills", "disk", "signals", "together", "memory",
    "nonfinite", "mutations", "hostile", "soak",
)  # fmt: skip


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ci.reliability", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer trials")
    add("--only", nargs="+", choices=CHECKS, metavar="CHECK", default=CHECKS, help=", ".join(CHECKS))
    add("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    add("--out", type=Path, default=ROOT / "build" / "reliability.json", help="the rows as JSON (%(default)s)")
    add("--from", dest="source", type=Path, metavar="FILE", help="try nothing, read the rows from this JSON")
    docs = ROOT / "docs" / "reliability.md"
    add(
        "--markdown",
        type=Path,
        nargs="?",
        const=docs,
        metavar="PAGE",
        help="write the table into this page (%(const)s)",
    )
    return parser


def check(name: str, effort: Effort) -> list[Row]:
    """The rows of one check; if the check itself fails, a row that says so."""
    begun = time.monotonic()
    try:
        function: Callable[[Effort], list[Row]] = import_module(f".{name}", __package__).rows
        rows = function(effort) or [Row(name, "the check came to no row", ())]
    except Exception as error:
        rows = [Row(name, "the check itself", ())]
        rows[0].add("failed by itself", shown(traceback.format_exc()) or repr(error))
    seconds = time.monotonic() - begun
    for row in rows:
        row.seconds = seconds / len(rows)
        what = f"; {row.not_tried}" if row.verdict == NOT_TRIED else f", {row.tried:,} tries"
        print(f"{row.verdict:>14}  {row.name}{what}", file=sys.stderr)
        for fault in row.faults:
            print(f"{'':14}  - {fault}", file=sys.stderr)
            for example in row.examples.get(fault.rpartition(": ")[0], []):
                print(f"{'':14}      {example}", file=sys.stderr)
    print(f"{seconds:12.1f} s", file=sys.stderr, flush=True)
    return rows


def main(words: list[str] | None = None) -> int:
    options = arguments().parse_args(words)
    if options.source:
        read: dict[str, Any] = json.loads(options.source.read_text())
        rows, about = [_row(each) for each in read["rows"]], read["about"]
    else:
        begun, effort = time.monotonic(), Effort(quick=options.quick, seed=options.seed)
        rows = [row for name in CHECKS if name in options.only for row in check(name, effort)]
        about = page.about(effort, time.monotonic() - begun)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"about": about, "rows": [vars(row) for row in rows]}, indent=1) + "\n")
    written = page.text(rows, about)
    print(written)
    if options.markdown:
        page.write(options.markdown, written)
    return 1 if bad(rows) or not rows else 0


def _row(fields: dict[str, Any]) -> Row:
    sequences = {name: tuple(fields[name]) for name in ("good", "needed", "parts")}
    return Row(**{**fields, **sequences, **{name: Counter(fields[name]) for name in ("counts", "tried_parts")}})


if __name__ == "__main__":
    sys.exit(main())
