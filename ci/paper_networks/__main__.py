"""`python -m ci.paper_networks [--dynamo] [NAME …]`: a line for each network, and how many are right."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from . import classifiers, dense, mobile, pictures, tasks  # noqa: F401  enter their networks
from .catalogue import NETWORKS
from .compare import compare


def main() -> int:
    """The status is 1 if a network is wrong."""
    parser = argparse.ArgumentParser(prog="python -m ci.paper_networks")
    parser.add_argument("names", nargs="*", help="parts of names; none for all")
    parser.add_argument("--dynamo", action="store_true", help="PyTorch's newer exporter")
    options = parser.parse_args()
    chosen = [each for each in NETWORKS if not options.names or any(name in each.name for name in options.names)]
    counts = Counter[str]()
    for each in chosen:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            verdict, detail = compare(each, Path(folder), dynamo=options.dynamo)
        counts[verdict] += 1
        print(f"{each.name:60} {verdict:8} {detail}", flush=True)
    print(f"{len(chosen)} networks: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
