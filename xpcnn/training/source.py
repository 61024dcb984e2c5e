"""The network with which a fine-tuning begins: what a file, a run or an address holds, with a new last layer.

opened = open_source(config)                    the file; the size of its images
begun  = opened.begin(config, …)                the network for this run's classes; what was taken and made
begun.keep(folder); begun = kept(folder)        in the run's folder, so that the run needs the file no longer
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import models
from ..backend import to_numpy
from ..data.remote_weights import fetch_weights, is_address
from ..data.split import Split
from ..errors import FormatError, OptionError, ShapeError, one_line, warn
from ..exchange import import_onnx, load_weights
from ..exchange.weight_matching import check_numbers
from ..io import safetensors
from ..io.model_file import SCALE, SavedModel, load_model, save_model
from ..models.facts import RECORDS
from ..models.head import head_name, without_softmax
from ..nn import Layer, Normalize, all_parameters, freeze
from ..options import expanded, few
from ..random import generator
from ..typing import Shape
from .best_model import MODEL
from .config import RunConfig, words
from .run_files import START

_NORMALIZATION, _HEAD = "normalization", "head"  # in the `extra` of START


@dataclass(frozen=True)
class Begun:
    """The network with which a run begins.

    Parameters
        model : with the names that the source gives its parameters
        normalization : mean and std of each channel, with which images are to be prepared; None if nothing is known
        head : the name of the new last layer; "" if the source's is kept
        told : what was taken and made, in lines
    """

    model: Layer
    normalization: tuple[Sequence[float], Sequence[float]] | None
    head: str
    told: tuple[str, ...] = ()

    def seeded(self, seed: int) -> Begun:
        """The same, with generators (of dropout) that depend on the seed; those of a file are random."""
        generators = self.model.generators().values()
        for rng, own in zip(generators, generator(seed).spawn(len(generators)), strict=True):
            rng.bit_generator.state = own.bit_generator.state
        return self

    def keep(self, folder: Path, input_shape: Shape) -> None:
        """Write it to the run's folder."""
        extra = {_NORMALIZATION: self.normalization, _HEAD: self.head}
        save_model(self.model, folder / START, input_shape=input_shape, extra=extra)

    def frozen(self, patterns: str) -> tuple[Layer, str]:
        """The network with these parameters frozen, and what is said of it.

        Raises
            OptionError : nothing is left to train, or the new last layer is frozen
        """
        if not patterns:
            return self.model, ""
        model = freeze(self.model, words(patterns))
        every, trained = all_parameters(model), model.parameters()
        if not trained:
            raise OptionError(
                "train freeze", "parameters that are left to train", f"{patterns!r}, which is all of them"
            )
        if lost := [name for name in every if name not in trained and self.head and name.startswith(f"{self.head}.")]:
            raise OptionError(
                "train freeze", "a new last layer that is trained", f"{patterns!r}, which freezes {lost[0]}"
            )
        numbers, left = (sum(math.prod(p.shape) for p in each.values()) for each in (every, trained))
        said = f"froze {len(every) - len(trained)} of {len(every)} arrays, {numbers - left:,} of {numbers:,} numbers"
        return model, f"{said}; trained: {_parts(trained)}"


