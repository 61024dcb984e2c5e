"""Train in PyTorch, continue here
===============================

A small network learns in PyTorch; its ``state_dict`` is saved as safetensors, and loaded into the same network here. It
then gives the same logits, and its training can continue. The example needs PyTorch and
safetensors.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from xpcnn import data, nn, optim, to_numpy, training
from xpcnn.exchange import load_pytorch

try:
    import torch
    from safetensors.torch import save_file
except ImportError as error:
    print(f"this example needs {error.name}: pip install torch safetensors")
    sys.exit(0)

# %%
# In PyTorch
# ----------

digits = data.digits()
pixels = torch.from_numpy(np.moveaxis(digits.train.images, -1, 1).astype(np.float32) / 255)  # (N, 1, 8, 8)
labels = torch.from_numpy(digits.train.labels)
torch.manual_seed(0)
theirs = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 3, padding=1),
    torch.nn.BatchNorm2d(16),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(16 * 4 * 4, 10),
)
optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
for _ in range(40):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(theirs(pixels), labels).backward()
    optimizer.step()
theirs.eval()

# %%
# Here
# ----
# The same layers, channels last. PyTorch flattens channels first, so the columns of the dense layer are reordered for
# this library, which requires ``input_shape``.

ours = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(4 * 4 * 16, 10),
)
with TemporaryDirectory() as folder:
    path = Path(folder) / "digits.safetensors"
    save_file(theirs.state_dict(), path)
    load_pytorch(ours, path, input_shape=digits.input_shape)

x, _ = next(data.Loader(digits.test, 360).epoch(0))
with torch.no_grad():
    expected = theirs(torch.from_numpy(np.ascontiguousarray(np.moveaxis(to_numpy(x), -1, 1)))).numpy()
difference = float(abs(to_numpy(ours(x)) - expected).max())
print(f"largest difference of the logits: {difference:.1e}")
assert difference < 1e-4

# %%
# The training continues:

before = training.evaluate(ours, digits.test).accuracy
trainer = training.Trainer(ours, optim.SGD(ours.parameters(), lr=0.05, momentum=0.9), verbose=False)
trainer.fit(data.Loader(digits.train, 32, shuffle=True), epochs=5)
after = trainer.evaluate(digits.test).accuracy
print(f"test accuracy {before:.1%}, after five epochs here {after:.1%}")
assert after > 0.95
