"""A network as a program: a file of NumPy calls, and its weights beside it."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from pprint import pformat
from typing import Any, Literal

import numpy as np

from ... import __version__, nn
from ...backend import dtype_name
from ...data.scale import BYTE
from ...errors import FileError, OptionError
from ...io.atomic import write_atomically
from ...nn.layer import check_layer
from ...options import as_choice, as_flag, as_names, as_number, as_path, as_shape
from ...typing import NDArray
from . import functions
from .lines import Lines, Value, body, value_name

_WHO = "export_numpy"
_FUNCTIONS = [name for name, each in vars(functions).items() if inspect.getmodule(each) is functions]
_HEAD = '''"""A network as a program: calls of NumPy, one layer after the other. Its weights are in the .npz beside it.

    python {file} picture.npy         what it says of an array of pixels

Written by xpcnn {version}. Items are along the first axis, N, and channels along the last.
"""

from __future__ import annotations

{imports}
SHAPE = {shape}  # of one item
CLASSES = {classes}

with np.load(Path(__file__).with_suffix(".npz")) as file:
    W = dict(file)
if W.pop("digest") != {digest!r}:
    raise ValueError("the weights beside this program belong to another one; export the network again")
'''
_IMPORTS = {  # what a program needs if it has this word
    "math": "import math\n",
    "sys": "import sys\n",
    "Iterator": "from collections.abc import Iterator\n",
    "Path": "from pathlib import Path\n",
    "np": "\nimport numpy as np\n",
    "sliding_window_view": "from numpy.lib.stride_tricks import sliding_window_view\n",
    "Array": "\nArray = np.ndarray\n",
    "Pair": "Pair = tuple[int, int]\n",
    "NONE": "NONE = ((0, 0), (0, 0))  # of padding: (above, below), (left, right)\n",
}
_PREPARED = '''
def prepared(pictures: Array) -> Array:
    """One item of that shape, or several, as the network takes them: {how}."""
    x = np.asarray(pictures)
    if x.shape in (SHAPE, SHAPE[:-1]):
        x = x[None]
    if SHAPE[-1] == 1 and x.shape[1:] == SHAPE[:-1]:
        x = x[..., None]
    if x.shape[1:] != SHAPE or len(x) == 0:
        raise ValueError(f"expected an array {{SHAPE}}, or several, got {{np.shape(pictures)}}")
    if not np.isfinite(x).all():
        raise ValueError("expected finite numbers, got NaN or infinity")
{divided}
'''
_UNIT = """    white = 1 if x.dtype.kind in "bf" and x.min() >= 0 and x.max() <= 1 else {white}
    if x.min() < 0 or x.max() > white:
        raise ValueError(f"expected numbers from 0 to {{white}}, got {{x.min()}} to {{x.max()}}")
    return x.astype(np.{dtype}) / white"""
_RANKED = '''
def predict(pictures: Array) -> list[list[tuple[str, float]]]:
    """For each picture, the names in CLASSES with their probabilities, the most likely first."""
    probabilities = {function}(network(prepared(pictures)))
    return [[(CLASSES[i], float(row[i])) for i in np.argsort(-row, kind="stable")] for row in probabilities]
'''
_NUMBERS = '''
def predict(pictures: Array) -> Array:
    """The network's numbers for each item."""
    return network(prepared(pictures))
