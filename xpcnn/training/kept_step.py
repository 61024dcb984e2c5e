"""A step of training that gave NaN or infinity, kept in a file, and run again from it.

`nonfinite-STEP.safetensors` holds the batch (x, y and its places in the split), the model's arrays and generators as
they were before the step, its architecture, the criterion, and where in the run it was. As all files of xpcnn it is
safe to open.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import nn
from ..backend import asarray
from ..errors import FormatError, NonFiniteError, OptionError, XpcnnError, printable
from ..io.architecture import from_config, to_config
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..nn.loss import Loss
from ..random import check_states, set_states, states
from ..typing import Array
from .gradients import Gradients, batch_gradients
from .losses import REMEDY
from .nonfinite import Finding, search

if TYPE_CHECKING:
    from .trainer import Trainer


def report(trainer: Trainer, number: int, x: Array, y: Array, gradients: Gradients) -> NonFiniteError:
    """The error for a step that would have gone wrong, once its file is written.

    Parameters
        trainer : its model as it was before that batch
        number : of the batch, among those of the step
    """
    model, criterion, at = trainer.model, trainer.criterion, trainer.position
    finding = search(model, criterion, x, y) or together(gradients)
    batch, step = at.batch + number, trainer.optimizer.steps + 1
    indices = None if trainer.loader is None else trainer.loader.indices(at.epoch, batch)
    images = "" if indices is None else f", images {_some(indices.tolist())} of the split"
    got = f"{finding.text}, in step {step}, epoch {at.epoch + 1}, batch {batch + 1}{images}"
    remedy = REMEDY
    if trainer.folder is not None:
        path = trainer.folder / f"nonfinite-{step}.safetensors"
        run = {"step": step, "epoch": at.epoch + 1, "batch": batch + 1}
        try:
            keep(path, model, criterion, x, y, run, indices)
        except XpcnnError as error:  # a full disk must not hide what happened
            remedy += f" (not kept for replay: {error})"
        else:
            remedy += f"; training.replay({str(path)!r}) shows it again"
    return NonFiniteError("Trainer", "a finite loss and finite gradients", got, remedy)


def keep(
    path: Path, model: Layer, criterion: Loss, x: Array, y: Array, run: dict[str, int], indices: Any = None
) -> None:
    """Write the file that `replay` reads."""
    try:
        architecture = to_config(model)
    except OptionError:  # a layer of the user's own
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
    tensors |= {"batch.x": x, "batch.y": y} | ({} if indices is None else {"batch.indices": indices})
    write_tensors(path, tensors, metadata)


def replay(path: str | Path, *, model: Layer | None = None, criterion: Loss | None = None) -> Finding:
    """Run a step again that ended a training with NaN, print what each layer gave, and in which it began.

    Parameters
        path : `nonfinite-….safetensors` in the run's folder
        model, criterion : for those with parts that are not xpcnn's, built as they were; the model's arrays and
            generators take over the file's, or nothing if the file is broken
    Returns
        what was found
    Raises
        FormatError : no such file, or it names what xpcnn does not know
        FileError : it cannot be read
    """
    tensors, metadata = read_tensors(path)
    who = str(path)
    if metadata.get("kind") != "nonfinite":
        raise FormatError(who, "a step that was kept", f"a file of kind {metadata.get('kind')!r}"[:80])
    arrays = {name.removeprefix("model."): array for name, array in tensors.items() if name.startswith("model.")}
    given, architecture = model, metadata.get("architecture")
    if model is None:
        if architecture is None:
            raise FormatError(who, "layers of xpcnn alone", "others", "pass model=, built as it was")
        model = from_config(architecture, arrays, rng=0)
    try:
        check_states(model.generators(), metadata["generators"])
        x, y = asarray(tensors["batch.x"]), asarray(tensors["batch.y"])
        criterion = criterion or _criterion(who, metadata["criterion"])
        place = ", ".join(f"{name} {int(metadata['run'][name])}" for name in ("step", "epoch", "batch"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(who, "a step that was kept", f"{type(error).__name__}: {error}") from error
    if given is not None:
        given.load_state_dict(arrays)
    set_states(model.generators(), metadata["generators"])
    finding = search(model, criterion, x, y) or together(batch_gradients(model, criterion, x, y))
    print(*map(printable, f"{finding}\n({place} of the run)".split("\n")), sep="\n")
    return finding


def together(gradients: Gradients) -> Finding:
    """What there is to say where the layers by themselves stay finite."""
    if gradients.finite():
        return Finding("", "", "all is finite: the loss, the gradients and what each layer gives", ())
    names = gradients.not_finite()
    what = f"the gradients of {_some(names)}" if names else "the loss"
    text = f"NaN or infinity in {what}, from layers that run as one: each by itself stays finite"
    return Finding("", "backward" if names else "forward", text, ())


def _criterion(who: str, config: Any) -> Loss:
    if config is None:
        raise FormatError(who, "a criterion of xpcnn", "another", "pass criterion=, built as it was")
    options = dict(config)
    kind = getattr(nn, str(options.pop("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, Loss) and kind is not Loss):
        raise FormatError(who, "a criterion of xpcnn", repr(config)[:80])
    return kind(**options)


def _some(each: list[Any]) -> str:
    """The first of them, and how many there are."""
    first = ", ".join(map(str, each[:8]))
    return first if len(each) <= 8 else f"{first} … ({len(each)})"
