"""Schedules: each against PyTorch's, step by step; their ends; Plateau's memory through JSON."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import FormatError, OptionError
from xpcnn.optim.schedule import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp

from ..arrays import needs_torch

RATES = st.floats(1e-4, 10)
STEPS = st.integers(1, 30)


def pytorch(make, steps, lr):
    """The rates that a scheduler of PyTorch's gives for steps 0 … steps − 1."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR warns about itself
        scheduler = make(torch.optim.lr_scheduler, optimizer)
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


def assert_same(schedule, make, steps, lr):
    ours = [schedule.lr_at(step) for step in range(steps)]
    assert all(type(rate) is float for rate in ours)
    np.testing.assert_allclose(ours, pytorch(make, steps, lr), rtol=1e-9, atol=1e-12 * lr)


@needs_torch
@given(lr=RATES, every=STEPS, factor=st.floats(0.1, 1.5))
def test_step_decay(lr, every, factor):
    schedule = StepDecay(lr, every, factor)
    assert_same(schedule, lambda s, o: s.StepLR(o, every, factor), 3 * every + 2, lr)


@needs_torch
@given(lr=RATES, factor=st.floats(0.5, 1.1))
def test_exponential(lr, factor):
    assert_same(Exponential(lr, factor), lambda s, o: s.ExponentialLR(o, factor), 20, lr)
    assert Exponential(lr, factor, every=7).lr_at(14) == pytest.approx(lr * factor**2)


@needs_torch
@given(lr=RATES, total=STEPS, final=st.floats(0, 1e-4))
def test_cosine(lr, total, final):
    """As far as PyTorch's, which would then go up again; ours stays at the end."""
    schedule = Cosine(lr, total, final)
    assert_same(schedule, lambda s, o: s.CosineAnnealingLR(o, total, final), total + 1, lr)
    assert schedule.lr_at(total) == schedule.lr_at(10 * total) == pytest.approx(final, abs=1e-15)


@needs_torch
@given(
    lr=RATES,
    total=st.integers(2, 60),
    pct=st.floats(0, 0.99),
    div=st.floats(1, 100),
    final_div=st.floats(1, 1e5),
)
def test_one_cycle(lr, total, pct, div, final_div):
    if pct * total == 1.0:
        pct += 1e-3  # PyTorch divides 0 by 0 there
    assert_same(
        OneCycle(lr, total, pct, div, final_div),
        lambda s, o: s.OneCycleLR(
            o, lr, total_steps=total, pct_start=pct, div_factor=div, final_div_factor=final_div, cycle_momentum=False
        ),
        total,
        lr,
    )


@pytest.mark.parametrize("total", [1, 2, 3, 10, 100])
def test_one_cycle_s_defaults_and_ends(total):
    schedule = OneCycle(2.0, total)
    rates = [schedule.lr_at(step) for step in range(total)]
    assert max(rates) <= 2.0
    assert rates[-1] == schedule.lr_at(total) == schedule.lr_at(5 * total) == pytest.approx(2.0 / 25 / 1e4)
    if total >= 10:
        assert rates[0] == pytest.approx(2.0 / 25)
        assert rates[round(0.3 * total) - 1] == pytest.approx(2.0)
    assert all(0 < rate <= 2.0 for rate in (OneCycle(2.0, 10, 0.1).lr_at(step) for step in range(10)))  # a peak at 0


@needs_torch
@given(lr=RATES, steps=STEPS, total=STEPS)
def test_warm_up(lr, steps, total):
    """A straight line of `steps` rates below the schedule's first, which then begins."""
    assert_same(
        WarmUp(Cosine(lr, total), steps),
        lambda s, o: s.SequentialLR(
            o,
            [s.LinearLR(o, 1 / (steps + 1), total_iters=steps), s.CosineAnnealingLR(o, total)],
            milestones=[steps],
        ),
        steps + total,
        lr,
    )


