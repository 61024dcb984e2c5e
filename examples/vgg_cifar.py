"""A small VGG on CIFAR-10
=======================

Seven 3×3 convolutions with batch norm, three pooling layers, and global average pooling. The full form takes hours on a
processor; it needs the archive ``cifar-10-binary.tar.gz``, which is downloaded if it is not found. With ``--tiny`` it
learns three kinds of synthetic pictures of the same form, in seconds.
"""

import sys

import numpy as np

from xpcnn import data, models, optim, training


def made_up(n, seed):
    """Pictures (n, 32, 32, 3) of a red disc, a green square or a blue cross, in noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (n, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, n)
    rows, columns = np.mgrid[:32, :32]
    for image, label in zip(images, labels, strict=True):
        i, j = np.abs(rows - rng.integers(10, 22)), np.abs(columns - rng.integers(10, 22))
        shapes = (i * i + j * j < 49, np.maximum(i, j) < 7, (np.minimum(i, j) < 2) & (np.maximum(i, j) < 9))
        image[shapes[label], label] += 130
    return data.Split(images, labels)


tiny = "--tiny" in sys.argv
if tiny:
    dataset = data.Dataset("made up", made_up(150, 0), made_up(60, 1), ("disc", "square", "cross"))
else:
    dataset = data.load("cifar10")
print(dataset.train, "classes", *dataset.classes)

# %%
# Training
# --------

model = models.vgg_small(dataset.input_shape, len(dataset.classes), rng=0)
train, validation = dataset.train.split(0.1, seed=0)
epochs, batch_size = (2, 15) if tiny else (30, 128)
loader = data.Loader(train, batch_size, shuffle=True)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
schedule = optim.OneCycle(0.05, epochs * len(loader))
trainer = training.Trainer(model, optimizer, schedule=schedule, folder=None if tiny else "runs/vgg-cifar10")
trainer.fit(loader, validation, epochs=epochs)

# %%

result = trainer.evaluate(dataset.test)
print(f"test accuracy {result.accuracy:.1%}")
for name, row in zip(dataset.classes, result.confusion, strict=True):
    print(f"{name:<12}", row)
assert result.accuracy > 0.5