@dataclass(frozen=True)
class Opened:
    """A source.

    Parameters
        name : as the user gave it
        path : of its file
        saved : its network; None if the file holds weights for an architecture that the user names
        input_shape : of an image
    """

    name: str
    path: Path
    saved: SavedModel | None
    input_shape: Shape

    def check_images(self, model: Layer, split: Split) -> None:
        """Refuse images that the network does not take, and warn of numbers unlike those that it has learned from.

        Raises
            OptionError
        """
        input_shape = split.input_shape
        if self.saved is not None and SCALE in self.saved.extra and self.saved.is_unit != split.is_unit:
            unlike, alike = ("not ", "") if split.is_unit else ("", "not ")
            what = f"the network has learned from images that were {unlike}in [0, 1], and these are {alike}in [0, 1]"
            warn(self.shown, what, "prepare these as those were")
        try:
            model.output_shape(input_shape)
        except (ShapeError, OptionError) as error:
            expected, got = (_size(shape) for shape in (self.input_shape, input_shape))
            expected = f"images {expected} for the network of {self.shown}"
            remedy = "of pictures in folders, --option size=… and channels=… say how they are read"
            raise OptionError("train from", expected, f"{got}: {error}", remedy) from None

    @property
    def shown(self) -> str:
        """The source's name, for people."""
        return one_line(Path(self.name).name or self.name)

    def begin(self, config: RunConfig, input_shape: Shape, outputs: int, classes: Sequence[str]) -> Begun:
        """The network for images of that shape, with that many outputs.

        Raises
            FormatError, OptionError : the weights are not those of the architecture, or the network has no last layer
                that could be replaced
        """
        if self.saved is None:
            model = models.build(config.model, input_shape, outputs, rng=config.seed)
            head = head_name(model)
            new, unused = f"{head}.*", words(config.unused)
            try:
                taken = load_weights(model, self.path, new=new, unused=unused, input_shape=input_shape)
            except FormatError as error:
                if "new=" in error.remedy or "unused=" in error.remedy:
                    error.remedy = "name the file's architecture with --model; --unused leaves arrays of the file out"
                raise
            told = [f"from {self.shown}: {len(taken.taken)} arrays of {config.model}, all but its last layer's"]
            told += [f"left {len(taken.left)} of the file's: {few(taken.left)}"] if taken.left else []
            told += taken.notes
            facts = RECORDS[config.model].preprocessing
            normalization = None if facts is None or len(facts.mean) != input_shape[-1] else (facts.mean, facts.std)
        else:
            model = self.saved.model.astype("float32")
            normalization, head = None, ""
            named = not all(name.isdecimal() for name in classes)  # numbers may stand for other classes
            if not named or tuple(classes) != self.saved.classes:
                head = head_name(model)
                model = models.new_head(model, outputs, rng=config.seed)
            told = [
                f"from {self.shown}: {len(model.state_dict())} arrays of its network"
                + (", with its last layer" * (not head))
            ]
            check_numbers(str(self.path), {name: to_numpy(array) for name, array in model.state_dict().items()})
            if classes and (logits := without_softmax(model)) is not model:
                model = logits
                told.append("left out its softmax at the end, which is part of the loss")
        if head:
            told.append(f"new last layer {head}: {outputs} outputs")
        told.append(_preparation(model, normalization, config.normalize, input_shape))
        return Begun(model, normalization, head, tuple(told)).seeded(config.seed)


def open_source(config: RunConfig, input_shape: Shape | None) -> Opened:
    """Open the run's source.

    Parameters
        input_shape : of the images, if it is known; for ONNX files that leave it open
    Raises
        FormatError, FileError, DataError, OptionError : it is none, is damaged, or does not say its architecture
    """
    source = config.source
    path = fetch_weights(source) if is_address(source) else expanded("train from", source)
    if path.is_dir():
        path /= MODEL
    if config.model:
        return Opened(source, path, None, models.defaults(config.model)[0])
    if path.suffix.lower() == ".onnx":
        saved = _from_onnx(path, input_shape)
    else:
        if "xpcnn" not in safetensors.load(path, widen=True)[1]:
            remedy = "name it: --model resnet18, for example"
            raise FormatError(str(path), "a file that says its architecture", "weights alone", remedy)
        saved = load_model(path)
    several = saved.model.arity != (1, 1) or len(getattr(saved.model, "outputs", ("",))) > 1
    if several or len(saved.input_shape) != 3:
        raise OptionError(str(path), "a network of one image (H, W, C) and one output", "another", "use it in Python")
    return Opened(source, path, saved, saved.input_shape)


def kept(folder: Path) -> Begun:
    """What `Begun.keep` has written.

    Raises
        FormatError, FileError : it is missing or damaged
    """
    saved = load_model(folder / START)
    normalization, head = (saved.extra.get(name) for name in (_NORMALIZATION, _HEAD))
    return Begun(saved.model, normalization, str(head))


def _from_onnx(path: Path, input_shape: Shape | None) -> SavedModel:
    try:
        return import_onnx(path)
    except OptionError:  # the file leaves the shape open
        if input_shape is None:
            raise
        return import_onnx(path, input_shape=input_shape)


def _preparation(model: Layer, normalization: Any, by_data: bool, input_shape: Shape) -> str:
    size = _size(input_shape)
    first = next(iter(model.children().values()), None)
    if isinstance(first, Normalize):
        if by_data:
            raise OptionError("train normalize", "a network that does not normalise", "one that does", "leave it out")
        return f"images {size}, normalised by the network itself, as it learned them"
    if by_data:
        return f"images {size}, normalised by the training images' mean and deviation"
    if normalization is None:
        return (
            f"images {size} in [0, 1]: the file does not say how they are to be prepared; --normalize would be by these"
        )
    mean, std = normalization
    return f"images {size}, normalised as torchvision's weights expect: mean {tuple(mean)}, deviation {tuple(std)}"


def _size(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _parts(names: Iterable[str]) -> str:
    """The layers in which these parameters are: the first parts of their names that tell them apart."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    return ", ".join(layers[:5]) + (f" and {len(layers) - 5} more" if len(layers) > 5 else "")
