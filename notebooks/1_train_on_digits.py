# %% [markdown]
# # Train on digits
#
# From a data set to the pictures that a network gets wrong. Each value at the end of a cell shows itself.

# %%
import xpcnn
from xpcnn import data, models, optim, plot, training

xpcnn.seed(0)
digits = data.digits()
digits

# %% [output]
# Dataset('digits', train=Split(1437 images (8, 8, 1), labels 0 … 9), test=Split(360 images (8, 8, 1), labels 0 … 9), classes=10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
# [text/html]

# %% [markdown]
# Some images are held out, to see during the training how well it goes on images that the network does not learn from.

# %%
train, validation = digits.train.split(0.1, seed=0)
loader = data.Loader(train, 32, shuffle=True)
model = models.mnist_cnn(digits.input_shape, 10, rng=0)
model

# %% [output]
# Sequential(
#   (0) Conv2d(in_channels=1, out_channels=32, kernel_size=(3, 3), stride=(1, 1), padding=1, dilation=(1, 1), groups=1, bias=True)
#   (1) ReLU()
#   (2) MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=(1, 1), ceil_mode=False)
#   (3) Conv2d(in_channels=32, out_channels=64, kernel_size=(3, 3), stride=(1, 1), padding=1, dilation=(1, 1), groups=1, bias=True)
#   (4) ReLU()
#   (5) MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=(1, 1), ceil_mode=False)
#   (6) Flatten()
#   (7) Linear(in_features=256, out_features=128, bias=True)
#   (8) ReLU()
#   (9) Linear(in_features=128, out_features=10, bias=True)
# )
# [text/html]

# %%
model.summary(digits.input_shape)

# %% [output]
# Layer          Output      Parameters  Forward  Backward  Output KiB
# --------------------------------------------------------------------
# Sequential     (10,)
#   0 Conv2d     (8, 8, 32)         320   18,432    18,432         8.0
#   1 ReLU       (8, 8, 32)           0        0         0         8.0
#   2 MaxPool2d  (4, 4, 32)           0        0         0         2.0
#   3 Conv2d     (4, 4, 64)      18,496  294,912   589,824         4.0
#   4 ReLU       (4, 4, 64)           0        0         0         4.0
#   5 MaxPool2d  (2, 2, 64)           0        0         0         1.0
#   6 Flatten    (256,)               0        0         0         1.0
#   7 Linear     (128,)          32,896   32,768    65,536         0.5
#   8 ReLU       (128,)               0        0         0         0.5
#   9 Linear     (10,)            1,290    1,280     2,560         0.0
# --------------------------------------------------------------------
# Total                          53,002  347,392   676,352        29.0
# multiply-adds forward + backward: 1,023,744; memory of parameters: 207.0 KiB, of outputs: 29.0 KiB an item
# [text/html]

# %% [markdown]
# `fit` shows a bar while it runs, and a line for each epoch. The notebook's stop button ends it after the current step;
# run the cell again, and it continues there.

# %%
trainer = training.Trainer(model, optim.Adam(model.parameters(), lr=0.003))
trainer

# %% [output]
# Trainer(Sequential of 10 layers, 53,002 parameters; Adam, CrossEntropyLoss; 0 epochs done)
# [text/html]

# %%
history = trainer.fit(loader, validation, epochs=3)

# %% [output]
# epoch   1  train 1.2605  65.51%  validation 0.5234  82.64%  lr 3.0e-03  0.2 s
# epoch   2  train 0.2467  92.27%  validation 0.1620  95.14%  lr 3.0e-03  0.3 s
# epoch   3  train 0.1102  96.98%  validation 0.0989  97.22%  lr 3.0e-03  0.2 s
# [text/html]

# %% [markdown]
# `epochs` counts all epochs of this trainer. So running the cell above once more trains nothing, and says so, while a
# higher number trains on. (The cell that makes the trainer would begin a new count, with the model as it is.)

# %%
trainer.fit(loader, validation, epochs=5)

# %% [output]
# epoch   4  train 0.0743  98.07%  validation 0.0801  96.53%  lr 3.0e-03  0.2 s
# epoch   5  train 0.0600  98.22%  validation 0.1478  95.14%  lr 3.0e-03  0.4 s
# [text/html]
# epoch   1  train 1.2605  65.51%  validation 0.5234  82.64%  lr 3.0e-03  0.2 s
# epoch   2  train 0.2467  92.27%  validation 0.1620  95.14%  lr 3.0e-03  0.3 s
# epoch   3  train 0.1102  96.98%  validation 0.0989  97.22%  lr 3.0e-03  0.2 s
# epoch   4  train 0.0743  98.07%  validation 0.0801  96.53%  lr 3.0e-03  0.2 s
# epoch   5  train 0.0600  98.22%  validation 0.1478  95.14%  lr 3.0e-03  0.4 s
# [text/html]

# %% [markdown]
# The images to test on have been used for nothing so far:

# %%
result = trainer.evaluate(digits.test)
result

# %% [output]
# Evaluation(loss=0.1205, accuracy=0.9583, top5_accuracy=1, f1=0.9593, confusion=10×10 of 360)
# [text/html]

# %%
plot.most_wrong(model, digits.test, n=8)

# %% [output]
# [image/png]

# %%
plot.curves(history)

# %% [output]
# [image/png]
