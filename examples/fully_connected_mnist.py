"""A fully connected network on MNIST
==================================

One hidden layer, as in the first chapter of every textbook: 784 inputs, 128 hidden units, ten scores. It reaches about
98 % in a minute. If MNIST is not on this machine, it is downloaded; if that fails, and with ``--tiny``, the example
uses the digits inside the package.
"""

import sys

import xpcnn
from xpcnn import data, nn, optim, training
from xpcnn.errors import DataError, MissingExtraError

# %%
# The data
# --------

tiny = "--tiny" in sys.argv
try:
    dataset = data.digits() if tiny else data.mnist()
except (DataError, MissingExtraError) as error:
    print(f"{error}\n… so: the small digits")
    dataset = data.digits()
height, width, channels = dataset.input_shape
print(dataset.name, dataset.train)

# %%
# The network
# -----------
# ``Flatten`` turns each image into a row. ``models.mlp`` makes networks of such layers.

xpcnn.seed(0)
model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(height * width * channels, 128),
    nn.ReLU(),
    nn.Linear(128, len(dataset.classes)),
)
print(model.summary(dataset.input_shape))

# %%
# Training
# --------

train, validation = dataset.train.split(0.1, seed=0)
loader = data.Loader(train, batch_size=32 if dataset.name == "digits" else 128, shuffle=True)
epochs = 10
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
trainer = training.Trainer(model, optimizer, schedule=optim.Cosine(0.1, epochs * len(loader)))
trainer.fit(loader, validation, epochs=epochs)

result = trainer.evaluate(dataset.test)
print(f"test accuracy {result.accuracy:.2%}")
assert result.accuracy > 0.93