'''
_MAIN = """
if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {{sys.argv[0]}} picture.npy")
    try:
        pictures = np.load(sys.argv[1])
    except (OSError, ValueError, EOFError):
        sys.exit(f"{{sys.argv[1]}}: expected a readable file .npy")
    try:
        answers = predict(pictures)
    except ValueError as error:
        sys.exit(f"{{sys.argv[1]}}: {{error}}")
    for answer in answers:
        print({shown})
"""


def export_numpy(
    model: nn.Layer,
    path: str | os.PathLike[str],
    *,
    input_shape: Iterable[Any],
    classes: Iterable[str] = (),
    scale: float = 255.0,
    unit: bool = True,
    outputs: Literal["classes", "labels", "values"] = "classes",
) -> None:
    """Write a network, as it is in inference, as a program that needs nothing but NumPy.

    `net.py` has a line for each layer, with the shape that it makes, and the functions that these lines call; `net.npz`
    beside it has the weights, by the names of the network's parameters. `network(x)` computes what model(x) does, and
    `predict(picture)` takes pixels, and gives classes with their probabilities, or numbers.

    Parameters
        model : layers of `xpcnn.nn`; and layers of your own that say by `composed` which of these compute the same
        path : of the program, a file .py
        input_shape : of one item; of several inputs, a shape each: there is then no `predict`
        classes : the names of the outputs, if they are classes or labels
        scale : the number that is white: pixels are divided by it, unless they are floats in [0, 1]
        unit : whether they are in [0, 1] then; if not, all numbers are divided by the scale, and not checked
        outputs : what an item's numbers are: scores of classes, of which one is right; of labels, each of which may be
            (the logit of its probability); or values
    Raises
        OptionError : a layer is none of these, or an argument makes no sense
        ShapeError : the network does not take items of that shape
        FileError : a file cannot be written

    >>> import runpy, tempfile
    >>> model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_numpy(model, folder + "/net.py", input_shape=(4,))
    ...     program = runpy.run_path(folder + "/net.py")
    >>> x = np.ones((2, 4), np.float32)
    >>> bool(np.allclose(program["network"](x), model(x)))
    True
    """
    check_layer(_WHO, model)
    path = as_path(_WHO, path)
    if path.suffix != ".py":
        raise OptionError(_WHO, "a file .py", str(path))
    as_choice(_WHO, "outputs", outputs, ("classes", "labels", "values"))
    shapes = [as_shape(_WHO, each) for each in input_shape] if model.arity[0] > 1 else [as_shape(_WHO, input_shape)]
    like = next(iter(model.state_dict().values()), None)
    made = Lines(model, "float32" if like is None else dtype_name(like))
    xs = tuple(made.value(shape) for shape in shapes)
    found = made.network("", model, xs if len(xs) > 1 else xs[0])
    ys = found if isinstance(found, tuple) else (found,)
    scores = ys[0].shape[-1] if len(ys) == 1 and outputs != "values" else 0  # of an item, or of each place in it
    names = list(as_names(_WHO, "classes", classes))
    if len(names) not in (0, scores):
        raise OptionError(_WHO, f"classes: a name for each of the {scores} scores, or none", repr(names)[:80])
    network, predict = _network(made, xs, ys), []
    if len(xs) == len(ys) == 1:
        white, unit = as_number(_WHO, "scale", scale, "(0, inf)"), as_flag(_WHO, "unit", unit)
        predict = _predict(made.dtype, white, unit, outputs if len(ys[0].shape) == 1 else "values")
    rest = [*_called(network + "".join(predict)), network, *predict]
    words = set(re.findall(r"\w+", "".join(rest))) | {"Path", "np"}
    head = _HEAD.format(
        imports="".join(text for word, text in _IMPORTS.items() if word in words),
        file=path.name if re.fullmatch(r"[\w.-]+", path.name, re.ASCII) else "net.py",
        version=__version__,
        shape=shapes[0] if len(shapes) == 1 else tuple(shapes),
        classes=pformat(names or [str(i) for i in range(scores)], width=108, compact=True),
        digest=(digest := _digest(made.arrays)),
    )
    _check_ours(path)
    write_atomically(path.with_suffix(".npz"), _archive(made.arrays | {"digest": np.array(digest)}))
    write_atomically(path, "\n".join([head, *rest]).rstrip("\n").encode() + b"\n")


def _check_ours(path: Path) -> None:
    """Refuse to write over a program, or an archive beside it, that is none of ours."""
    archive = path.with_suffix(".npz")
    ours: dict[Path, Callable[[], bool]] = {
        path: lambda: path.read_bytes().startswith(_HEAD[:30].encode()),
        archive: lambda: "digest.npy" in zipfile.ZipFile(archive).namelist(),
    }
    for each, is_ours in ours.items():
        if each.is_file():
            try:
                found = is_ours()
            except (OSError, zipfile.BadZipFile) as error:
                raise FileError.unreadable(each, OSError(str(error))) from error
            if not found:
                raise OptionError(_WHO, f"no other file {each}", "one that is no network", "choose another name")


def _network(made: Lines, xs: Sequence[Value], ys: Sequence[Value]) -> str:
    """The function that computes the network."""
    arguments = ", ".join(f"{value_name(i)}: Array" for i in range(len(xs)))
    returns = "Array" if len(ys) == 1 else f"tuple[{', '.join(['Array'] * len(ys))}]"
    said = f'"""What the network computes of items {", ".join(str(x.shape) for x in xs)}."""'
    lines = [f"    {line}" for line in (said, *body(made.lines, xs, ys))]
    return "\n".join([f"\ndef network({arguments}) -> {returns}:", *lines, ""])


def _predict(dtype: str, scale: float, unit: bool, outputs: str) -> list[str]:
    """The functions that take pictures, for a network of one input and one output."""
    white = f"{255.0 if scale == 1 else scale:g}"
    how, divided = f"divided by {scale:g}", f"    return x.astype(np.{dtype}) / {scale!r}"
    if unit:
        how = f"divided by {white}, unless they are floats in [0, 1]"
        white = f"(255 if x.dtype == np.uint8 else {white})" if scale > BYTE else white
        divided = _UNIT.format(white=white, dtype=dtype)
    function = {"classes": "softmax", "labels": "sigmoid"}.get(outputs)
    shown = 'f"{answer[0][0]}  {answer[0][1]:.4f}"' if function else "answer"
    prepared = _PREPARED.format(how=how, divided=divided)
    return [prepared, _RANKED.format(function=function) if function else _NUMBERS, _MAIN.format(shown=shown)]


def _called(text: str) -> list[str]:
    """The functions that the text calls, and those that these call, as they stand in `functions`."""
    wanted, sources = "", {name: inspect.getsource(getattr(functions, name)) for name in _FUNCTIONS}
    found: set[str] = set()
    while wanted != text:
        wanted = text
        found |= {name for name in sources if re.search(rf"\b{name}\(", wanted)}
        text = wanted + "".join(source for name, source in sources.items() if name in found and source not in wanted)
    return ["\n" + source for name, source in sources.items() if name in found]


def _digest(arrays: Mapping[str, NDArray]) -> str:
    """A word that tells one set of weights from another."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _archive(arrays: Mapping[str, NDArray]) -> bytes:
    """An .npz file of the arrays; np.savez has names of its own that a layer might have."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return file.getvalue()
