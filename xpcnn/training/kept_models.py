"""Models of several epochs, which `xpcnn train --keep-every N` keeps: the untrained one, one after each N epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data.loader import Loader
from ..io.tensors import write_tensors
from .best_model import best_file
from .history import Epoch

EPOCHS = "epochs"  # in a run's folder: 0000.safetensors, 0001.safetensors, …


class KeptModels:
    """A callback for `on_epoch` that writes the model to the run's folder.

    Parameters
        folder : of the run
        every : epochs from one to the next
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def __call__(self, trainer: Any, row: Epoch) -> None:
        if row.epoch % self.every == 0:
            self.keep(trainer, trainer.loader, row.epoch)

    def keep(self, trainer: Any, loader: Loader, epoch: int) -> None:
        """Write the model as that of this epoch; 0 is before the first."""
        split = loader.split
        options: Any = {"criterion": trainer.criterion, "batch_size": loader.batch_size, "split": split}
        _, tensors, metadata = best_file(trainer.kept_model, split.input_shape, trainer.classes, **options)
        folder = self.folder / EPOCHS
        folder.mkdir(exist_ok=True)
        write_tensors(folder / f"{epoch:04}.safetensors", tensors, metadata)


def keep_untrained(trainer: Any, loader: Loader) -> None:
    """Keep the model as it is before the first epoch, if models are kept."""
    for each in trainer.on_epoch:
        if isinstance(each, KeptModels):
            each.keep(trainer, loader, 0)


def kept_models(folder: Path) -> dict[int, Path]:
    """The models of a run's epochs, in order."""
    found = (folder / EPOCHS).glob("*.safetensors")
    return {int(path.stem): path for path in sorted(found) if path.stem.isdecimal()}
