"""What a run writes of its steps and epochs, besides its history."""

from __future__ import annotations

from pathlib import Path

from .callback import OnEpoch, OnStep
from .config import RunConfig
from .csv_log import CSVLog
from .kept_models import KeptModels
from .run_files import STEPS, TENSORBOARD
from .tensorboard_log import TensorBoardLog


def run_logs(config: RunConfig, folder: Path) -> tuple[list[OnStep], list[OnEpoch]]:
    """The callbacks for each step and each epoch that the settings ask for."""
    steps: list[OnStep] = []
    epochs: list[OnEpoch] = []
    if "csv" in config.logs:
        steps.append(CSVLog(folder / STEPS))
    if "tensorboard" in config.logs:
        board = TensorBoardLog(folder / TENSORBOARD)
        steps.append(board)
        epochs.append(board)
    if config.keep_every:
        epochs.append(KeptModels(folder, config.keep_every))
    return steps, epochs
