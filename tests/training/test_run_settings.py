"""A run's settings of weight decay by groups, class weights, the monitored number and more epochs do what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.utils import compute_class_weight

from xpcnn import models, optim, training
from xpcnn.data import Split
from xpcnn.errors import OptionError
from xpcnn.nn import BatchNorm2d, BCEWithLogitsLoss, Conv2d, CrossEntropyLoss, MSELoss, Sequential
from xpcnn.training.class_weights import balanced, balanced_weights
from xpcnn.training.config import RunConfig, read_config
from xpcnn.training.more_epochs import in_words
from xpcnn.training.parameter_groups import ParameterGroups
from xpcnn.training.run import resume, start

QUICK = {"model": "mlp", "overfit_batches": 2, "epochs": 2}


def split(labels):
    return Split(np.zeros((len(labels), 2, 2, 1), np.uint8), labels)


def test_balanced_weights_are_scikit_learn_s():
    labels = np.array([0, 0, 0, 2, 2, 3])
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    np.testing.assert_allclose(balanced_weights(split(labels), 5), [expected[0], 1, *expected[1:], 1])
    pixels = np.array([[[0, 1], [255, 0]], [[0, 255], [0, 1]]], np.uint8)
    counted = compute_class_weight("balanced", classes=np.arange(2), y=pixels[pixels != 255])
    np.testing.assert_allclose(balanced_weights(split(pixels), 2, ignore_index=255), counted)
    several = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]], np.float32)
    assert balanced_weights(split(several), 3) == [3.0, 3.0, 1.0]


def test_the_loss_has_them_if_it_takes_any():
    labels = split(np.array([0, 0, 0, 1]))
    assert balanced(CrossEntropyLoss(), labels, 2, "balanced").weight == pytest.approx([2 / 3, 2])
    several = split(np.array([[1, 0], [0, 0], [0, 1], [0, 1]], np.float32))
    assert balanced(BCEWithLogitsLoss(), several, 2, "balanced").pos_weight == [3.0, 1.0]
    for criterion, targets in ((MSELoss(), several), (BCEWithLogitsLoss(), split(several.labels * 0.5))):
        with pytest.raises(OptionError, match="labels of 0 and 1"):
            balanced(criterion, targets, 2, "balanced")


def test_biases_and_norms_do_not_decay_and_a_pattern_counts_more():
    network = Sequential(Conv2d(1, 2, 3, rng=0), BatchNorm2d(2), Conv2d(2, 2, 3, rng=1))
    config = RunConfig(no_bias_decay=True, decay_scale="2.*=0.5,1.bias=3", lr_scale="0.*=0.1")
    groups, whole = ParameterGroups(config, network), models.normalized(network, [0.0], [1.0])
    optimizer = optim.SGD(whole.parameters(), lr=1.0, weight_decay=1.0)
    groups.scale(optimizer, whole)
    found = {name: optimizer.of_parameter(name) for name in whole.parameters()}
    assert {name: each.weight_decay for name, each in found.items()} == {
        "1.weight": 1.0, "1.bias": 0.0, "2.weight": 0.0, "2.bias": 3.0, "3.weight": 0.5, "3.bias": 0.5
    }  # fmt: skip
    assert {name for name, each in found.items() if each.lr == 0.1} == {"1.weight", "1.bias"}


def test_a_run_goes_on_with_more_epochs(tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    start(RunConfig(**QUICK, schedule="constant", class_weight="balanced", no_bias_decay=True), run, verbose=False)
    assert resume(run, epochs=4, verbose=False)["epochs"] == 4
    start(
        RunConfig(**QUICK | {"epochs": 4}, schedule="constant", class_weight="balanced", no_bias_decay=True),
        whole,
        verbose=False,
    )
    assert read_config(run) == read_config(whole)
    ended, at_once = (json.loads((folder / "result.json").read_text()) for folder in (run, whole))
    assert ended["test_loss"] == at_once["test_loss"]
    with pytest.raises(OptionError, match="the 4 epochs that the run has done, or more, got 3"):
        resume(run, epochs=3, verbose=False)
    assert read_config(run).epochs == 4
    assert "which was over 2 epochs, is now over 4" in in_words("onecycle", 2, 4)
    assert not in_words("plateau", 2, 4)


def test_a_run_is_judged_by_what_it_monitors(tmp_path):
    start(RunConfig(**QUICK, monitor="validation_f1", min_delta=2.0), tmp_path / "run", verbose=False)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["best_epoch"] == 1
    with pytest.raises(OptionError, match="such as monitor='validation_f1'"):
        start(RunConfig(**QUICK, monitor="f1"), tmp_path / "other", verbose=False)
    with pytest.raises(OptionError, match=r"one of loss, accuracy, [^;]*, got 'foo'$"):
        start(RunConfig(**QUICK, monitor="foo"), tmp_path / "other", verbose=False)
    row = training.history.read_csv(tmp_path / "run" / "history.csv")[0]
    assert 0 < row.metrics["f1"] < 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"class_weight": "equal"}, "'balanced'"),
        ({"min_delta": 0.1}, "a number to monitor"),
        ({"monitor": "train_loss", "min_delta": -1}, "min_delta"),
        ({"decay_scale": "fc"}, "factors by names"),
        ({"no_bias_decay": 1}, "true or false"),
    ],
)
def test_settings_that_say_nothing_are_refused(options, text):
    with pytest.raises(OptionError, match=text):
        RunConfig(**options)
