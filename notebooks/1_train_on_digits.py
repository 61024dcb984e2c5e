# %% [markdown]
# # Train on digits, see a whole step, check a gradient
#
# From a data set to a trained network, then into one training step of it, number by number, and to a gradient that you
# write yourself. Each value at the end of a cell shows itself.

# %%
import numpy as np

import xpcnn
from xpcnn import course, data, explain, nn, optim, plot, training

xpcnn.seed(0)
digits = data.digits()
digits

# %% [output]
# Dataset('digits', train=Split(1437 images (8, 8, 1), labels 0 … 9), test=Split(360 images (8, 8, 1), labels 0 … 9), classes=10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
# [text/html]

# %% [markdown]
# ## Train
#
# Some images are held out, to see during the training how well it goes on images that the network does not learn from.
# The network is small, so that all of its numbers can be shown below.

# %%
train, validation = digits.train.split(0.1, seed=0)
loader = data.Loader(train, 32, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(3 * 3 * 8, 10),
)
model.summary(digits.input_shape)

# %% [output]
# Layer          Output     Parameters  Forward  Backward  Output KiB
# -------------------------------------------------------------------
# Sequential     (10,)
#   0 Conv2d     (6, 6, 8)          80    2,592     2,592         1.1
#   1 ReLU       (6, 6, 8)           0        0         0         1.1
#   2 MaxPool2d  (3, 3, 8)           0        0         0         0.3
#   3 Flatten    (72,)               0        0         0         0.3
#   4 Linear     (10,)             730      720     1,440         0.0
# -------------------------------------------------------------------
# Total                            810    3,312     4,032         2.9
# multiply-adds forward + backward: 7,344; memory of parameters: 3.2 KiB, of outputs: 2.9 KiB an item
# [text/html]

# %% [markdown]
# `fit` shows a bar while it runs, and a line for each epoch. The notebook's stop button ends it after the current step;
# run the cell again, and it continues there.

# %%
trainer = training.Trainer(model, optim.Adam(model.parameters(), lr=0.01))
history = trainer.fit(loader, validation, epochs=5)

# %% [output]
# epoch   1  train 1.9809  37.43%  validation 1.1789  86.81%  lr 1.0e-02  0.1 s
# epoch   2  train 0.7277  83.60%  validation 0.5610  85.42%  lr 1.0e-02  0.1 s
# epoch   3  train 0.3701  90.26%  validation 0.3364  90.97%  lr 1.0e-02  0.1 s
# epoch   4  train 0.2463  94.51%  validation 0.2768  90.97%  lr 1.0e-02  0.1 s
# epoch   5  train 0.2030  94.74%  validation 0.2009  92.36%  lr 1.0e-02  0.1 s
# [text/html]

# %% [markdown]
# `epochs` counts all epochs of this trainer. So running the cell above once more trains nothing, and says so, while a
# higher number trains on. (The cell that makes the trainer would begin a new count, with the model as it is.)

# %%
history = trainer.fit(loader, validation, epochs=8)

# %% [output]
# epoch   6  train 0.1670  95.90%  validation 0.1962  94.44%  lr 1.0e-02  0.0 s
# epoch   7  train 0.1492  95.90%  validation 0.1536  95.83%  lr 1.0e-02  0.0 s
# epoch   8  train 0.1219  97.06%  validation 0.1477  95.14%  lr 1.0e-02  0.0 s
# [text/html]

# %%
plot.curves(history)

# %% [output]
# [image/png]

# %% [markdown]
# The images to test on have been used for nothing so far:

# %%
trainer.evaluate(digits.test)

# %% [output]
# Evaluation(loss=0.1298, accuracy=0.9667, top5_accuracy=1, f1=0.9654, confusion=10×10 of 360)
# [text/html]

# %%
plot.most_wrong(model, digits.test, n=8)

# %% [output]
# [image/png]

# %% [markdown]
# ## A whole training step
#
# What happens in one step? `explain.step` makes it with one image, and changes nothing. Below is the walk through it:
# forward through each layer, the loss, backward through each layer in reverse, the update of each weight by the
# optimizer's formula, and the loss after it. Click on a number to see what it is made of; each number in a formula leads
# to where it came from.

# %%
x, y = digits.test.images[:1].astype("float32") / 255, int(digits.test.labels[0])
walk = explain.step(model, x, target=y, optimizer=trainer.optimizer)
walk

# %% [output]
# TrainingStep(5 calls of layers, 34 stops, loss 0.005918 → 0.00562)
# [text/html]

# %% [markdown]
# Every number on that page is worked out by its formula, and compared with the library's:

# %%
print(walk.check(), "numbers agree")

# %% [output]
# 5156 numbers agree

# %% [markdown]
# ## Your own gradient
#
# Now write one of these gradients yourself: that of a convolution's kernel. `dy` is the gradient of the output,
# (N, OH, OW, F), and `x` the input, (N, H, W, C). Here is an attempt:


# %%
def conv2d_dw(dy, x, kernel, stride, padding):
    kh, kw = kernel
    dw = np.zeros((dy.shape[3], kh, kw, x.shape[3]))
    for n, i, j, f in np.ndindex(*dy.shape):
        dw[f] += dy[n, i, j, f] * x[n, i : i + kh, j : j + kw]
    return dw


course.check(conv2d_dw)

# %% [output]
# conv2d_dw: not right yet, 2 of 5 steps
# step "stride": 36 of 36 numbers of dw differ; the first: dw[f=0, u=0, v=0, c=0] is 0.252372, expected −0.60154
# dw[f=0, u=0, v=0, c=0] = dy[0,0,0,0]·x̂[0,0,0,0] + dy[0,0,1,0]·x̂[0,0,2,0] + dy[0,0,2,0]·x̂[0,0,4,0] + dy[0,1,0,0]·x̂[0,2,0,0] + … (6 terms)
# It looks as if the stride were ignored.

# %% [markdown]
# It is wrong, and the check says where, and what it looks like: position i of the output reads the input from i·stride
# on, not from i. With a padding, the input is the padded one, too. Mended:


# %%
def conv2d_dw(dy, x, kernel, stride, padding):
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    dw = np.zeros((dy.shape[3], kh, kw, x.shape[3]))
    for n, i, j, f in np.ndindex(*dy.shape):
        dw[f] += dy[n, i, j, f] * x[n, i * sh : i * sh + kh, j * sw : j * sw + kw]
    return dw


course.check(conv2d_dw)

# %% [output]
# conv2d_dw: right, 5 of 5 steps; witnesses: central difference 5e-11, adjoint identity 1e-15
# the library's own line: xpcnn/ops/conv.py, correlate_dw, equation (2); derived in docs/derivations/convolution.md

# %% [markdown]
# It is right. So it gives what the library gives, for the first layer of the network that was trained above:

# %%
y, cache = model[0].forward(x)
dy = np.ones_like(y)
dx, grads = model[0].backward(dy, cache)
bool(np.allclose(conv2d_dw(dy, x, (3, 3), (1, 1), (0, 0)), grads["weight"], atol=1e-4))

# %% [output]
# True

# %% [markdown]
# `xpcnn course` writes sixteen such exercises into a folder, from one step of a convolution to a LeNet-5 that trains
# with your own functions. The next notebook looks into a convolution, and checks a layer of your own.
