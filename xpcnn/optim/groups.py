"""Groups of parameters: those with another learning rate or weight decay, and those that joined later.

lr_p = c_p · lr,   λ_p = d_p · λ                c, d by patterns of names         (1)
t_p = t − t₀                                    steps since p was added           (2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from fnmatch import fnmatchcase
from typing import Any

from ..errors import OptionError
from ..ops.check import check_array
from ..options import as_count, as_number, matching
from ..typing import Array


class Groups:
    """What an optimizer knows of single parameters.

    Attributes
        begun : t₀ by names; 0 where there is none
    """

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self._scales: dict[str, dict[str, float]] = {}  # factors by patterns
        self._factors: dict[str, dict[str, float]] = {}  # by names; 1 where there is none

    @property
    def largest(self) -> float:
        """The largest c, 1 or more."""
        return max((1.0, *self._factors.get("lr", {}).values()))

    def scale(self, who: str, names: Sequence[str], **scales: Mapping[str, float] | None) -> None:
        """Set c and d by patterns, each of which matches one or more of these names; the last that matches counts."""
        checked = {}
        for option, given in scales.items():
            if not isinstance(given, Mapping | None):
                raise OptionError(who, f'{option}: factors by names, such as {{"0.*": 0.1}}', repr(given)[:80])
            matching(who, option, given or (), names, "parameters")
            checked[option] = {key: as_number(who, option, factor, "[0, inf)") for key, factor in (given or {}).items()}
        self._scales = checked

    def find(self, names: Iterable[str]) -> None:
        """Find the factors of these parameters, which are all that there are."""
        every = list(names)
        self._factors = {
            option: {name: factor for key, factor in scale.items() for name in every if fnmatchcase(name, key)}
            for option, scale in self._scales.items()
        }

    def of(self, name: str, lr: float, weight_decay: float, steps: int) -> tuple[float, float, int]:
        """The parameter's own learning rate, weight decay and number of steps."""
        c, d = (self._factors.get(option, {}).get(name, 1.0) for option in ("lr", "weight_decay"))
        return c * lr, d * weight_decay, steps - self.begun.get(name, 0)  # (1), (2)

    def begun_at(self, who: str, begun: Any, names: Iterable[str], steps: int) -> Groups:
        """The same groups with these t₀, numbers of steps by names, or None.

        Raises
            OptionError : they are something else
        """
        given = {} if begun is None else begun
        if not isinstance(given, Mapping) or not given.keys() <= set(names):
            raise OptionError(who, "begun: steps by names of parameters", repr(begun)[:80])
        other = copy(self)
        other.begun = {name: as_count(who, "begun", number, most=steps) for name, number in given.items()}
        return other


def no_bias_decay(parameters: Mapping[str, Array]) -> dict[str, float]:
    """Factors for `Optimizer.scale` by which biases, and scales and shifts of norms, have no weight decay.

    These are the parameters of one axis.

    Parameters
        parameters : `network.parameters()`
    Raises
        OptionError, DTypeError

    Source: T. He et al., Bag of tricks for image classification with convolutional neural networks, 2018, section 3.1

    >>> import numpy as np
    >>> from xpcnn.optim import AdamW
    >>> parameters = {"0.weight": np.ones((2, 3)), "0.bias": np.ones(2)}
    >>> optimizer = AdamW(parameters, lr=0.1, weight_decay=0.5).scale(weight_decay=no_bias_decay(parameters))
    >>> optimizer.of_parameter("0.weight").weight_decay, optimizer.of_parameter("0.bias").weight_decay
    (0.5, 0.0)
    """
    if not isinstance(parameters, Mapping):
        got = type(parameters).__name__
        raise OptionError("no_bias_decay", "a mapping of parameters", got, "pass network.parameters()")
    for name, p in parameters.items():
        check_array(f"no_bias_decay: {name}", p)
    return {name: 0.0 for name, p in parameters.items() if p.ndim <= 1}
