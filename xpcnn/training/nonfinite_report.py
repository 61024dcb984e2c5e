"""Save a training step that gave NaN or infinity to a file, and run it again from there.

`nonfinite-STEP.safetensors` holds the batch (x, or x.0, x.1 … of several inputs, y, and its indices in the split), the
model's arrays and generators from before the step, its architecture, the criterion, and the position in the run. Like
all files of xpcnn it is safe to open.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from .. import nn
from ..backend import asarray
from ..errors import FormatError, NonFiniteError, OptionError, XpcnnError, printable
from ..io.architecture import from_config, to_config
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..nn.loss import Loss
from ..nn.summary import several
from ..options import as_count
from ..random import check_states, set_states, states
from ..typing import Array, NDArray
from .checkpoint import check_arrays
from .epoch_totals import REMEDY
from .gradients import Gradients, batch_gradients
from .nonfinite import Finding, search


def report(
    model: Layer,
    criterion: Loss,
    batch: tuple[Array, Array],
    gradients: Gradients,
    run: dict[str, int],
    indices: NDArray | None,
    folder: Path | None,
) -> NonFiniteError:
    """Write the file of a step that gave NaN or infinity; return the error for it.

    Parameters
        model : as it was before that batch
        batch, gradients : (x, y), and its gradients
        run : the position in the run, each from 1: step, epoch, batch
        indices : of its images in the split, int (N,); None if they are not from a loader
        folder : for the file; None writes no file
    """
    finding = search(model, criterion, *batch) or together(gradients)
    images = "" if indices is None else f", images {_some(indices.tolist())} of the split"
    got = f"{finding.text}, in step {run['step']}, epoch {run['epoch']}, batch {run['batch']}{images}"
    remedy = REMEDY
    if folder is not None:
        path = folder / f"nonfinite-{run['step']}.safetensors"
        try:
            keep(path, model, criterion, *batch, run, indices)
        except XpcnnError as error:  # a full disk must not hide the cause
            remedy += f" (not kept for replay: {error})"
        else:
            remedy += f"; training.replay({str(path)!r}) shows it again"
    return NonFiniteError("Trainer", "a finite loss and finite gradients", got, remedy)


def keep(
    path: Path, model: Layer, criterion: Loss, x: Array, y: Array, run: dict[str, int], indices: NDArray | None = None
) -> None:
    """Write the file that `replay` reads."""
    try:
        architecture = to_config(model)
    except OptionError:  # a user's own layer
        architecture = None
    own = type(criterion) is not getattr(nn, type(criterion).__name__, None)
    metadata = {
        "kind": "nonfinite",
        "run": run,
        "architecture": architecture,
        "criterion": None if own else {"type": type(criterion).__name__, **criterion.config()},
        "generators": states(model.generators()),
    }
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    xs = [x[name] for name in model.inputs] if isinstance(model, nn.Graph) and isinstance(x, Mapping) else several(x)
    tensors |= {f"batch.x.{number}" if len(xs) > 1 else "batch.x": each for number, each in enumerate(xs)}
    tensors |= {"batch.y": y} | ({} if indices is None else {"batch.indices": indices})
    write_tensors(path, tensors, metadata)


def replay(path: str | Path, *, model: Layer | None = None, criterion: Loss | None = None) -> Finding:
    """Repeat the step that ended a training with NaN; print each layer's results, and the layer in which it began.

    Parameters
        path : `nonfinite-….safetensors` in the run's folder
        model, criterion : needed if they have parts from outside xpcnn; build them as for the run. The file's arrays
            and generators are loaded into the model; a broken file changes nothing
    Returns
        the finding
    Raises
        FormatError : no such file, or it contains names that xpcnn does not know
        FileError : it cannot be read

    >>> finding = replay("runs/digits/nonfinite-000412.safetensors")  # doctest: +SKIP
    >>> finding.layer, finding.direction  # doctest: +SKIP
    ('3', 'forward')
    """
    tensors, metadata = read_tensors(path)
    who = str(path)
    if metadata.get("kind") != "nonfinite":
        raise FormatError(who, "a step that was kept", f"a file of kind {metadata.get('kind')!r}"[:80])
    arrays = {name.removeprefix("model."): array for name, array in tensors.items() if name.startswith("model.")}
    tried, criterion = _model(who, metadata, arrays, model), criterion or _criterion(who, metadata.get("criterion"))
    place = _place(who, metadata.get("run"))
    check_states(who, tried.generators(), metadata.get("generators"))
    set_states(tried.generators(), metadata["generators"])
    x, y = _batch(who, tensors, tried.arity[0])
    try:
        finding = search(tried, criterion, x, y) or together(batch_gradients(tried, criterion, x, y))
    except XpcnnError as error:
        raise FormatError(who, "a batch that the network and the criterion take", str(error)) from error
    if model is not None:
        model.load_state_dict(arrays)
        set_states(model.generators(), metadata["generators"])
    print(*map(printable, f"{finding}\n({place} of the run)".split("\n")), sep="\n")
    return finding


def _model(who: str, metadata: dict[str, Any], arrays: dict[str, NDArray], given: Layer | None) -> Layer:
    """The network with the file's arrays: built from the file, or a copy of the given one."""
    if given is not None:
        check_arrays(who, given.state_dict(), arrays, "pass model=, built as it was")
        return deepcopy(given).load_state_dict(arrays)
    if metadata.get("architecture") is None:
        raise FormatError(who, "layers of xpcnn.nn and registered ones alone", "others", "pass model=, built as it was")
    return from_config(metadata["architecture"], arrays, rng=0)


