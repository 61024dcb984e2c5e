"""The names of arrays in a PyTorch file, brought to those of the network.

module.conv1.weight                          conv1.weight       a name of a wrapper, before all names
state_dict.…, state_dict_ema.…               …                  several networks in one file: the caller chooses
denselayer1.norm.1.weight                    norm1.weight       DenseNets of torchvision, as they are published
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..errors import OptionError, one_line
from ..typing import NDArray

_COUNTERS = ("num_batches_tracked", "n_averaged")  # of batch norm and averaged models; inference needs neither
_PUBLISHED = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
_MOST_TOLD = 4


class Named(NamedTuple):
    """Arrays by the network's names.

    Parameters
        arrays : those that may be the network's
        others : the file's names of those that do not begin with the chosen prefix
        said : what was done, in lines for people
        hint : a prefix that would fit better, or ""
    """

    arrays: dict[str, NDArray]
    others: list[str]
    said: list[str]
    hint: str


def with_own_names(arrays: Mapping[str, NDArray], own: Iterable[str], prefix: str | None) -> Named:
    """The file's arrays without counters and without a prefix: the given one, or one that all of them have.

    Parameters
        own : the network's names
        prefix : of the names to take, such as "state_dict_ema."
    Raises
        OptionError : no name begins with that prefix

    >>> named = with_own_names({"module.fc.weight": None, "module.fc.bias": None}, ["fc.weight", "fc.bias"], None)
    >>> list(named.arrays), named.said
    (['fc.weight', 'fc.bias'], ["took 'module.' off the names"])
    """
    known = set(own)
    kept = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in _COUNTERS}
    kept = {name if name in known else _PUBLISHED.sub(r"\1", name): array for name, array in kept.items()}
    fitting = Counter(name[:at] for name in kept for at in _starts(name) if name[at:] in known)
    best = max(fitting, key=lambda each: (fitting[each], -len(each)), default="")
    if prefix is not None:
        if not isinstance(prefix, str) or not any(name.startswith(prefix) for name in kept):
            seen = ", ".join([repr(each)[:60] for each in fitting if each][:_MOST_TOLD]) or "none"
            expected = "prefix: the beginning of the file's names"
            raise OptionError(
                "load_weights", expected, repr(prefix)[:80], f"those before names of this network: {seen}"
            )
        chosen = prefix
    else:
        chosen = best if all(name.startswith(best) for name in kept) else ""
    taken = {name.removeprefix(chosen): array for name, array in kept.items() if name.startswith(chosen)}
    others = [name for name in kept if not name.startswith(chosen)]
    said = [f"took {one_line(chosen)!r} off the names"] if chosen else []
    return Named(taken, others, said, best if prefix is None and chosen != best else "")


def _starts(name: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer(r"\.", name))]
