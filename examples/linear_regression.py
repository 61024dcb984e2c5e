"""Linear regression
=================

A fully connected layer finds the map that generated the data: W = [[3, 7, 4], [5, 2, 6]], b = [2, 9, 3].

After notebook 1_1_1 of yizt's numpy_neuron_network (https://github.com/yizt/numpy_neuron_network). The gradients of
a squared error are linear in the error, so plain gradient descent reduces it by a constant factor per step.
"""

import sys

import numpy as np

import xpcnn
from xpcnn import nn, optim

steps = 100 if "--tiny" in sys.argv else 2000
rng = np.random.default_rng(0)
w, b = np.array([[3.0, 7, 4], [5, 2, 6]]), np.array([2.0, 9, 3])
x = rng.normal(size=(200, 2))
x, y = xpcnn.asarray(x, "float32"), xpcnn.asarray(x @ w + b, "float32")

layer = nn.Linear(2, 3, rng=0)
criterion = nn.MSELoss()
optimizer = optim.SGD(layer.parameters(), lr=0.1)
for step in range(steps):
    prediction, cache = layer.forward(x)
    loss, loss_cache = criterion.forward(prediction, y)
    _, grads = layer.backward(criterion.backward(loss_cache), cache)
    optimizer.step(grads)
    if step % (steps // 5) == 0:
        print(f"step {step:4d}  loss {float(loss):.2e}")

found_w, found_b = xpcnn.to_numpy(layer.weight).T, xpcnn.to_numpy(layer.bias)
print("W =", np.round(found_w, 3).tolist())
print("b =", np.round(found_b, 3).tolist())
assert np.allclose(found_w, w, atol=0.05 if steps == 100 else 1e-4)
assert np.allclose(found_b, b, atol=0.05 if steps == 100 else 1e-4)
