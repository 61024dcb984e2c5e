"""Callbacks that must be called again, because a log could not be written; the checkpoint records them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import FormatError, OptionError
from ..options import as_count, as_number
from .callback import Step


@dataclass(frozen=True)
class Untold:
    """The callbacks from number `first` on must be called for `step`; None stands for the last epoch."""

    first: int
    step: Step | None = None

    @classmethod
    def read(cls, who: str, saved: Any) -> Untold | None:
        """The inverse of `written`.

        Raises
            FormatError : `saved` is something else
        """
        if saved is None:
            return None
        try:
            if not isinstance(saved, dict) or saved.keys() != {"first", "step"}:
                raise FormatError(who, "the number of a callback and a step", repr(saved)[:80])
            return cls(as_count(who, "first", saved["first"], least=0), _step(who, saved["step"]))
        except OptionError as error:
            raise FormatError(error.who, error.expected, error.got) from None

    def written(self) -> dict[str, Any]:
        """Its JSON values."""
        step = self.step and {key: None if value != value else value for key, value in asdict(self.step).items()}
        return {"first": self.first, "step": step}


def _step(who: str, saved: Any) -> Step | None:
    if saved is None:
        return None
    named = {field.name: field.type for field in fields(Step)}
    if not isinstance(saved, dict) or saved.keys() != named.keys():
        raise FormatError(who, "a step: " + ", ".join(named), repr(saved)[:80])
    values: dict[str, Any] = {}
    for name, value in saved.items():
        if named[name] == "int":
            values[name] = as_count(who, name, value, least=0)
        else:
            values[name] = math.nan if value is None else as_number(who, name, value)
    return Step(**values)
