"""Counts that are compared with committed ones: a number that has grown is an error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "ci" / "results"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")


def finish(
    found: dict[str, Any], file: Path, options: argparse.Namespace, slack: Mapping[str, int] = MappingProxyType({})
) -> int:
    """Write the counts to the file, or compare them with it, as the options say; return the status.

    Parameters
        slack : what a number of that name may be above the committed one
    """
    if options.write:
        file.write_text(json.dumps(found, indent=1) + "\n")
    if options.check and (said := grown(found, json.loads(file.read_text()), slack=slack)):
        print("\nmore than in " + str(file.relative_to(ROOT)), *said, sep="\n", file=sys.stderr)
        return 1
    return 0


def grown(
    found: dict[str, Any], committed: dict[str, Any], where: str = "", slack: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """The numbers that are above the committed ones; PyTorch's belong to another library."""
    said = []
    for name, value in found.items():
        place = f"{where} {name}".strip()
        before = committed.get(name)
        if isinstance(value, dict):
            said += grown(value, before or {}, place, slack)
        elif value is not None and name != "pytorch" and (before is None or value > before + slack.get(name, 0)):
            said.append(f"{place}: {value:,}, committed {'none' if before is None else f'{before:,}'}")
    return said
