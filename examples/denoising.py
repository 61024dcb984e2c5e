"""Removing noise from pictures
============================

A network whose output is a picture: convolutions with a stride make the image smaller, transposed convolutions make it
larger again. It gets noisy digits and learns to restore them, with a squared error. The targets are pictures, so the
example has its own loop.
"""

import sys

import numpy as np

import xpcnn
from xpcnn import data, nn, optim

xpcnn.seed(0)
digits = data.digits()
model = nn.Sequential(
    nn.Conv2d(1, 32, 3, stride=2, padding=1),  # 8×8 → 4×4
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),  # 4×4 → 8×8
    nn.ReLU(),
    nn.Conv2d(16, 1, 3, padding=1),
    nn.Sigmoid(),
)
criterion, optimizer = nn.MSELoss(), optim.Adam(model.parameters(), lr=3e-3)
rng = np.random.default_rng(0)


def noisy(x):
    return x + xpcnn.asarray(rng.normal(scale=0.3, size=x.shape), "float32")


# %%

for epoch in range(4 if "--tiny" in sys.argv else 30):
    for x, _ in data.Loader(digits.train, 32, shuffle=True).epoch(epoch):
        y, cache = model.forward(noisy(x))
        loss, loss_cache = criterion.forward(y, x)
        _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)

# %%
# The result on digits that it has not seen:

x, _ = next(data.Loader(digits.test, 360).epoch(0))
given = noisy(x)
before, after = float(criterion(given, x)), float(criterion(model(given), x))
print(f"mean squared error of the noise {before:.4f}, of what the network makes of it {after:.4f}")
assert after < before / 2

# %%
# Top: the picture; middle: the network's input; bottom: its output.

try:
    from matplotlib import pyplot
except ImportError:
    print("no picture: pip install matplotlib")
else:
    figure, rows = pyplot.subplots(3, 8, figsize=(8, 3.2), layout="constrained")
    for axes, images in zip(rows, (x, given, model(given)), strict=True):
        for each, image in zip(axes, xpcnn.to_numpy(images), strict=False):
            each.imshow(image[:, :, 0], cmap="gray_r", vmin=0, vmax=1)
            each.set_axis_off()
