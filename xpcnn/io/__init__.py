"""Files: models and tensors, safe to open, written whole or not at all."""

from .model_file import SavedModel, load_model, save_model

__all__ = ["SavedModel", "load_model", "save_model"]
