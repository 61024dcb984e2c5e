"""Writing your own optimizer
==========================

Lion (X. Chen et al., Symbolic discovery of optimization algorithms, 2023) changes every weight by the same amount, with
the sign of a mean of gradients::

    p ← p − lr · sign(β₁·m + (1 − β₁)·g)
    m ← β₂·m + (1 − β₂)·g

An optimizer states which arrays it keeps for each parameter (``slots``) and how to update one parameter. Weight decay,
checks, saving and resuming are inherited.
"""

import sys

from xpcnn import data, models, ops, optim, training


class Lion(optim.Optimizer):
    def __init__(self, parameters, *, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        self.betas = betas
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, slots=("mean",))

    def update(self, p, g, m):  # writes p and m, but not g, which belongs to the caller
        beta1, beta2 = self.betas
        p -= self.lr * ops.sign(beta1 * m + (1 - beta1) * g)
        m *= beta2
        m += (1 - beta2) * g


# %%
# Compared with three optimizers of xpcnn, each with a suitable learning rate:

epochs = 2 if "--tiny" in sys.argv else 6
digits = data.digits()
loader = data.Loader(digits.train, 32, shuffle=True)
accuracies = {}
for make, lr in ((optim.SGD, 0.1), (optim.RMSProp, 0.001), (optim.Adam, 0.003), (Lion, 0.0005)):
    model = models.mnist_cnn(digits.input_shape, 10, rng=0)
    trainer = training.Trainer(model, make(model.parameters(), lr=lr), verbose=False)
    last = trainer.fit(loader, epochs=epochs)[-1]
    accuracies[make.__name__] = trainer.evaluate(digits.test).accuracy
    print(f"{make.__name__:<8} training loss {last.train_loss:.4f}, test accuracy {accuracies[make.__name__]:.1%}")
assert accuracies["Lion"] > 0.9
