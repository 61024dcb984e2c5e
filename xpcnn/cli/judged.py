"""Chooses the images that a model is evaluated on: those that it has not been trained on."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from ..data.split import Split
from ..data.splits import Parts
from ..errors import DataError, OptionError, one_line, warn
from ..io.model_file import SavedModel
from ..training import trained_on
from ..training.best_model import model_path
from ..training.trained_on import TrainedOn
from .datasets import add_dataset_arguments, dataset_options, model_and_dataset, run_of
from .files import add_model_argument

_LABELS = {"test": "test", "train": "train", "validation": "validation", "all": "overall", "unseen": "unseen"}
_HELP = (
    "which images: test, train, validation (the run's), all, or unseen (all but those that the run was trained or "
    "validated on). Default: of the run's own data the test part, and where they have changed those unseen; of other "
    "data the part that they state to test on, or else all"
)


@dataclass(frozen=True, eq=False)
class Judged:
    """A model, and images to evaluate it on; `label` names these in one word, `note` in a line if necessary."""

    saved: SavedModel
    split: Split
    classes: tuple[str, ...]
    label: str
    note: str


def add_judged_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments `model`, `dataset`, `option` and `part`, for `judged`."""
    add_model_argument(parser)
    add_dataset_arguments(parser)
    parser.add_argument("--part", choices=tuple(_LABELS), help=_HELP)


def judged(options: argparse.Namespace) -> Judged:
    """The model, and the images of the requested part; warns of those that the run was trained on.

    Raises
        DataError : there are no such images
    """
    saved, parts = model_and_dataset(options.model, options.dataset, options.option)
    seen = trained_on.read(model_path(options.model).parent)
    return _Choice(options, saved, parts, seen).judged()


class _Choice:
    def __init__(self, options: argparse.Namespace, saved: SavedModel, parts: Parts, seen: TrainedOn | None) -> None:
        self.name, self.part, self.saved, self.parts, self.seen = options.dataset, options.part, saved, parts, seen
        self.own = run_of(options.model, options.dataset)[1]
        self.divided = not {"test_fraction", "seed"}.isdisjoint(dataset_options(options.option))  # by the user

    def judged(self) -> Judged:
        part = self.part or self._default()
        split = self._images(part)
        if part == "unseen" and self._is_test(split):
            part = "test"
        self._warn(part, split)
        return Judged(self.saved, split, self.parts.classes, _LABELS[part], self._note(part, len(split)))

    def _default(self) -> str:
        if self.parts.stated is not None or self.divided:
            return "test"
        if self.seen is None:
            return "test" if self.own else "all"
        everything = self.parts.everything
        known = self.seen.images(everything)
        moved = not known.all() and bool(
            np.isin(self.seen.all(), everything.digests).all()
        )  # the run's data set, in another place
        return "unseen" if self.own or moved else "all"

    def _images(self, part: str) -> Split:
        if part == "all":
            return self.parts.everything
        if part in ("train", "test"):
            split = self.parts.train if part == "train" else self.parts.test
            if split is None:
                raise DataError(self.name, f"a part called {part}", "none", "--part all judges what there is")
            return split
        if self.seen is None:
            got = f"no {trained_on.TRAINED_ON} in its folder"
            raise OptionError("--part", f"for {part}, the folder of a run", got, "choose another part")
        everything = self.parts.everything
        known = self.seen.images(everything)
        chosen = ~known if part == "unseen" else np.isin(everything.digests, self.seen.validation)
        if not chosen.any():
            was = "validated on" if part == "validation" else "neither trained nor validated on"
            got = f"none among {len(everything)}"
            raise DataError(self.name, f"images that the run was {was}", got, "--part all judges all of them")
        return everything.select(np.flatnonzero(chosen))

    def _is_test(self, split: Split) -> bool:
        """True if these are the images that the data set has to test on."""
        try:
            test = self.parts.test
        except DataError:  # too few to hold any out
            return False
        return test is not None and np.array_equal(test.digests, split.digests)

    def _note(self, part: str, n: int) -> str:
        total = len(self.parts.given or ()) + len(self.parts.stated or ())
        if part == "unseen":
            return f"{n} of {total} images; {total - n} are left out, which the run was trained or validated on"
        if part == "all":
            unknown = "; the model does not say which images it was trained on" if self.seen is None else ""
            return f"all {n} images of {one_line(self.parts.name)}{unknown}"
        if part == "test" and not self.own and self.parts.stated is not None and self.parts.found and total > n:
            return f"the {n} images to test on ({one_line(self.parts.found)}); with --part all, all {total} are judged"
        return ""

    def _warn(self, part: str, split: Split) -> None:
        if self.seen is None:
            if part == "test" and self.own and self.parts.stated is None:
                what = "the run is of an older xpcnn, and does not say which images it was trained on"
                warn(self.name, what, "what was held out of them is chosen otherwise now: some may be among these")
        elif part in ("test", "all"):
            if repeated := int(self.seen.images(split).sum()):
                what = f"the run was trained or validated on {repeated} of these {len(split)} images"
                warn(self.name, what, "--part unseen leaves them out")
        elif part == "unseen" and self.own:
            kept, everything = self.seen.all(), self.parts.everything
            found = int(np.isin(kept, everything.digests).sum())
            if 2 * found < len(kept):
                what = f"of {len(kept)} images that the run has learned from only {found} are among these"
                remedy = "if they are the same files, they are read otherwise here than where it was trained"
                warn(self.name, f"{what} {len(everything)}", remedy)
