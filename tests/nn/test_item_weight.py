"""Weights of items: in every loss, at every shape, an item of weight 2 is two items, in the loss, its gradient and the
divisor; PyTorch and the gradient check agree; weights that are none are refused, and a loss of one's own needs none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.backend import array_namespace, is_numpy, to_numpy
from xpcnn.errors import BackendError, DataError, DTypeError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.nn.loss_examples import EXAMPLES

from ..arrays import needs_torch

K, W, TIMES = 3, [1.0, 2.5, 0.5], [1, 3, 0, 2]
LABELLED = [
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(weight=W, label_smoothing=0.1, ignore_index=255),
    nn.NLLLoss(),
    nn.NLLLoss(weight=W),
    nn.NLLLoss(ignore_index=255),
    nn.HingeLoss(),
    nn.FocalLoss(0.5),
    nn.FocalLoss(weight=W, ignore_index=255),
    nn.DiceLoss(),
    nn.DiceLoss(ignore_index=255),
]
VALUED = [
    nn.CrossEntropyLoss(label_smoothing=0.1),
    nn.CrossEntropyLoss(weight=W),
    nn.DiceLoss(),
    nn.DiceLoss(sigmoid=True),
    nn.BCEWithLogitsLoss(),
    nn.BCEWithLogitsLoss(pos_weight=W),
    nn.MSELoss(),
    nn.L1Loss(),
    nn.HuberLoss(0.4),
]
CASES = [(each, True) for each in LABELLED] + [(each, False) for each in VALUED]
BY_NAME = [f"{criterion!r} {'labels' if labels else 'values'}" for criterion, labels in CASES]


def batch(criterion, labelled, shape):
    """Outputs (4, …, K) and targets, of which some may not count."""
    n = len(TIMES)
    rng = np.random.default_rng(len(shape))
    y = rng.normal(size=(n, *shape, K))
    if not labelled:
        return y, rng.dirichlet(np.ones(K), (n, *shape))
    target = rng.integers(0, K, (n, *shape))
    if criterion.ignore_index is not None:
        target[rng.random(target.shape) < 0.3] = 255
        target.flat[0] = 0
    return y, target


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("criterion", "labelled"), CASES, ids=BY_NAME)
def test_an_item_of_weight_two_is_two_items(xp, criterion, labelled, reduction):
    criterion = type(criterion)(**criterion.config() | {"reduction": reduction})
    for shape in [(), (4,), (2, 3)][isinstance(criterion, nn.DiceLoss) :]:
        y, target = batch(criterion, labelled, shape)
        given = xp.array(y), xp.array(target)
        repeated = [xp.array(np.repeat(each, TIMES, axis=0)) for each in (y, target)]
        loss, cache = criterion.forward(*given, item_weight=xp.array(TIMES))
        expected, its_cache = criterion.forward(*repeated)
        np.testing.assert_allclose(to_numpy(loss), to_numpy(expected), rtol=1e-12)
        dy, one_each = to_numpy(criterion.backward(cache)), to_numpy(criterion.backward(its_cache))
        starts = np.cumsum([0, *TIMES])
        summed = [one_each[a:b].sum(axis=0) for a, b in pairwise(starts)]
        np.testing.assert_allclose(dy, np.stack(summed), rtol=1e-12, atol=1e-15)
        items = criterion.items(*given, item_weight=xp.array(TIMES))
        assert float(items) == pytest.approx(float(criterion.items(*repeated)), rel=1e-12)
        assert float(criterion(*given, item_weight=xp.array(TIMES, "float32"))) == float(loss)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_gradient_check(xp, name):
    criterion, y, target = EXAMPLES[name]()
    target, w = xp.array(target), xp.array(np.linspace(0.5, 2, len(y)))
    report = check_pair(
        lambda y: criterion.forward(y, target, item_weight=w),
        lambda dloss, cache: [dloss * criterion.backward(cache)],
        {"y": xp.array(y)},
    )
    assert report.passed, report


@needs_torch
def test_pytorch_agrees(rng):
    import torch
    from torch.nn import functional as torch_loss

    y, w = rng.normal(size=(5, 2, 4)), rng.uniform(0, 2, 5)
    soft, labels = rng.uniform(size=(5, 2, 4)), rng.integers(0, 4, (5, 2))
    labels[0, 0] = 255
    v, each = torch.tensor([1.0, 2.0, 0.5, 3.0]).double(), torch.tensor(w)[:, None]
    of_class = torch.where(torch.tensor(labels) == 255, 0, v[torch.tensor(labels) % 4])
    options = {"reduction": "none"}
    for criterion, target, theirs, divisor in (
        (nn.MSELoss(), soft, torch_loss.mse_loss, 8 * w.sum()),
        (nn.L1Loss(), soft, torch_loss.l1_loss, 8 * w.sum()),
        (nn.HuberLoss(), soft, torch_loss.huber_loss, 8 * w.sum()),
        (nn.BCEWithLogitsLoss(), soft, torch_loss.binary_cross_entropy_with_logits, 8 * w.sum()),
        (
            nn.CrossEntropyLoss(weight=v, label_smoothing=0.1, ignore_index=255),
            labels,
            lambda y, t, **options: torch_loss.cross_entropy(
                y.movedim(-1, 1), t, weight=v, label_smoothing=0.1, ignore_index=255, **options
            ),
            float((each * of_class).sum()),
        ),
    ):
        y_ = torch.tensor(y, requires_grad=True)
        losses = theirs(y_, torch.tensor(target), **options)
        expected = (losses * each.reshape(5, *[1] * (losses.ndim - 1))).sum() / divisor
        expected.backward()
        loss, cache = criterion.forward(y, target, item_weight=w)
        np.testing.assert_allclose(loss, expected.item(), rtol=1e-12)
        np.testing.assert_allclose(criterion.backward(cache), y_.grad, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_refused(xp, name):
    criterion, y, target = EXAMPLES[name]()
    n, y, target = len(y), xp.array(y), xp.array(target)
    for wrong, error, text in (
        (xp.array(np.ones(n + 1)), ShapeError, rf"item_weight \({n},\), one for each item, got \({n + 1},\)"),
        (xp.array(np.ones((n, 1))), ShapeError, rf"one for each item, got \({n}, 1\)"),
        (xp.array(np.ones(n) > 0), DTypeError, "item_weight: real numbers, got bool"),
        ([1.0] * n, DTypeError, "an array, got list"),
    ):
        for call in (criterion, criterion.forward, criterion.items):
            with pytest.raises(error, match=f"{name}: expected .*{text}"):
                call(y, target, item_weight=wrong)
    for bad in (-1.0, np.nan, np.inf):
        w = xp.array(np.array([*[1.0] * (n - 1), bad]))
        if is_numpy(w):
            with pytest.raises(
                DataError, match=f"{name}: expected item_weight: finite numbers ≥ 0, got {bad}; 0 leaves"
            ):
                criterion(y, target, item_weight=w)
        else:  # a look at them would wait for a device
            assert np.isnan(float(criterion(y, target, item_weight=w)))
    if not is_numpy(y):
        with pytest.raises(BackendError):
            criterion(y, target, item_weight=np.ones(n))


@pytest.mark.parametrize("name", EXAMPLES)
def test_weights_that_are_all_0_leave_no_mean(name):
    criterion, y, target = EXAMPLES[name]()
    with np.errstate(invalid="ignore"):
        assert np.isnan(criterion(y, target, item_weight=np.zeros(len(y))))
    criterion.reduction = "sum"
    assert criterion(y, target, item_weight=np.zeros(len(y))) == 0


def test_a_loss_of_one_s_own_needs_no_argument(xp):
    class Total(nn.Loss):
        def forward(self, y, target):
            return array_namespace(y).sum(y), y

    class Squares(nn.Loss):
        pair = (lambda y, target, *, reduction: ((y - target) ** 2, None), None)

    y = xp.array([1.0, 2.0])
    assert float(Total()(y, y)) == 3
    assert float(Squares()(y, y)[0]) == 0
    with pytest.raises(TypeError, match="item_weight"):
        Total()(y, y, item_weight=y)


@pytest.mark.skipif(not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="reading would mean waiting")
def test_a_weight_that_is_infinite_in_the_type_of_the_outputs_is_refused():
    y = np.ones((2, 3), np.float32)
    with pytest.raises(DataError, match=r"item_weight: finite numbers ≥ 0, got 1e\+300"):
        nn.MSELoss()(y, 0 * y, item_weight=np.array([1e300, 1]))
