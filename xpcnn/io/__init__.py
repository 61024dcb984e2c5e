"""Files: models and tensors, safe to open, written completely or not at all."""

from .model_file import SavedModel, load_model, save_model
from .tensors import read_tensors, write_tensors

__all__ = ["SavedModel", "load_model", "read_tensors", "save_model", "write_tensors"]
