"""What a file holds of a fitted estimator: the network with its scaling in it, and what the estimator knew beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from sklearn.preprocessing import StandardScaler

from ..data.scale import BYTE
from ..errors import OptionError
from ..io.model_file import SCALE, UNIT, SavedModel
from ..nn import Layer, Normalize, Scale, Sequential

ESTIMATOR = "estimator"  # in the file's `extra`


def saved(estimator: Any, *, divided: bool) -> SavedModel:
    """Its file.

    Parameters
        divided : let a network of images of bytes take them divided by 255, as other networks in files do
    """
    scaler, (low, high) = estimator.scaler_, estimator._range
    of_bytes = len(estimator.input_shape_) == 3 and low >= 0 and BYTE / 2 < high <= BYTE
    scale = BYTE if divided and of_bytes else 1.0
    layers: list[Layer] = [Normalize(scaler.mean_ / scale, scaler.scale_ / scale), estimator.model_]
    if hasattr(estimator, "target_scaler_"):
        layers.append(_scale(estimator.target_scaler_, estimator.dtype_))
    names, own, extra = estimator._own()
    told = {
        "kind": type(estimator).__name__,
        "options": {name: _written(value) for name, value in estimator.get_params(deep=False).items()},
        "scaler": scaling(scaler),
        "dtype": estimator.dtype_,
        "features": int(estimator.n_features_in_),
        "names": [str(name) for name in getattr(estimator, "feature_names_in_", ())],
        "history": estimator.history_,
        "range": [low, high],
    }
    extra |= {SCALE: scale, UNIT: low >= 0 and high <= scale, ESTIMATOR: told | own}
    return SavedModel(Sequential(*layers), estimator.input_shape_, names, extra)


def _scale(scaler: StandardScaler, dtype: str) -> Layer:
    """The layer that makes targets of standardised ones."""
    layer = Scale(len(scaler.scale_)).astype(dtype)
    layer.load_state_dict({"weight": scaler.scale_.astype(dtype), "bias": scaler.mean_.astype(dtype)})
    return layer


def scaling(scaler: StandardScaler) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(scaler, f"{name}_").tolist() for name in ("mean", "scale", "var")}
    return told | {"seen": np.asarray(scaler.n_samples_seen_).tolist()}


def scaler_of(told: Mapping[str, Any]) -> StandardScaler:
    """The scaler with these numbers."""
    scaler = StandardScaler()
    numbers = {name: np.array(told[name], np.float64) for name in ("mean", "scale", "var")}
    lengths = {len(each) if each.ndim == 1 and np.isfinite(each).all() else -1 for each in numbers.values()}
    if len(lengths) > 1 or min(lengths) < 1:
        raise ValueError("numbers of a scaler")
    scaler.mean_, scaler.scale_, scaler.var_ = numbers.values()
    scaler.n_samples_seen_, scaler.n_features_in_ = np.array(told["seen"])[()], len(scaler.mean_)
    return scaler


def _written(value: Any) -> Any:
    """An option as a JSON value: what a file cannot hold is named."""
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(key), _plain(each)] for key, each in value.items()]}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    value = _plain(value)
    return value if isinstance(value, bool | int | float | str | None) else {"lost": type(value).__name__}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def given(name: str, value: Any) -> Any:
    """The inverse of `_written`."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        if "pairs" in value:
            return {key: each for key, each in value["pairs"]}
        return _lost if name == "model" else None
    return value


def _lost(input_shape: Any, outputs: int, rng: Any) -> NoReturn:
    """Stands for a function that made the network, which a file does not hold."""
    remedy = "estimator.set_params(model=…)"
    raise OptionError("fit", "the function that makes the network", "none: it is not in the file", remedy)