def _batch(who: str, tensors: dict[str, NDArray], inputs: int) -> tuple[Any, Array]:
    """The images, a tuple of arrays if the network has several inputs, and labels, on the current backend."""
    parts = {name: array for name, array in tensors.items() if not name.startswith("model.")}
    names = [f"batch.x.{number}" for number in range(inputs)] if inputs > 1 else ["batch.x"]
    needed = {*names, "batch.y"}
    if not needed <= parts.keys() <= needed | {"batch.indices"}:
        raise FormatError(who, f"arrays {', '.join(names)}, batch.y and batch.indices", ", ".join(parts)[:80] or "none")
    y = parts["batch.y"]
    for x in (parts[name] for name in names):
        if not (x.ndim and y.ndim and len(x) == len(y) > 0):
            raise FormatError(who, "a label or a target for each image", f"{x.shape} images and {y.shape}")
    xs = tuple(asarray(parts[name]) for name in names)
    return xs if inputs > 1 else xs[0], asarray(y)


def _place(who: str, run: Any) -> str:
    """The position of the step in the run, as text."""
    names = ("step", "epoch", "batch")
    if not isinstance(run, dict) or run.keys() != set(names):
        raise FormatError(who, "run: " + ", ".join(names), repr(run)[:80])
    try:
        return ", ".join(f"{name} {as_count(who, name, run[name])}" for name in names)
    except OptionError as error:
        raise FormatError(who, error.expected, error.got) from None


def together(gradients: Gradients) -> Finding:
    """The finding if the layers, run separately, stay finite."""
    if gradients.finite():
        return Finding("", "", "all is finite: the loss, the gradients and what each layer gives", ())
    names = gradients.not_finite()
    what = f"the gradients of {_some(names)}" if names else "the loss"
    text = f"NaN or infinity in {what}, from layers that run as one: each by itself stays finite"
    return Finding("", "backward" if names else "forward", text, ())


def _criterion(who: str, config: Any) -> Loss:
    if config is None:
        raise FormatError(who, "a criterion of xpcnn", "another", "pass criterion=, built as it was")
    options = dict(config) if isinstance(config, dict) else {}
    kind = getattr(nn, str(options.pop("type", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, Loss) and kind is not Loss):
        raise FormatError(who, "a criterion of xpcnn", repr(config)[:80])
    try:
        return kind(**options)
    except (XpcnnError, TypeError, ValueError) as error:
        raise FormatError(who, f"the options of {kind.__name__}", str(error)) from error


def _some(each: list[Any]) -> str:
    """The first of them, and their number."""
    first = ", ".join(map(str, each[:8]))
    return first if len(each) <= 8 else f"{first} … ({len(each)})"
