"""The learning rates and weight decays that a run's settings give to groups of parameters."""

from __future__ import annotations

from collections.abc import Mapping

from ..nn import Layer, all_parameters
from ..optim import no_bias_decay
from ..optim.optimizer import Optimizer
from ..options import matching
from ..typing import Array
from .config import RunConfig


class ParameterGroups:
    """The factors of a network's parameters, which are kept by identity: layers before it change their names.

    Parameters
        model : as its settings name its parameters
    Raises
        OptionError : a pattern matches none
    """

    def __init__(self, config: RunConfig, model: Layer) -> None:
        parameters = model.parameters() if config.unfreeze_at is None else all_parameters(model)
        self._lr = _by_identity("lr_scale", parameters, config.lr_scales)
        self._decay = _by_identity("decay_scale", parameters, config.decay_scales)
        if config.no_bias_decay:
            self._decay = {id(parameters[name]): 0.0 for name in no_bias_decay(parameters)} | self._decay

    def scale(self, optimizer: Optimizer, model: Layer) -> None:
        """Tell the optimizer, whose parameters are those of this network, which has them all."""
        names = {id(p): name for name, p in all_parameters(model).items()}
        lr, decay = ({names[key]: value for key, value in each.items()} for each in (self._lr, self._decay))
        optimizer.scale(lr=lr, weight_decay=decay, names=names.values())


def _by_identity(option: str, parameters: Mapping[str, Array], scales: Mapping[str, float]) -> dict[int, float]:
    chosen = dict[int, float]()
    for pattern, factor in scales.items():
        names = matching("train", option, pattern, list(parameters), "parameters that are trained")
        chosen |= {id(parameters[name]): factor for name in names}
    return chosen
