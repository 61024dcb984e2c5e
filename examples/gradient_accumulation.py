"""Batches that are too large for the memory
=========================================

Gradients are returned values, so accumulation is a sum of dictionaries. The mean of the gradients of four batches of 16
is the gradient of the one batch of 64 that they form: exact, except for rounding. (Batch norm is the exception. It sees
16 images at a time.)
"""

import xpcnn
from xpcnn import data, models, nn, optim

xpcnn.seed(0)
digits, criterion = data.digits(), nn.CrossEntropyLoss()
model = models.mnist_cnn(digits.input_shape, 10).astype("float64")


def gradients(x, y):
    logits, cache = model.forward(x)
    _, loss_cache = criterion.forward(logits, y)
    return model.backward(criterion.backward(loss_cache), cache, input_grad=False)[1]


# %%
# One batch of 64, and the same images as four of 16:

x, y = next(data.Loader(digits.train, 64).epoch(0))
x = xpcnn.asarray(x, "float64")
whole = gradients(x, y)

total = {name: 0.0 for name in whole}
for start in range(0, 64, 16):
    part = gradients(x[start : start + 16], y[start : start + 16])
    total = {name: total[name] + part[name] / 4 for name in part}  # / 4: each is the mean over its 16 images

difference = max(float(abs(xpcnn.to_numpy(total[name] - whole[name])).max()) for name in whole)
print(f"largest difference {difference:.1e}")
assert difference < 1e-12

# %%
# Two workers that each have half of a batch and exchange their gradients do the same: this is data parallelism. The
# optimizer's step takes the sum, however it was made.

optimizer = optim.SGD(model.parameters(), lr=0.01)
before = float(criterion(model(x), y))
optimizer.step(total)
after = float(criterion(model(x), y))
print(f"loss {before:.4f}, after one step {after:.4f}")
assert after < before
