"""If a step makes weights NaN or infinite, the training ends, and they are not saved."""

from __future__ import annotations

from collections.abc import Mapping

from ..backend import is_numpy
from ..errors import NonFiniteError
from ..nn import Layer
from ..typing import Array
from .gradients import not_finite

REMEDY = "lower the learning rate or clip gradients (clip_norm); an earlier checkpoint is as it was"


class FiniteWeights:
    """Checks a network's weights; those that are not finite at the start, such as a bias of −∞, may stay so.

    The start is the construction of this object; on a device, where looking means waiting, it is the first `begin`.
    """

    def __init__(self, model: Layer) -> None:
        self.known: set[str] | None = None
        arrays = model.state_dict()
        if all(is_numpy(array) for array in arrays.values()):
            self.begin(model)

    def begin(self, model: Layer) -> None:
        """Record the network's current state, unless this has been done."""
        if self.known is None:
            self.known = set(not_finite(model.state_dict()))

    def check(self, who: str, arrays: Mapping[str, Array], when: str, remedy: str = REMEDY) -> None:
        """Refuse NaN and infinity; waits for a device.

        Parameters
            arrays : parameters and buffers, by their names in the network
            when : such as "after step 7"
        Raises
            NonFiniteError
        """
        if new := [name for name in not_finite(arrays) if name not in (self.known or ())]:
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            raise NonFiniteError(who, "finite weights", f"NaN or infinity in {new[0]}{more}, {when}", remedy)
