"""The report of ci/gpu.sh: python -m ci.gpu_report PARTS FOLDER

PARTS is the folder with the parts' results: output, statuses, seconds and figures. All of them go to FOLDER/gpu.json,
and a readable report to FOLDER/gpu.md. The status is 1 if a part failed; one that is out of time did not.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

from ci import agreement, gpu_graphs
from ci.bench import report

MOST_FAILURES = 100  # that are listed
OUT_OF_TIME = 124  # the status that `timeout` gives
SHOWN = 60  # last lines of a failed part's output


def gather(parts: Path) -> dict[str, Any]:
    """All results of the parts; a figure that a part could not write is None."""
    rows = [line.split() for line in (parts / "parts").read_text().splitlines()]
    return {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "parts": [
            {
                "name": name,
                "status": int(status),
                "seconds": int(seconds),
                "said": (parts / f"{name}.txt").read_text(errors="replace").splitlines()[-SHOWN:],
            }
            for name, status, seconds in rows
        ],
        "suite": _suite(parts / "suite.txt"),
        "graphs": _figures(parts / "graphs.json"),
        "agreement": _figures(parts / "agreement.json"),
        "benchmark": _figures(parts / "benchmark.json"),
    }


def text(found: dict[str, Any]) -> str:
    """The report in Markdown."""
    lines = ["# xpcnn on a GPU", "", found["system"], "", "| part | status | seconds |", "|---|---|---:|"]
    lines += [f"| {part['name']} | {_status(part)} | {part['seconds']} |" for part in found["parts"]]
    suite, agrees, measured = found["suite"], found["agreement"], found["benchmark"]
    if suite:
        lines += ["", "## The suite", "", ", ".join(f"{suite[what]} {what}" for what in _COUNTS), ""]
        lines += [f"- {name}" for name in suite["not passed"][:MOST_FAILURES]]
    if agrees:
        limits = ", ".join(f"{limit:.0e} in {dtype}" for dtype, limit in agrees["limits"].items())
        lines += ["", "## Agreement with NumPy", "", f"Largest difference over largest number; limits {limits}.", ""]
        lines += _block(agreement.table(agrees["rows"]))
    if measured:
        lines += ["", "## Benchmark", "", *_block(report.text(measured))]
    if found["graphs"]:
        lines += ["", "## CUDA graphs", "", *_block(gpu_graphs.table(found["graphs"]))]
    for part in found["parts"]:
        if part["name"] == "doctor" or part["status"]:
            lines += ["", f"## What {part['name']} said last", "", *_block("\n".join(part["said"]))]
    return "\n".join(lines) + "\n"


_COUNTS = ("passed", "failed", "skipped")


def _suite(path: Path) -> dict[str, Any] | None:
    """Counts, and the names of the tests that did not pass, of what had run when it ended, or was killed."""
    if not path.exists():
        return None
    ran = re.findall(r"^\[gw\d+\] \[ *\d+%\] ([A-Z]+) (.*?) *$", path.read_text(errors="replace"), re.MULTILINE)
    counts = {"passed": ("PASSED",), "failed": ("FAILED", "ERROR"), "skipped": ("SKIPPED", "XFAIL")}
    return {
        **{name: sum(word in words for word, _ in ran) for name, words in counts.items()},
        "not passed": [test for word, test in ran if word in counts["failed"]],
    }


def _figures(path: Path) -> Any:
    try:
        return json.loads(path.read_text()) if path.exists() else None
    except ValueError:  # it was killed while writing
        return None


def _status(part: dict[str, Any]) -> str:
    if part["status"] == OUT_OF_TIME:
        return "out of time"
    return "**failed**" if part["status"] else "passed"


def _block(text: str) -> list[str]:
    return ["```text", text, "```"]


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    parts, folder = map(Path, sys.argv[1:])
    found = gather(parts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "gpu.md").write_text(text(found))
    print(f"\n{folder / 'gpu.md'}: " + ", ".join(f"{part['name']} {_status(part)}" for part in found["parts"]))
    return int(any(part["status"] not in (0, OUT_OF_TIME) for part in found["parts"]))


if __name__ == "__main__":
    sys.exit(main())
