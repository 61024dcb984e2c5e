"""Optimizers by name, each with a learning rate and a weight decay that suit a first training run.

One line in `OPTIMIZERS` makes an optimizer known to `xpcnn train`, the estimators, shells and checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..typing import Array
from .adam import Adam, AdamW
from .adaptive import Adadelta, AdaGrad, RMSProp
from .optimizer import Optimizer
from .sgd import SGD


@dataclass(frozen=True)
class NamedOptimizer:
    """An optimizer that has a name.

    Parameters
        kind : its class
        lr : default for the highest learning rate of a run
        weight_decay : default
        options : further arguments of the class
    """

    kind: type[Optimizer]
    lr: float
    weight_decay: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, parameters: Mapping[str, Array], **options: Any) -> Optimizer:
        """Create the optimizer for these parameters."""
        arguments: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay, **self.options, **options}
        return self.kind(parameters, **arguments)


OPTIMIZERS = {
    "sgd": NamedOptimizer(SGD, 0.03, options={"momentum": 0.9, "nesterov": True}),
    "adam": NamedOptimizer(Adam, 0.003),
    "adamw": NamedOptimizer(AdamW, 0.003, 0.3),  # decoupled decay may be larger
    "rmsprop": NamedOptimizer(RMSProp, 0.001),
    "adagrad": NamedOptimizer(AdaGrad, 0.03),
    "adadelta": NamedOptimizer(Adadelta, 1.0),
}
