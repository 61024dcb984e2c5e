"""The files of a run; a new run refuses a folder that holds any, so that it overwrites none."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptionError
from .best_model import MODEL, WEIGHTS
from .checkpoint import CHECKPOINT
from .config import CONFIG
from .history import HISTORY
from .kept_models import EPOCHS
from .trained_on import TRAINED_ON

STEPS, TENSORBOARD, RESULT, CURVES = "steps.csv", "tensorboard", "result.json", "curves.png"
START = "start.safetensors"  # the network with which a fine-tuning began
KEPT = (CHECKPOINT, MODEL, WEIGHTS, HISTORY)  # files that a `Trainer` writes after an epoch
ALL = (CONFIG, *KEPT, RESULT, CURVES, TRAINED_ON, STEPS, TENSORBOARD, START, EPOCHS)  # that `xpcnn train` may write


def refuse_run(who: str, folder: Path, names: tuple[str, ...], how_to_resume: str) -> None:
    """Refuse a folder that holds one of these files for a new run.

    Parameters
        names : `KEPT` or `ALL`
        how_to_resume : how to continue the run there, if there is one
    Raises
        OptionError
    """
    found = [name for name in names if (folder / name).exists()]
    if not found:
        return
    resumable = CHECKPOINT in found or CONFIG in found
    remedy = f"{how_to_resume}, or name another folder" if resumable else "name another folder, or move it away"
    raise OptionError(who, "a folder without a run", f"{found[0]} in {folder}", remedy)
