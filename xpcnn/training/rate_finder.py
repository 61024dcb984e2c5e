"""Find a learning rate: train briefly while the rate grows from step to step, and watch the loss.

    rate_i = lowest · (highest / lowest)^(i / (steps − 1))              i = 0 … steps − 1              (1)
    m_i = β·m_{i−1} + (1 − β)·loss_i,   s_i = m_i / (1 − β^{i+1})       smoothed, β = 0.98             (2)
    steepest = rate_i where (s_{i+1} − s_i) is smallest, as rates are evenly spaced in log             (3)
    tenth = rate_i / 10 where s_i is smallest                                                          (4)

The sweep ends when s_i is more than four times the smallest so far, or the loss is not finite.

Sources
    L. Smith, Cyclical learning rates for training neural networks, 2015, section 3.3               → (1)
    fast.ai's lr_find: smoothing, end, and both suggestions                                         → (2), (3), (4)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np

from .. import html
from ..data.loader import Loader
from ..errors import NonFiniteError, OptionError
from ..nn import CrossEntropyLoss, Layer
from ..nn.layer import check_layer
from ..nn.loss import Loss, check_loss
from ..optim.optimizer import Optimizer, check_optimizer
from ..options import as_count, as_number
from .gradients import batch_gradients
from .training_state import unchanged

SMOOTHING = 0.98  # β
EXPLODED = 4.0  # times the smallest smoothed loss
SKIPPED = 0.1  # fraction of the steps, at the start, that (3) ignores, because noise is not smoothed yet


@dataclass(frozen=True)
class RateSweep:
    """The results of a sweep over learning rates; one number per step.

    >>> from xpcnn.data import Loader, digits
    >>> from xpcnn.models import mlp
    >>> from xpcnn.optim import SGD
    >>> model = mlp((8, 8, 1), 10, rng=0)
    >>> found = lr_find(model, SGD(model.parameters(), lr=0.1), Loader(digits().train, 32), steps=10)
    >>> len(found.rates), found.tenth > 0
    (10, True)
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]  # of each batch, before its step
    smoothed: tuple[float, ...]
    suggestion: float | None  # where the loss falls most steeply; None if it never falls
    tenth: float  # a tenth of the rate with the lowest loss, another common choice

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        places = [math.log10(rate) for rate in self.rates]
        drawn = html.curves("loss over log₁₀(lr)", places, {"batch": self.losses, "smoothed": self.smoothed})
        return html.panel(str(self), drawn)

    def __str__(self) -> str:
        steepest = "nowhere" if self.suggestion is None else f"{self.suggestion:.2g}"
        return (
            f"{len(self.rates)} rates from {self.rates[0]:.1g} to {self.rates[-1]:.1g}: loss falls most steeply at "
            f"{steepest}; a tenth of the rate with the lowest loss is {self.tenth:.2g}"
        )


def lr_find(
    model: Layer,
    optimizer: Optimizer,
    loader: Loader,
    criterion: Loss | None = None,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
) -> RateSweep:
    """Train with rates from `lowest` to `highest`, then restore model, optimizer and generators.

    Parameters
        model : the network
        optimizer : of its parameters, or of some; its own rate is ignored
        loader : as many of its epochs are used as the steps need
        criterion : None for cross-entropy
        lowest, highest : learning rates, 0 < lowest < highest
        steps : the most steps to make
    Raises
        OptionError : no loader, another model's optimizer, or invalid rates or steps
        NonFiniteError : the loss is NaN or infinite from the first steps on, or explodes there

    >>> from xpcnn import data, models, optim
    >>> model = models.build("mlp", (8, 8, 1), 10, rng=0)
    >>> found = lr_find(model, optim.SGD(model.parameters(), lr=1.0), data.Loader(data.digits().train, 64))
    >>> 0.001 < found.suggestion < 1
    True
    """
    if not isinstance(loader, Loader):
        raise OptionError("lr_find", "a Loader", type(loader).__name__, "see xpcnn.data")
    check_layer("lr_find", model)
    check_optimizer("lr_find", optimizer, model.parameters())
    lowest, highest = (as_number("lr_find", n, v, "(0, inf)") for n, v in (("lowest", lowest), ("highest", highest)))
    if not (lowest < highest < math.inf):
        raise OptionError("lr_find", "rates lowest < highest", f"{lowest} and {highest}")
    as_count("lr_find", "steps", steps, least=2)
    criterion = CrossEntropyLoss() if criterion is None else criterion
    check_loss("lr_find", criterion)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean, loss = 0.0, math.nan
    batches = islice(chain.from_iterable(map(loader.epoch, count())), steps)
    with unchanged(model, optimizer), np.errstate(over="ignore", invalid="ignore"):
        for x, y in batches:
            i = len(rates)
            rate = lowest * (highest / lowest) ** (i / (steps - 1))  # (1)
            part = batch_gradients(model, criterion, x, y)
            if not float(part.items):  # all class weights are 0: there is no loss
                continue
            loss = float(part.loss)
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            smooth = mean / (1 - SMOOTHING ** (i + 1))  # (2)
            if not math.isfinite(smooth) or smooth > EXPLODED * min(smoothed, default=math.inf):
                break
            rates, losses, smoothed = [*rates, rate], [*losses, loss], [*smoothed, smooth]
            optimizer.lr = rate
            try:
                optimizer.step(optimizer.select(part.grads))
            except NonFiniteError:
                loss = math.inf  # as the next would be
                break
    if len(rates) < 2:
        finite = math.isfinite(loss)
        expected = f"a loss of at most {EXPLODED:g} times the first" if finite else "a finite loss"
        remedy = "pass a lower `lowest`, or larger batches" if finite else "pass a lower `lowest`"
        raise NonFiniteError("lr_find", f"{expected} in the first steps", f"{loss}", remedy)
    lowest_loss = smoothed.index(min(smoothed))
    return RateSweep(tuple(rates), tuple(losses), tuple(smoothed), _steepest(rates, smoothed), rates[lowest_loss] / 10)


def _steepest(rates: list[float], smoothed: list[float]) -> float | None:
    first = min(int(SKIPPED * len(rates)), len(rates) - 2)
    slopes = np.diff(smoothed)[first:]
    i = int(np.argmin(slopes))  # (3)
    return rates[first + i] if slopes[i] < 0 else None
