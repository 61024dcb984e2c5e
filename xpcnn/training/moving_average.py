"""An exponential moving average of a network's weights: a second network, often better than the trained one.

    a ← a + (1 − d_t)·(p − a)             after step t = 1, 2, …                        (1)
    d_t = min(d, (1 + t) / (10 + t))                                                    (2)

a starts as a copy of the network. (1) is d_t·a + (1 − d_t)·p, written so that constant numbers stay the same, bit for
bit. With (2), the average soon forgets the first steps, whose weights are far from the last ones. Buffers, such as
batch norm's running statistics, are averaged like parameters, so that they fit the averaged weights.

Sources
    B. Polyak and A. Juditsky, Acceleration of stochastic approximation by averaging, 1992
    TensorFlow's tf.train.ExponentialMovingAverage with num_updates                     → (2)
"""

from __future__ import annotations

from copy import deepcopy

from ..backend import array_namespace
from ..nn import Layer
from ..nn.display import headline
from ..nn.layer import check_layer
from ..options import as_number
from ..typing import Array


class MovingAverage:
    """A copy of a network whose arrays are the averages of that network's.

    Parameters
        model : the trained network
        decay : d, 0 < d < 1; the average covers about 1 / (1 − d) steps
    Raises
        OptionError
    Attributes
        model : the averaged network

    >>> from xpcnn.nn import Linear
    >>> layer = Linear(1, 1, rng=0)
    >>> average = MovingAverage(layer, 0.5)
    >>> layer.bias[...] = 8.0
    >>> average.update(layer, 1)            # d₁ = 2/11
    >>> [round(float(x), 3) for x in average.model.bias]
    [6.545]
    """

    def __init__(self, model: Layer, decay: float) -> None:
        check_layer("MovingAverage", model)
        self.decay = as_number("MovingAverage", "decay", decay, "(0, 1)")
        self.model = deepcopy(model)

    def __repr__(self) -> str:
        return f"MovingAverage({headline(self.model)}; decay={self.decay})"

    def update(self, model: Layer, steps: int) -> None:
        """Add the network's weights after that many steps to the average."""
        decay = min(self.decay, (1 + steps) / (10 + steps))  # (2)
        new = model.state_dict()
        for name, array in self.state_dict().items():
            if array_namespace(array).isdtype(array.dtype, "real floating"):
                array += (1 - decay) * (new[name] - array)  # (1)
            else:
                array[...] = new[name]

    def state_dict(self) -> dict[str, Array]:
        """The averages, with the names of the network's arrays; no copies."""
        return self.model.state_dict()
