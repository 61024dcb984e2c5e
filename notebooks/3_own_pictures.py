# %% [markdown]
# # Your own pictures, and a part of a network
#
# A folder with one subfolder for each class. Here, discs and rings are drawn; use your own folder instead.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import xpcnn
from xpcnn import data, models, nn, optim, plot, training

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:24, :24]
for number in range(120):
    centre, radius, ring = rng.uniform(9, 15, 2), rng.uniform(5, 8), number % 2
    distance = np.hypot(rows - centre[0], columns - centre[1])
    shape = (distance < radius) & ~(ring & (distance < radius - 2.5))
    pixels = np.clip(40 + 150 * shape[..., None] + rng.normal(0, 15, (24, 24, 3)), 0, 255)
    folder = Path("shapes") / ("ring" if ring else "disc")
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype("uint8")).save(folder / f"{number:03}.png")

shapes = data.image_folder("shapes")
shapes

# %% [output]
# Dataset('shapes', train=Split(96 images (24, 24, 3), labels 0 … 1), test=Split(24 images (24, 24, 3), labels 0 … 1), classes=2: disc, ring, parts='0.2 of each class held out to test on, by content (seed 0)')
# [text/html]

# %%
xpcnn.seed(0)
loader = data.Loader(shapes.train, 8, shuffle=True, augment=data.augment.parse("flip,shift:2"))
model = models.normalized(models.mnist_cnn(shapes.input_shape, 2, rng=0), *shapes.train.statistics())
trainer = training.Trainer(model, optim.Adam(model.parameters()), classes=shapes.classes, verbose=False)
trainer.fit(loader, epochs=6)

# %% [output]
# epoch   1  train 2.6419  47.92%  lr 1.0e-03  0.2 s
# epoch   2  train 0.2914  89.58%  lr 1.0e-03  0.1 s
# epoch   3  train 0.1060  96.88%  lr 1.0e-03  0.1 s
# epoch   4  train 0.0357 100.00%  lr 1.0e-03  0.1 s
# epoch   5  train 0.0197 100.00%  lr 1.0e-03  0.1 s
# epoch   6  train 0.0102 100.00%  lr 1.0e-03  0.1 s
# [text/html]

# %%
trainer.evaluate(shapes.test)

# %% [output]
# Evaluation(loss=0.009388, accuracy=1, f1=1, confusion=2×2 of 24)
# [text/html]

# %% [markdown]
# ## What does the network look at?
#
# Grad-CAM lights the regions that speak for the class; the maps are the output of the second convolution.

# %%
x, y = next(data.Loader(shapes.test, len(shapes.test)).epoch(0))
plot.grad_cam(model, x[0], classes=shapes.classes)

# %% [output]
# [image/png]

# %%
plot.feature_maps(model, x[0])

# %% [output]
# [image/png]

# %% [markdown]
# ## A part of it
#
# `nn.features` is the output of any layer, for other programs: here, of the last one before the scores. The nearest
# picture, measured in these numbers, has the same class:

# %%
names = [name for name, layer in model.named_layers() if isinstance(layer, nn.ReLU)]
features = nn.features(model, x, names[-1])
distances = np.linalg.norm(features[:, None] - features[None], axis=2)
np.fill_diagonal(distances, np.inf)
print(f"{features.shape[1]} features; the nearest has the same class: {np.mean(y[distances.argmin(1)] == y):.0%}")

# %% [output]
# 128 features; the nearest has the same class: 100%
