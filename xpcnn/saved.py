"""A trained network that answers: from pictures or arrays to classes and probabilities, as in `xpcnn predict`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .backend import asarray, dtype_name, to_numpy
from .data.model_images import Image, images_in, images_of, picture_size
from .data.picture_files import find_pictures, say_passed_over
from .data.picture_table import table_pictures
from .data.resizing import restored
from .data.table_columns import is_of_pictures
from .data.table_file import is_table
from .errors import DataError, NonFiniteError, OptionError
from .io.member import InMemory
from .io.model_file import SavedModel, load_model
from .nn.feature_output import features
from .nn.predicting import Predictor
from .ops.activation import sigmoid_forward
from .ops.softmax import softmax_forward
from .options import as_count, as_path
from .training.best_model import model_path, run_batch_size
from .typing import NDArray

__all__ = ["Answer", "Saved", "load"]


class Answer(NamedTuple):
    """What a network says of one image.

    Parameters
        name : the picture's path, or the image's position
        scores : (class, probability), the most likely first; with several labels an image, each has a probability of
            its own; for a regression (number of the output, value), in order

    >>> answer = Answer("cat.png", (("cat", 0.9), ("dog", 0.1)))
    >>> answer.label, answer.probability
    ('cat', 0.9)
    """

    name: str
    scores: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most likely class."""
        return self.scores[0][0]

    @property
    def probability(self) -> float:
        """That of the most likely class."""
        return self.scores[0][1]


class Saved(SavedModel):
    """A network from a file, with what its training knew of its images.

    `images` of the methods are the path of a picture, of a folder or table of pictures, of a .npy array or of a table
    of numbers, a picture's bytes, a picture of Pillow's, an array of one image or several, or a list of these. Pictures
    are brought to the network's size as in training. Numbers are divided as in training; `scale` states another
    divisor, and `invert` swaps dark and light.

    >>> import tempfile
    >>> from xpcnn.io import save_model
    >>> from xpcnn.models import mlp
    >>> path = tempfile.mkdtemp() + "/mlp.safetensors"
    >>> save_model(mlp((8, 8, 1), 10, rng=0), path, input_shape=(8, 8, 1))
    >>> load(path)
    Saved(Sequential of 4 layers, 9,610 parameters, input (8, 8, 1))
    """

    def predict(
        self, images: Any, *, top_k: int | None = None, scale: float | None = None, invert: bool = False
    ) -> list[Answer]:
        """An answer for each image.

        Parameters
            top_k : so many likely classes; None for all
        Raises
            DataError, FormatError, FileError : images that cannot be read, or do not fit
            OptionError : an invalid option, or a network that does not give a class or numbers for one image
            NonFiniteError : the network gives NaN;  MissingExtraError : Pillow is needed and not installed
        """
        return list(self.answers(self.images(images, scale=scale, invert=invert), top_k))

    def features(
        self,
        images: Any,
        layer: str | int,
        *,
        batch_size: int = 64,
        scale: float | None = None,
        invert: bool = False,
    ) -> NDArray:
        """What the network computes up to a layer; see `nn.features`.

        Parameters
            layer : its dotted name, such as "avgpool"
        Returns
            NumPy array (N, …)
        Raises
            OptionError : the network has no such layer; the error lists those that it has;  others : as `predict`
        """
        check_one_input("features", self)
        batch = np.stack([image for _, image in self.images(images, scale=scale, invert=invert)])
        return features(self.model, asarray(batch, dtype=self._dtype()), layer, batch_size=batch_size)

    @cached_property
    def _network(self) -> Predictor:
        return Predictor(self.model, self.input_shape)

    def _dtype(self) -> str:
        """The type in which the network computes."""
        like = next(iter(self.model.state_dict().values()), None)
        return "float32" if like is None else dtype_name(like)

    def images(self, images: Any, *, scale: float | None = None, invert: bool = False) -> Iterator[tuple[str, Image]]:
        """Each image as the network takes it: (name, float32 (H, W, C))."""
        if isinstance(images, list | tuple):
            for number, each in enumerate(images):
                for name, image in self.images(each, scale=scale, invert=invert):
                    yield (name if isinstance(each, str | os.PathLike) else str(number)), image
        elif isinstance(images, str | os.PathLike):
            for path in files(as_path("predict", images)):
                yield from images_in(path, self, scale=scale, invert=invert)
        elif isinstance(images, bytes):
            for _, image in images_in(InMemory("picture", images), self, scale=scale, invert=invert):
                yield "0", image
        elif hasattr(images, "getexif"):  # Pillow's: written and read like any other, without loss
            file = BytesIO()
            images.save(file, "TIFF" if images.mode in ("CMYK", "F", "LAB", "YCbCr") else "PNG", exif=images.getexif())
            yield from self.images(file.getvalue(), scale=scale, invert=invert)
        elif hasattr(images, "shape"):
            batch = images_of("predict", to_numpy(images), self, scale=scale, invert=invert)
            yield from ((str(number), image) for number, image in enumerate(batch))
        else:
            expected = "pictures, paths or arrays"
            raise OptionError("predict", expected, type(images).__name__, "pass np.asarray(numbers), or a path")

    def masks(self, images: Any, *, scale: float | None = None, invert: bool = False) -> Iterator[tuple[str, NDArray]]:
        """The most likely class of each pixel: (name, uint8 (H, W)), of a picture in its own size.

        Beyond what a cropped picture shows the network, it is `ignore_index`, or 255.

        Parameters, Raises
            as `predict`; OptionError : the network does not give a class for each pixel
        """
        check_one_input("masks", self)
        size, every = run_batch_size(self), iter(self.images(images, scale=scale, invert=invert))
        fill = 255 if self.ignore_index is None else self.ignore_index
        while batch := list(islice(every, size)):
            outputs = self._network(asarray(np.stack([image for _, image in batch])))
            if outputs.ndim != 4 or not self.is_classifier or outputs.shape[-1] > 256:
                expected, got = "a network with a class for each pixel, (N, H, W, K)", f"outputs {tuple(outputs.shape)}"
                raise OptionError("masks", expected, got, "saved.outputs gives the numbers")
            scores = to_numpy(outputs)
            for (name, _), each in zip(batch, scores, strict=True):
                if not np.isfinite(each).all():
                    raise _not_finite("masks", name)
                mask, own = each.argmax(axis=-1).astype(np.uint8), picture_size(name)
                yield name, mask if own is None else restored(mask, own, self.resize, fill=fill)

    def outputs(self, images: Any, *, scale: float | None = None, invert: bool = False) -> NDArray:
        """What the network gives for each image: probabilities of classes, or values, of each place where it has many.

        Returns
            NumPy array (N, …, K)
        Raises
            as `predict`
        """
        return np.stack([numbers for _, numbers in self.each_output(self.images(images, scale=scale, invert=invert))])

    def answers(self, images: Iterable[tuple[str, Image]], top_k: int | None = None) -> Iterator[Answer]:
        """Answers for images of `images`, as they come, in batches."""
        most = None if top_k is None else as_count("predict", "top_k", top_k)
        return (self.answer(name, numbers, most) for name, numbers in self.each_output(images))

    def each_output(self, images: Iterable[tuple[str, Image]]) -> Iterator[tuple[str, NDArray]]:
        """Each image's name and `outputs`, as they come, in batches."""
        check_one_input("predict", self)
        size, every = run_batch_size(self), iter(images)
        while batch := list(islice(every, size)):
            stacked = asarray(np.stack([image for _, image in batch]), dtype=self._dtype())
            outputs = self._network(stacked)  # (N, …, K)
            if self.is_classifier:
                outputs = softmax_forward(outputs)[0]
            elif self.has_labels:
                outputs = sigmoid_forward(outputs)[0]
            for (name, _), each in zip(batch, to_numpy(outputs), strict=True):
                if not np.isfinite(each).all():
                    raise _not_finite("predict", name)
                yield name, each

    def answer(self, name: str, numbers: NDArray, most: int | None = None) -> Answer:
        """The answer that the outputs of one image are.

        Raises
            OptionError : the network has outputs for each place of an image
        """
        if numbers.ndim != 1:
            got = f"outputs (N, {', '.join(map(str, numbers.shape))})"
            remedy = "saved.masks gives a class for each pixel, and saved.outputs the numbers"
            raise OptionError("predict", "a network with outputs (N, K)", got, remedy)
        ranked = self.kind_of_outputs != "values"
        best = np.argsort(-numbers, kind="stable")[:most].tolist() if ranked else range(len(numbers))
        label = self.classes.__getitem__ if self.classes else str
        return Answer(name, tuple((label(i), float(numbers[i])) for i in best))


