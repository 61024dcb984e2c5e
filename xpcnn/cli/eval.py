"""`xpcnn eval`."""

from __future__ import annotations

import argparse

import numpy as np

from ..errors import one_line
from ..nn import CrossEntropyLoss, MSELoss
from ..table import columns
from ..training.best_model import run_batch_size
from ..training.evaluation import Evaluation, evaluate
from .judged import add_judged_arguments, judged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_judged_arguments(parser)
    parser.add_argument("--batch-size", type=int, help="images at a time (default: as in training, up to 256)")


def run(options: argparse.Namespace) -> None:
    chosen = judged(options)
    saved, split = chosen.saved, chosen.split
    if chosen.note:
        print(chosen.note)
    criterion = CrossEntropyLoss(ignore_index=saved.ignore_index) if saved.is_classifier else MSELoss()
    batch_size = run_batch_size(saved) if options.batch_size is None else options.batch_size
    result = evaluate(saved.model, split, criterion, batch_size)
    if not saved.is_classifier:
        print(f"{chosen.label} loss {result.loss:z.6g} ({criterion!r} of {len(split)} images)")
        return
    correct, counted = int(np.trace(result.confusion)), int(result.confusion.sum())
    what = " pixel" if len(split.labels.shape) > 1 else ""
    print(f"{chosen.label}{what} accuracy {result.accuracy:.2%} ({correct} of {counted})  loss {result.loss:z.4f}")
    if what:
        print(f"mean IoU {result.mean_iou:.4f}")
    if len(result.confusion) > 5:
        print(f"top-5 accuracy {result.top5_accuracy:.2%}")
    _print_confusion(result, chosen.classes)


def _print_confusion(result: Evaluation, classes: tuple[str, ...]) -> None:
    names = [one_line(classes[i]) if i < len(classes) else str(i) for i in range(len(result.confusion))]
    rows = [(name, *map(str, row)) for name, row in zip(names, result.confusion, strict=True)]
    print("rows: true class, columns: predicted\n" + columns(("", *names), rows))
