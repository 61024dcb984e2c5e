"""A training with all that a run may have, on however many processes it is started with; prints what came of it.

python -m tests.distributed.program FOLDER [key=value …]        alone
mpiexec -n 4 python -m mpi4py -m tests.distributed.program …    as four
"""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

from xpcnn import data, distributed, nn, optim, training

ITEMS, BATCH = 75, 24  # the last batch has 3 items


def network(rng):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, rng=rng), nn.BatchNorm2d(6), nn.ReLU(), nn.GlobalAvgPool2d(),
        nn.Dropout(0.2, rng=rng), nn.Linear(6, 10, rng=rng), nn.BatchNorm1d(10),
    )  # fmt: skip


def train(folder, group, shards=8, epochs=3, stop=0, resume=False, fail="", patience=2, **options):
    """The trainer after it, and what its callbacks noted."""
    digits, told = data.digits(), []
    model = network(np.random.default_rng(3 + group.rank))  # rank 0's weights count
    split, validation = digits.train.take(ITEMS + 40).split(40 / (ITEMS + 40), seed=0)
    augment = data.augment.parse("crop:1")
    loader = data.Loader(split, BATCH, shuffle=True, seed=1, augment=augment)
    weight = list(np.linspace(0.5, 2.0, 10))

    def note(trainer, step):
        told.append((step.step, step.loss, step.accuracy, step.images, step.lr))
        if step.step == 5:
            trainer.model[1].weight[...] += 0.125  # all processes must get this
        if fail == "callback" and step.step == 4:
            raise OSError(28, "No space left on device")
        return training.STOP if step.step == stop else None

    trainer = training.Trainer(
        model,
        optim.AdamW(model.parameters(), lr=0.02),
        nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1),
        schedule=optim.Cosine(0.02, 6),
        clip_norm=0.5,
        ema=0.8,
        patience=patience,
        accumulate=2,
        on_step=[note],
        on_epoch=[training.CSVLog(f"{folder}/epochs.csv")],
        folder=folder,
        verbose=False,
        group=group,
        shards=shards,
        **options,
    )
    if fail.startswith("rank ") and group.rank == int(fail[5:]):
        _fail_at(trainer, 3)
    if fail == "options" and group.rank == 1:
        trainer.clip_norm = 0.25
    if fail == "rates" and group.rank == 1:
        trainer.optimizer.scale(lr={"0.*": 0.5})
    if fail == "drift":
        trainer.on_step = ()  # after these, all get rank 0's weights
        object.__setattr__(trainer.schedule, "lr_at", lambda step: 0.01 * (1 + group.rank))
    if fail == "data" and group.rank == 1:
        loader.split.labels[0] = (loader.split.labels[0] + 1) % 10
    if fail == "nan":
        trainer.model[9].weight[...] = 3e38  # on rank 0 alone, whose weights count
    trainer.fit(loader, validation, epochs=epochs, resume=resume)
    return trainer, told


def _fail_at(trainer, step):
    inner = trainer.optimizer.step

    def failing(grads):
        if trainer.optimizer.steps == step:
            raise ValueError("on purpose")
        inner(grads)

    trainer.optimizer.step = failing


def main():
    folder, *words = sys.argv[1:]
    options = {key: json.loads(value) for key, _, value in (word.partition("=") for word in words)}
    group = distributed.init(timeout=options.pop("timeout", 60.0))
    with group.together():
        trainer, told = train(folder, group, **options)
        arrays = {**trainer.model.state_dict(), **trainer.best_model.state_dict()}
        digests = group.all(hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest())
    if group.rank == 0:
        history = [(row.train_loss, row.train_accuracy, row.validation_loss, row.lr) for row in trainer.history]
        print(json.dumps({"weights": digests, "told": told, "history": history, "sent": group.sent}))
    group.end()


if __name__ == "__main__":
    main()
