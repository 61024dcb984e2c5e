"""The table of a network: LeNet-5's known numbers, what backward costs, shared layers, branches, errors."""

from __future__ import annotations

import re

import pytest

from xpcnn.errors import OptionError, ShapeError
from xpcnn.nn import Concat, Conv2d, Linear, Residual, Sequential
from xpcnn.nn.conv_transpose import ConvTranspose2d
from xpcnn.nn.pool import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from xpcnn.nn.shape import Flatten
from xpcnn.nn.upsample import Upsample


def rows(text: str) -> list[list[str]]:
    """The cells of each row between the rules, without the header."""
    body = re.split(r"\n-+\n", text)[1]
    return [re.split(r"\s{2,}", line.strip()) for line in body.splitlines()]


def lenet() -> Sequential:
    features = Sequential(Conv2d(1, 6, 5, padding=2), AvgPool2d(2), Conv2d(6, 16, 5), AvgPool2d(2), Flatten())
    return Sequential(features, Linear(400, 120), Linear(120, 84), Linear(84, 10))


def test_lenet_5(xp):
    """Parameters and multiply-adds as they are counted by hand for the network of LeCun et al., 1998 (dense C3)."""
    assert rows(lenet().summary((28, 28, 1))) == [
        ["Sequential", "(10,)"],
        ["0 Sequential", "(400,)"],
        ["0 Conv2d", "(28, 28, 6)", "156", "117,600", "117,600", "18.4"],
        ["1 AvgPool2d", "(14, 14, 6)", "0", "0", "0", "4.6"],
        ["2 Conv2d", "(10, 10, 16)", "2,416", "240,000", "480,000", "6.2"],
        ["3 AvgPool2d", "(5, 5, 16)", "0", "0", "0", "1.6"],
        ["4 Flatten", "(400,)", "0", "0", "0", "1.6"],
        ["1 Linear", "(120,)", "48,120", "48,000", "96,000", "0.5"],
        ["2 Linear", "(84,)", "10,164", "10,080", "20,160", "0.3"],
        ["3 Linear", "(10,)", "850", "840", "1,680", "0.0"],
    ]


def test_totals_and_layout():
    text = lenet().summary((28, 28, 1))
    *lines, total, closing = text.splitlines()
    assert re.split(r"\s{2,}", total) == ["Total", "61,706", "416,520", "715,440", "33.2"]
    assert closing == (
        "multiply-adds forward + backward: 1,131,960; memory of parameters: 241.0 KiB, of outputs: 33.2 KiB an item"
    )
    ends = {len(line) for line in (*lines, total) if line[-1] in "0123456789-"}
    assert len(ends) == 1  # numbers end in one column, under the rule
    assert [len(line) - len(line.lstrip()) for line in lines[2:6]] == [0, 2, 4, 4]  # indentation


def test_memory_follows_the_element_type():
    small, large = (Conv2d(1, 2, 1).astype(dtype).summary((32, 32, 1)) for dtype in ("float32", "float64"))
    assert rows(small)[0][-1] == "8.0"
    assert rows(large)[0][-1] == "16.0"


def test_backward_counts_only_gradients_that_somebody_waits_for():
    """Before the first trained layer nothing; there the parameters' alone; then both; without parameters dx."""
    net = Sequential(AdaptiveAvgPool2d(4), Conv2d(2, 2, 3), AdaptiveAvgPool2d(2), Conv2d(2, 1, 2))
    pool, first, later_pool, last = rows(net.summary((8, 8, 2)))[1:]
    assert pool[3:5] == ["768", "0"]  # 4·8·8·2 + 4·4·8·2
    assert first[3:5] == ["144", "144"]  # 2·2·2 · 9·2
    assert later_pool[3:5] == ["32", "32"]
    assert last[3:5] == ["8", "16"]


def test_branches_that_start_from_the_input_have_no_dx():
    def net(*before):
        return Sequential(*before, Concat(Conv2d(2, 2, 1), Residual(Conv2d(2, 2, 1), Conv2d(2, 2, 1))), Conv2d(4, 1, 1))

    convs = [row for row in rows(net().summary((4, 4, 2))) if row[0].endswith("Conv2d")]
    assert [row[3:5] for row in convs] == [["64", "64"]] * 3 + [["64", "128"]]
    convs = [row for row in rows(net(Conv2d(2, 2, 1)).summary((4, 4, 2))) if row[0].endswith("Conv2d")]
    assert [row[3:5] for row in convs] == [["64", "64"]] + [["64", "128"]] * 4


def test_names_and_outputs_of_branches():
    body = rows(Concat(Residual(Conv2d(2, 2, 1)), MaxPool2d(1)).summary((4, 4, 2)))
    assert [row[0] for row in body] == ["Concat", "0 Residual", "body Conv2d", "1 MaxPool2d"]
    assert [row[1] for row in body] == ["(4, 4, 4)", "(4, 4, 2)", "(4, 4, 2)", "(4, 4, 2)"]


def test_a_shared_layer_counts_once():
    shared = Linear(4, 4)
    text = Sequential(shared, Linear(4, 4), shared).summary((4,))
    assert [row[2] for row in rows(text)[1:]] == ["20", "20", "(20)"]
    assert re.search(r"Total +40 +48 +80 ", text)  # parameters once, work each time


def test_a_single_layer_and_a_decoder():
    assert rows(Linear(3, 2).summary((3,))) == [["Linear", "(2,)", "8", "6", "6", "0.0"]]
    decoder = Sequential(ConvTranspose2d(4, 2, 4, stride=2, padding=1), Upsample(2), GlobalAvgPool2d())
    assert [row[1] for row in rows(decoder.summary((3, 5, 4)))[1:]] == ["(6, 10, 2)", "(12, 20, 2)", "(2,)"]
    assert rows(decoder.summary((3, 5, 4)))[1][2:5] == ["130", "1,920", "1,920"]  # 3·5·4 · 16 · 2


def test_refuses_what_makes_no_sense():
    for shape in (784, (28, 0, 1), (28, 28.0, 1), "28"):
        with pytest.raises(OptionError, match=r"summary: expected (each axis of )?input_shape: "):
            lenet().summary(shape)
    with pytest.raises(ShapeError, match=r"^layer 0\.0: Conv2d\(1→6, 5×5\): expected input \(N, H, W, 1\), got"):
        lenet().summary((28, 28, 3))
