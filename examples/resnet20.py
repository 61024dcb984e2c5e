"""ResNet-20, and why it has shortcuts
===================================

The first part compares gradients: in a deep plain network they may vanish on the way back, with shortcuts they do not.
The second part trains ResNet-20 on CIFAR-10, which takes a day on a processor; with ``--tiny``, it trains on the digits
inside the package, in seconds.
"""

import sys

import numpy as np

import xpcnn
from xpcnn import data, models, nn, optim, training

tiny = "--tiny" in sys.argv

# %%
# How much gradient reaches the first layer?
# ------------------------------------------
# A convolution, then twenty blocks of a convolution and a sigmoid, with and without a shortcut around each. A sigmoid's
# derivative is at most ¼, so in the plain network the gradient shrinks from block to block on its way back. With the
# shortcuts, dx = (the block's backward of dy) + dy: whatever the block does, dy passes through.


def deep(shortcuts):
    def block(rng):
        body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, rng=rng), nn.Sigmoid())
        return nn.Residual(body) if shortcuts else body

    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, rng=rng), *(block(rng) for _ in range(20)))


x, _ = next(data.Loader(data.digits().train, 32).epoch(0))
ratios = {}
for name, model in (("plain", deep(False)), ("shortcuts", deep(True))):
    y, cache = model.forward(x)
    dy = xpcnn.asarray(np.random.default_rng(1).normal(size=y.shape), "float32")
    dx, _ = model.backward(dy, cache)
    ratios[name] = float(np.abs(xpcnn.to_numpy(dx)).mean() / np.abs(xpcnn.to_numpy(dy)).mean())
    print(f"{name:<10} |dx| of the images / |dy| of the output: {ratios[name]:.1e}")
assert ratios["plain"] < 1e-4 < 0.1 < ratios["shortcuts"]

# %%
# Training ResNet-20
# ------------------

dataset = data.digits() if tiny else data.load("cifar10")
model = models.resnet20(dataset.input_shape, len(dataset.classes), rng=0)
print(model.summary(dataset.input_shape).splitlines()[-1])

train, validation = dataset.train.split(0.1, seed=0)
epochs, batch_size = (2, 64) if tiny else (100, 128)
loader = data.Loader(train, batch_size, shuffle=True)
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
schedule = optim.WarmUp(optim.Cosine(0.1, epochs * len(loader)), steps=len(loader) // 2)
trainer = training.Trainer(model, optimizer, schedule=schedule, folder=None if tiny else "runs/resnet20-cifar10")
trainer.fit(loader, validation, epochs=epochs)
accuracy = trainer.evaluate(dataset.test).accuracy
print(f"test accuracy {accuracy:.1%}")
assert accuracy > 0.5
