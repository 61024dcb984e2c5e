"""The image regions behind a class
================================

Grad-CAM (Selvaraju et al., 2017) shows which maps of the last convolution support a class, and where. Here a network
has learned to distinguish three shapes, and the heat should be on the shape and not on the noise around it.
"""

import sys

import numpy as np
from matplotlib import pyplot

import xpcnn
from xpcnn import data, nn, optim, plot, training


def made_up(n, seed):
    """Pictures (n, 24, 24, 1) of a disc, a ring or a cross, in noise, and where the shape is."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (n, 24, 24, 1), dtype=np.uint8)
    labels, centres = rng.integers(0, 3, n), rng.integers(7, 17, (n, 2))
    rows, columns = np.mgrid[:24, :24]
    for image, label, (row, column) in zip(images, labels, centres, strict=True):
        i, j = np.abs(rows - row), np.abs(columns - column)
        square = i * i + j * j
        shapes = (square < 20, (square > 16) & (square < 36), (np.minimum(i, j) < 2) & (np.maximum(i, j) < 6))
        image[shapes[label]] += 150
    return data.Split(images, labels), centres


xpcnn.seed(0)
classes = ("disc", "ring", "cross")
(train, _), (test, centres) = made_up(600, 0), made_up(120, 1)
model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
    *(nn.GlobalAvgPool2d(), nn.Linear(32, 3)),
)
trainer = training.Trainer(model, optim.Adam(model.parameters(), lr=0.01), verbose=False)
trainer.fit(data.Loader(train, 30, shuffle=True), epochs=8 if "--tiny" in sys.argv else 20)
accuracy = trainer.evaluate(test).accuracy
print(f"test accuracy {accuracy:.0%}")
assert accuracy > 0.7

# %%
# How much of the heat is within six pixels of the shape's centre, which is a fifth of the picture?

x, y = next(data.Loader(test, len(test)).epoch(0))
heat = xpcnn.to_numpy(plot.grad_cam_map(model, x, y))  # (N, 24, 24)
rows, columns = np.mgrid[:24, :24]
near = (rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2 <= 36  # (N, 24, 24)
share = float((heat * near).sum() / heat.sum())
print(f"{share:.0%} of the heat lies on {near.mean():.0%} of the picture")
assert share > 1.5 * near.mean()

# %%
# One picture of each class

figure, axes = pyplot.subplots(2, 3, figsize=(6, 4), layout="constrained")
for column, name in enumerate(classes):
    number = int(np.flatnonzero(test.labels == column)[0])
    for row in axes[:, column]:
        row.imshow(test.images[number, :, :, 0], cmap="gray")
        row.set_axis_off()
    axes[0, column].set_title(name)
    axes[1, column].imshow(heat[number], cmap="inferno", alpha=0.6)
