"""A number that is −0, or rounds to it, is printed as 0; a loss of zero is +0."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.cli import predict
from xpcnn.data import Split
from xpcnn.explain.formatting import Numbers
from xpcnn.explain.patterns import filled
from xpcnn.plot.batch import _caption
from xpcnn.training.history import Epoch


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_of_a_sure_and_right_answer(xp, reduction):
    y, labels = xp.array(np.array([[0.0, -2000.0, -2000.0]])), xp.array([0])
    each = {
        nn.CrossEntropyLoss(reduction=reduction): labels,
        nn.NLLLoss(reduction=reduction): labels,
        nn.CrossEntropyLoss(reduction=reduction, weight=xp.array(np.ones(3))): xp.array(np.array([[1.0, 0.0, 0.0]])),
        nn.MSELoss(reduction=reduction): y,
        nn.L1Loss(reduction=reduction): y,
        nn.HuberLoss(reduction=reduction): y,
    }
    for criterion, target in each.items():
        assert math.copysign(1.0, float(to_numpy(criterion(y, target)))) == 1.0, criterion


@pytest.mark.parametrize(
    "text",
    [
        str(Epoch(1, 0.1, -1e-9, math.nan, -0.0, math.nan, 1.0)),
        "".join(filled("{a}", a=-0.0)),
        Split(np.full((1, 2, 2, 1), -0.0, np.float32), np.zeros(1, np.int64)).scale_in_words,
        _caption(np.float32(-0.0), ()),
        _caption(np.array([-0.0, 0.0], np.float32), ()),
        *predict._text([("a.png", [("0", -0.0)])], classifies=False),
        *predict._csv([("a.png", [("0", -0.0)])], classifies=False),
    ],
)
def test_what_is_printed(text):
    assert not re.search(r"(?<!e)[-−]0(?![\d.]*[1-9])", text)


def test_what_is_half_of_the_last_digit_keeps_its_own():
    assert Numbers(np.array([4.0, -0.5, 0.5]), 1)(-0.5) == "−0.5"