@needs_torch
@pytest.mark.parametrize("mode", ["min", "max"])
@given(
    values=st.lists(st.sampled_from([0.0, 0.5, 0.99995, 1.0, 1.00005, 2.0, math.nan]), max_size=40),
    factor=st.floats(0.1, 0.9),
    patience=st.integers(0, 3),
    least=st.sampled_from([0.0, 0.05]),
)
def test_plateau(mode, values, factor, patience, least):
    """As PyTorch's after every observation; kept and taken up again at each, through JSON."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode=mode, factor=factor, patience=patience, min_lr=least, eps=0.0
    )
    options = {"factor": factor, "patience": patience, "mode": mode, "min_lr": least}
    ours = Plateau(1.0, **options)
    for step, value in enumerate(values):
        theirs.step(value)
        ours.observe(value)
        assert ours.lr_at(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        kept = json.loads(json.dumps(ours.state_dict(), allow_nan=False))
        ours = Plateau(1.0, **options)
        ours.load_state_dict(kept)


def test_plateau_by_hand():
    schedule = Plateau(1.0, factor=0.5, patience=1, mode="max")
    rates = []
    for accuracy in (0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7):
        schedule.observe(accuracy)
        rates.append(schedule.lr_at(0))
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("mode", "first", "too_little", "enough"),
    [
        ("min", 1.0, 0.99995, 0.9998),
        ("max", 1.0, 1.00005, 1.0002),
        ("min", -1.0, -1.0, -1.0002),
        ("max", -1.0, -0.99995, -0.9998),
    ],
)
def test_plateau_s_threshold(mode, first, too_little, enough):
    """Better by less than one part in 10⁴ is not better. (For PyTorch's, −1 is better than −1.)"""
    for value, rate in ((too_little, 0.1), (enough, 1.0)):
        schedule = Plateau(1.0, patience=0, mode=mode)
        schedule.observe(first)
        schedule.observe(value)
        assert schedule.lr_at(0) == rate


def test_state_is_a_copy():
    schedule = Plateau(1.0, patience=0)
    schedule.observe(1.0)
    state = schedule.state_dict()
    schedule.observe(2.0)
    assert state["lr"] == 1.0
    assert schedule.lr_at(0) == 0.1


def test_all_are_treated_alike():
    """A trainer asks, tells, saves and loads every schedule the same way; only Plateau listens, also in a warm-up."""
    for schedule in (
        Constant(0.1),
        StepDecay(0.1, 3),
        Exponential(0.1, 0.9),
        Cosine(0.1, 10),
        OneCycle(0.1, 10),
        WarmUp(Constant(0.1), 2),
    ):
        before = [schedule.lr_at(step) for step in range(5)]
        schedule.observe(float("nan"))
        assert schedule.state_dict() == {}
        schedule.load_state_dict({})
        assert [schedule.lr_at(step) for step in range(5)] == before
        with pytest.raises(FormatError, match=f"{type(schedule).__name__}|Constant"):
            schedule.load_state_dict({"best": 1.0})
    warm = WarmUp(Plateau(1.0, patience=0), 3)
    warm.observe(1.0)
    warm.observe(1.0)
    assert warm.lr_at(0) == pytest.approx(0.025)
    assert warm.lr_at(3) == pytest.approx(0.1)
    again = WarmUp(Plateau(1.0, patience=0), 3)
    again.load_state_dict(warm.state_dict())
    assert again.lr_at(3) == warm.lr_at(3)
    with pytest.raises(FormatError, match="Plateau load_state_dict"):
        again.load_state_dict({})


def test_one_of_one_s_own():
    class Inverse(Schedule):
        def lr_at(self, step):
            return 1 / (1 + step)

    assert Inverse().lr_at(1) == 0.5
    assert Inverse().state_dict() == {}


def test_bad_options():
    for make, text in (
        (lambda: Constant(-1), "Constant: expected lr"),
        (lambda: StepDecay(0.1, 0), "StepDecay: expected every: an integer ≥ 1, got 0"),
        (lambda: StepDecay(0.1, 2, 0), "StepDecay: expected factor"),
        (lambda: Exponential(0.1, -0.5), "Exponential: expected factor"),
        (lambda: Cosine(0.1, 0), "Cosine: expected total"),
        (lambda: Cosine(0.1, 5, -1), "Cosine: expected final"),
        (lambda: WarmUp(0.1, 5), "WarmUp: expected a schedule, got 0.1; for one rate, pass Constant"),
        (lambda: WarmUp(Constant(0.1), 0), "WarmUp: expected steps"),
        (lambda: OneCycle(0.1, 0), "OneCycle: expected total"),
        (lambda: OneCycle(0.1, 5, pct_start=1.0), "OneCycle: expected pct_start"),
        (lambda: OneCycle(0.1, 5, div_factor=0), "OneCycle: expected div_factor"),
        (lambda: Plateau(0.1, factor=1.0), "Plateau: expected factor"),
        (lambda: Plateau(0.1, patience=-1), "Plateau: expected patience"),
        (lambda: Plateau(0.1, mode="best"), 'Plateau: expected mode: "min" or "max", got \'best\''),
    ):
        with pytest.raises(OptionError, match=text):
            make()