def _not_finite(who: str, name: str) -> NonFiniteError:
    return NonFiniteError(who, f"finite numbers for {name}", "NaN or infinity", "train again with a lower rate")


def load(path: str | os.PathLike[str]) -> Saved:
    """The network of a run, or of a model file, ready to answer. Untrusted files are safe to open.

    Parameters
        path : the folder of a run, or a model.safetensors
    Raises
        FormatError : the file is no model file, is damaged, or was made by a newer xpcnn
        FileError : it is missing or cannot be read

    >>> import tempfile
    >>> from xpcnn import io, models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = models.lenet5((12, 12, 1), 3, rng=0)
    ...     io.save_model(model, f"{folder}/m.safetensors", input_shape=(12, 12, 1), classes=["a", "b", "c"])
    ...     saved = load(f"{folder}/m.safetensors")
    >>> image = np.full((12, 12), 255, np.uint8)
    >>> answer, = saved.predict(image)
    >>> answer.label in saved.classes, round(sum(probability for _, probability in answer.scores), 4)
    (True, 1.0)
    >>> saved.features([image, image], layer="4").shape
    (2, 2, 2, 16)
    """
    found = load_model(model_path(as_path("load", path)))
    return Saved(found.model, found.input_shape, found.classes, found.extra)


def files(path: Path, **table: Any) -> list[Path]:
    """The file, or for a folder the pictures in it, or for a table those that it names.

    Parameters
        table : image, folder, ending and encoding, see `data.picture_table`
    Raises
        DataError : there are none in the folder;  FileError : it cannot be read
    """
    if not path.is_dir():
        encoding = table.get("encoding", "utf-8")
        named = is_table(path) and path.is_file() and (table or is_of_pictures(path, encoding))
        return table_pictures(path, **table) if named else [path]
    found, others = find_pictures(path)
    say_passed_over(str(path), others)
    if not found:
        raise DataError("predict", f"pictures in {path}", "none")
    return found


def check_one_input(who: str, saved: SavedModel) -> None:
    """Refuse a network of several inputs or outputs.

    Raises
        OptionError
    """
    model = saved.model
    several = [model.arity != (1, 1) and "inputs", len(getattr(model, "outputs", ())) > 1 and "outputs"]
    if found := [each for each in several if each]:
        remedy = "in Python, xpcnn.load(path).model takes and gives several arrays, as tuples"
        raise OptionError(who, "a network of one input and one output", f"several {found[0]}", remedy)
