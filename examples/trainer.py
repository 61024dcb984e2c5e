"""A whole run with Trainer
========================

Validation, schedule, checkpoints, and the best model. Kill it at any time and start it again: it continues exactly
where it was, bit for bit.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from xpcnn import models, optim
from xpcnn.data import Loader, digits
from xpcnn.io import load_model
from xpcnn.training import Trainer, evaluate

epochs = 2 if "--tiny" in sys.argv else 10
folder = Path(mkdtemp()) if "--tiny" in sys.argv else Path("runs/example")
data = digits()
train, validation = data.train.split(0.1, seed=0)
loader = Loader(train, batch_size=64, shuffle=True)

model = models.mnist_cnn(data.train.input_shape, len(data.classes), rng=0)
optimizer = optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
trainer = Trainer(
    model,
    optimizer,
    schedule=optim.OneCycle(2e-3, epochs * len(loader)),
    folder=folder,
    classes=data.classes,
)
trainer.fit(loader, validation, epochs=epochs, resume=(folder / "checkpoint.safetensors").exists())

saved = load_model(folder / "model.safetensors")  # the best epoch's
accuracy = evaluate(saved.model, data.test).accuracy
print(f"test accuracy {accuracy:.2%}, kept in {folder}")
assert accuracy > 0.6
