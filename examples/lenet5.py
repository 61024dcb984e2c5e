"""LeNet-5
=======

The network of LeCun et al. (1998), with ReLU and max pooling, as it is trained today: 61,706 parameters, 99 % on MNIST
in a few epochs. With ``--tiny``, and if MNIST is neither found nor downloaded, it learns the digits inside the package,
enlarged from 8×8 to 28×28 pixels.
"""

import sys

import numpy as np

from xpcnn import data, models, optim, training
from xpcnn.errors import DataError, MissingExtraError


def enlarged(split):
    """Enlarges each pixel to 3×3, and adds two pixels of background around the image."""
    images = split.images.repeat(3, axis=1).repeat(3, axis=2)  # (N, 24, 24, 1)
    return data.Split(np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))), split.labels)  # (N, 28, 28, 1)


tiny = "--tiny" in sys.argv
try:
    if tiny:
        raise DataError("--tiny", "MNIST", "the small digits")
    train, test = data.mnist().train, data.mnist().test
except (DataError, MissingExtraError) as error:
    print(error)
    train, test = enlarged(data.digits().train), enlarged(data.digits().test)
print(train)

# %%
# The cost: the convolutions have most of the multiplications, the first dense layer has most of the parameters.

model = models.lenet5(rng=0)
print(model.summary((28, 28, 1)))

# %%

epochs = 5
train, validation = train.split(0.1, seed=0)
loader = data.Loader(train, batch_size=64, shuffle=True)
optimizer = optim.AdamW(model.parameters(), lr=3e-3)
schedule = optim.OneCycle(3e-3, epochs * len(loader))
trainer = training.Trainer(model, optimizer, schedule=schedule)
trainer.fit(loader, validation, epochs=epochs)

result = trainer.evaluate(test)
print(f"test accuracy {result.accuracy:.2%}")
print("true digit (rows) and what it is taken for (columns):")
print(result.confusion)
assert result.accuracy > 0.93
