"""Every single wrong value in a checkpoint is refused, and then nothing has changed; or it makes no difference.

The checkpoint is that of a run with all that a run can have: momentum, a moving average, a schedule that remembers,
dropout, batch norm, gradient accumulation and validation, stopped in the middle of an epoch.
"""

from __future__ import annotations

import pytest

from xpcnn.errors import FormatError
from xpcnn.io.tensors import read_tensors
from xpcnn.training.checkpoint import CHECKPOINT

from ..damage import MISSING, TOO_LARGE, VALUES, places, write, wrong, wrong_arrays
from .small import assert_same, everything, generators, loader, split, stopped_at, trainer

OPTIONS = {"accumulate": 2, "ema": 0.9}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The arrays and the document of a checkpoint, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    with stopped_at(10, trainer(folder, **OPTIONS)) as run:
        run.fit(loader(), split(20, seed=1), epochs=4)
    assert (run.position.epoch, run.position.batch) == (2, 4)
    return *read_tensors(folder / CHECKPOINT), folder


def state(run):
    arrays = everything(run)
    others = run.optimizer.scalars(), run.schedule.state_dict(), generators(run.model), run.position, run.history
    return arrays, others


def outcomes(saved, cases):
    """The cases (what is wrong, arrays, document) that are not refused; a refused one changes nothing."""
    folder = saved[2]
    run, taken = trainer(folder, **OPTIONS), []
    before = state(run)
    for what, arrays, document in cases:
        write(folder / CHECKPOINT, arrays, document)
        error = None
        try:
            run.fit(loader(), split(20, seed=1), epochs=1, resume=True)  # more epochs are done: nothing is trained
        except FormatError as refusal:
            error = str(refusal)
        if error is None:
            taken.append(what)
            run = trainer(folder, **OPTIONS)
            before = state(run)
        else:
            assert "\n" not in error
            after = state(run)
            assert after[1] == before[1], what
            assert_same(after[0], before[0])
    return taken


# Accepted, and why that is no damage that could be told from a run's own numbers.
SHOWN = "a number that is only shown"
PLAUSIBLE = "a run may have it: files have a checksum for what cannot be told otherwise"
OLDER = "older checkpoints do not say it"
HARMLESS = {
    ("run", "augmentation"): {MISSING: OLDER},
    ("run", "criterion"): {MISSING: OLDER},
    ("run", "data"): {MISSING: OLDER},
    ("run", "validation data"): {MISSING: OLDER},
    ("run", "buffer"): {MISSING: OLDER},
    ("run", "unfreeze_at"): {MISSING: OLDER},
    ("run", "monitor"): {MISSING: OLDER},
    ("run", "min_delta"): {MISSING: OLDER, False: "it is 0"},
    ("run", "shards"): {MISSING: OLDER, True: "it is 1"},
    ("position", "loss_sum"): {-1: PLAUSIBLE, 2**70: PLAUSIBLE, 0.5: PLAUSIBLE},
    ("position", "items"): {MISSING: OLDER},
    ("position", "correct"): {0.5: "half of an image's pixels"},
    ("untold",): {MISSING: OLDER},
    ("position", "seconds"): {2**70: SHOWN, 0.5: SHOWN},
    ("optimizer", "lr"): {2**70: "the schedule sets it before it is used", 0.5: "likewise"},
    ("schedule", "best"): {-1: PLAUSIBLE, 0.5: PLAUSIBLE, 2**70: PLAUSIBLE, None: "nothing finite was heard so far"},
}
ROWS = {
    "lr": {2**70: SHOWN, 0.5: SHOWN},
    "train_loss": {-1: SHOWN, 2**70: SHOWN, 0.5: SHOWN},
    "train_accuracy": {None: SHOWN, 0.5: SHOWN},
    "validation_loss": {None: SHOWN, -1: SHOWN, 2**70: SHOWN, 0.5: SHOWN},  # but of the best epoch
    "validation_accuracy": {None: SHOWN, 0.5: SHOWN},
    "validation_f1": {None: SHOWN, MISSING: SHOWN, True: SHOWN, 0.5: SHOWN},
    "seconds": {2**70: SHOWN, 0.5: SHOWN},
}
STATES = {
    "state": {2**70: PLAUSIBLE},
}


def harmless(path, value):
    if path[0] == "history" and len(path) == 3:
        known = ROWS.get(path[2], {})
    elif path[0] == "generators" and len(path) >= 3 and path[2:] != ("state",):
        known = STATES.get(path[-1], {})
    else:
        known = HARMLESS.get(path, {})
    return any(type(value) is type(each) and value == each for each in known)


@pytest.mark.filterwarnings("ignore:.*of an older xpcnn, and does not say which images")
def test_every_single_wrong_value_is_refused_or_makes_no_difference(saved):
    arrays, document, _ = saved
    cases = [((path, value), arrays, changed) for path, value, changed in wrong(document)]
    assert len(cases) > 600
    assert {value for (_, value), _, _ in cases if isinstance(value, str)} == {MISSING, TOO_LARGE, "text"}
    taken = outcomes(saved, cases)
    assert [what for what in taken if not harmless(*what)] == []
    assert len(taken) < len(cases) / 10


def test_every_wrong_array_is_refused(saved):
    arrays, document, _ = saved
    cases = [(what, changed, document) for what, changed in wrong_arrays(arrays)]
    assert {name.partition(".")[0] for name in arrays} == {"model", "optimizer", "average"}
    assert outcomes(saved, cases) == []


def test_the_checkpoint_itself_is_taken(saved):
    arrays, document, _ = saved
    assert outcomes(saved, [("nothing", arrays, document)]) == ["nothing"]
    assert len(list(places(document))) > len(VALUES)


def test_values_that_fit_by_themselves_but_not_together(saved):
    arrays, document, _ = saved
    position = document["position"]
    cases = []
    for change in (
        {"epoch": 1},
        {"epoch": 3},
        {"batch": 2},
        {"batch": 5},
        {"batch": 8, "images": 64},
        {"images": 39},
        {"correct": 41},
        {"batch": 0, "images": 0, "correct": 0},  # and a sum of losses
        {"best_epoch": 0},
        {"best_epoch": 3},
        {"best_epoch": 3 - position["best_epoch"]},
        {"best_score": None},
        {"best_score": [0.5, -0.25]},
        {"best_score": position["best_score"][:1]},
    ):
        cases.append((str(change), arrays, document | {"position": position | change}))
    rows = document["history"]
    for history in (rows[:1], [*rows, rows[-1]], rows[::-1], []):
        cases.append((f"{len(history)} rows", arrays, document | {"history": history}))
    assert outcomes(saved, cases) == []


def test_a_position_that_is_empty_does_not_begin_again(saved):
    arrays, document, folder = saved
    write(folder / CHECKPOINT, arrays, document | {"position": {}, "history": []})
    with pytest.raises(FormatError, match=r"position: expected epoch, batch, loss_sum.*, got none of them"):
        trainer(folder, **OPTIONS).fit(loader(), split(20, seed=1), epochs=4, resume=True)
