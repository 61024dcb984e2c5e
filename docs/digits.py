"""Makes digits.png, the README's picture: a training run, and what the network says of twelve test images.

xpcnn train digits --out runs/picture && python docs/digits.py runs/picture docs/digits.png
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from xpcnn import to_numpy
from xpcnn.data import Loader, digits
from xpcnn.io import load_model
from xpcnn.ops import softmax_forward

run, picture = map(Path, sys.argv[1:])
rows = list(csv.DictReader((run / "history.csv").open()))
epochs = [int(row["epoch"]) for row in rows]
model, test = load_model(run / "model.safetensors").model, digits().test
(x, y), *_ = Loader(test, len(test)).epoch(0)
images, labels, probabilities = map(to_numpy, (x, y, softmax_forward(model(x))[0]))
said = probabilities.argmax(axis=1)
wrong, right = np.flatnonzero(said != labels), np.flatnonzero(said == labels)
shown = [*wrong[:3], *right][:12]

figure = plt.figure(figsize=(11, 3.4), layout="constrained")
*curves, digits_part = figure.subfigures(1, 3, width_ratios=(1, 1, 1.5))
for part, name in zip(curves, ("loss", "accuracy"), strict=True):
    axes = part.subplots()
    for which, style in (("train", "-"), ("validation", "--")):
        axes.plot(epochs, [float(row[f"{which}_{name}"]) for row in rows], style, label=which)
    axes.set(xlabel="epoch", title=name)
    axes.grid(alpha=0.3)
    axes.legend()
for axes, i in zip(digits_part.subplots(3, 4).flat, shown, strict=True):
    axes.imshow(images[i, :, :, 0], cmap="gray_r")
    color = "black" if said[i] == labels[i] else "C3"
    axes.set_title(f"{said[i]}  {probabilities[i, said[i]]:.0%}", color=color, fontsize=10)
    axes.set_axis_off()
share = len(right) / len(labels)
digits_part.suptitle(f"test images: {share:.1%} right, {len(wrong)} of {len(labels)} wrong (red)", fontsize=11)
figure.savefig(picture, dpi=110)
