"""Makes digits.png, the README's picture: a training run, and what the network says of twelve test images.

xpcnn train digits --out runs/picture && python docs/digits.py runs/picture
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import xpcnn
from xpcnn.data import Loader, digits
from xpcnn.io import load_model

run = Path(sys.argv[1])
rows = list(csv.DictReader((run / "history.csv").open()))
epochs = [int(row["epoch"]) for row in rows]
model = load_model(run / "model.safetensors").model
(x, y), *_ = Loader(digits().test, 360).epoch(0)
scores = model(x)
probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
probabilities /= probabilities.sum(axis=1, keepdims=True)
wrong = np.flatnonzero(scores.argmax(axis=1) != y)
shown = [*wrong[:3], *[i for i in range(360) if i not in wrong][: 12 - len(wrong[:3])]]

figure = plt.figure(figsize=(11, 3.4), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=(1, 1, 1.5))
for part, name in ((left, "loss"), (middle, "accuracy")):
    axes = part.subplots()
    for which, style in (("train", "-"), ("validation", "--")):
        axes.plot(epochs, [float(row[f"{which}_{name}"]) for row in rows], style, label=which)
    axes.set(xlabel="epoch", title=name)
    axes.grid(alpha=0.3)
    axes.legend()
for axes, i in zip(right.subplots(3, 4).flat, shown, strict=True):
    said = int(probabilities[i].argmax())
    axes.imshow(xpcnn.to_numpy(x)[i, :, :, 0], cmap="gray_r")
    axes.set_title(f"{said}  {probabilities[i, said]:.0%}", color="C3" if said != y[i] else "black", fontsize=10)
    axes.set_axis_off()
accuracy = 1 - len(wrong) / 360
right.suptitle(f"test images: {accuracy:.1%} right, {len(wrong)} of 360 wrong (red)", fontsize=11)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
