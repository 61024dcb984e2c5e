"""`xpcnn gradcheck`."""

from __future__ import annotations

import argparse

from ..errors import GradientError, OptionError
from ..gradient_check import gradcheck
from ..gradient_witnesses import TOLERANCE
from ..nn.layer_examples import EXAMPLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="names such as Conv2d (default: every layer)")


def run(options: argparse.Namespace) -> None:
    unknown = [name for name in options.layers if name not in EXAMPLES]
    if unknown:
        raise OptionError("gradcheck", "one of " + ", ".join(EXAMPLES), ", ".join(unknown))
    print(f"{'layer':<20}{'gradient':<18}" + "".join(f"{witness:>20}" for witness in TOLERANCE) + "  verdict")
    wrong = []
    for name in options.layers or EXAMPLES:
        report = gradcheck(*EXAMPLES[name]())
        for argument in dict.fromkeys(row.argument for row in report.rows):
            rows = {row.witness: row for row in report.rows if row.argument == argument}
            cells = "".join(f"{rows[w].error:>20.1e}" if w in rows else f"{'—':>20}" for w in TOLERANCE)
            print(f"{name:<20}{argument:<18}{cells}  {'ok' if all(r.passed for r in rows.values()) else 'WRONG'}")
        if not report.passed:
            wrong.append(name)
    if wrong:
        raise GradientError("gradcheck", "gradients that agree with every witness", f"wrong ones in {', '.join(wrong)}")
