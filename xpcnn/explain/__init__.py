"""See every gradient: real numbers through one layer, forward and backward, next to its formula.

>>> import numpy as np
>>> from xpcnn import nn
>>> layer = nn.Linear(2, 1).load_state_dict({"weight": np.array([[3.0, 4.0]]), "bias": np.array([1.0])})
>>> page = explain(layer, "", np.array([[1.0, 2.0]], "float32"), dy=np.ones((1, 1), "float32"))
>>> print(text(page).splitlines()[0])
Linear(in_features=2, out_features=1, bias=True)
>>> "1 + 1·3 + 2·4" in text(page)
True
>>> step(layer, np.array([[1.0, 2.0]], "float32"), np.zeros((1, 1), "float32"), nn.MSELoss())
TrainingStep(1 call of a layer, 8 stops, loss 144 → 5.76)
"""

from .drawing import Drawing, draw
from .explain_layer import explain
from .explanation import Explanation
from .terminal import text
from .training_step import TrainingStep, step
from .webpage import html

__all__ = ["Drawing", "Explanation", "TrainingStep", "draw", "explain", "html", "step", "text"]
