"""`xpcnn eval`."""

from __future__ import annotations

import argparse

import numpy as np

from ..errors import one_line
from ..table import columns
from ..training.best_model import run_batch_size
from ..training.criteria import criterion_of
from ..training.evaluation import Evaluation, evaluate
from ..training.metrics import f1, precision, recall
from ..training.tallies import metrics_in_words
from .judged import add_judged_arguments, judged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_judged_arguments(parser)
    parser.add_argument("--batch-size", type=int, help="images at a time (default: as in training, up to 256)")


def run(options: argparse.Namespace) -> None:
    chosen = judged(options)
    saved, split = chosen.saved, chosen.split
    if chosen.note:
        print(chosen.note)
    criterion = criterion_of(saved.kind_of_outputs, saved.ignore_index)
    batch_size = run_batch_size(saved) if options.batch_size is None else options.batch_size
    result = evaluate(saved.model, split, criterion, batch_size)
    if not saved.is_classifier:
        print(f"{chosen.label} loss {result.loss:z.6g} ({criterion!r} of {len(split)} images)")
        _print_metrics(result, but=())
        if saved.has_labels:
            _print_labels(result, chosen.classes or saved.classes)
        return
    correct, counted = int(np.trace(result.confusion)), int(result.confusion.sum())
    what = "pixel accuracy" if len(split.labels.shape) > 1 else "accuracy"
    print(f"{chosen.label} {what} {result.accuracy:.2%} ({correct} of {counted})  loss {result.loss:z.4f}")
    _print_metrics(result, but=("accuracy",))
    _print_confusion(result, chosen.classes)


def _print_metrics(result: Evaluation, but: tuple[str, ...]) -> None:
    said = metrics_in_words({name: value for name, value in result.metrics.items() if name not in but})
    if said:
        print(said)


def _names(result: Evaluation, classes: tuple[str, ...]) -> list[str]:
    return [one_line(classes[i]) if i < len(classes) else str(i) for i in range(len(result.confusion))]


def _print_labels(result: Evaluation, labels: tuple[str, ...]) -> None:
    rates = [[f"{value:.4f}" for value in rate(result.confusion)] for rate in (precision, recall, f1)]
    rows = zip(_names(result, labels), *rates, map(str, result.confusion[:, 1].sum(axis=1)), strict=True)
    print(columns(("label", "precision", "recall", "F1", "images"), list(rows)))


def _print_confusion(result: Evaluation, classes: tuple[str, ...]) -> None:
    names = _names(result, classes)
    rows = [(name, *map(str, row)) for name, row in zip(names, result.confusion, strict=True)]
    print("rows: true class, columns: predicted\n" + columns(("", *names), rows))
