"""The training loop, written out
==============================

``Trainer`` consists of these five lines and conveniences. The example takes about a second.
"""

import sys

import xpcnn
from xpcnn import nn, optim
from xpcnn.data import Loader, digits

epochs = 1 if "--tiny" in sys.argv else 12
xpcnn.seed(0)
data = digits()  # 1,797 images of 8×8, inside the package
model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(4 * 4 * 32, 10),
)
criterion = nn.CrossEntropyLoss()
loader = Loader(data.train, batch_size=32, shuffle=True, seed=0)
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(epochs):
    for x, y in loader.epoch(epoch):  # x (N, 8, 8, 1) in [0, 1], y (N,)
        logits, cache = model.forward(x)  # (N, 10)
        loss, loss_cache = criterion.forward(logits, y)
        dlogits = criterion.backward(loss_cache)  # ∂L/∂logits
        _, grads = model.backward(dlogits, cache, input_grad=False)  # {"0.weight": ∂L/∂w, …}
        optimizer.step(grads)
    print(f"epoch {epoch + 1:2d}  loss of the last batch {float(loss):.4f}")

(x, y), *_ = Loader(data.test, batch_size=len(data.test)).epoch(0)
accuracy = xpcnn.training.accuracy(model(x), y)
print(f"test accuracy {accuracy:.2%}")
assert accuracy > 0.8
