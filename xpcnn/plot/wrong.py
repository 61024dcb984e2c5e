"""The images that a classifier gets most wrong.

The measure is the loss of each image: with p the probabilities of the classes and c the label,

    L[n] = −log p[n, c_n]                      (1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..backend import array_namespace, to_numpy
from ..data.loader import Loader, images_at_once
from ..data.split import Split
from ..errors import DataError, NonFiniteError, OptionError, ShapeError
from ..nn.layer import Layer, check_layer
from ..ops.one_hot import one_hot
from ..ops.softmax import log_softmax_forward
from ..options import as_count, as_names
from ..table import Table, Tabular, columns
from ..typing import NDArray
from .batch import pictures
from .figure import as_images, class_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class TopLosses(Tabular):
    """Images in order of decreasing loss, as NumPy arrays of equal length.

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> print(str(top_losses(model, digits().test.take(20), 3)).splitlines()[0])
    Image    Loss  True  Predicted  Probability
    """

    index: NDArray  # in the split
    loss: NDArray
    true: NDArray  # the label
    predicted: NDArray  # the class with the highest score
    probability: NDArray  # of the predicted class, by the model

    def table(self) -> Table:
        """One row an image."""
        header = ("Image", "Loss", "True", "Predicted", "Probability")
        rows = zip(*(each.tolist() for each in vars(self).values()), strict=True)
        body = [(str(i), f"{loss:.4f}", str(true), str(said), f"{p:.1%}") for i, loss, true, said, p in rows]
        return columns(header, body)


def top_losses(model: Layer, split: Split, n: int, *, batch_size: int | None = None) -> TopLosses:
    """The n images with the highest loss, (1), in inference; all if there are fewer.

    Parameters
        model : returns logits (N, K)
        split : images with classes as labels
        batch_size : images at a time; None chooses at most 256, and fewer if images are large
    Raises
        DataError : a label is no class, or the model has no output for it
        NonFiniteError : the model returns NaN or infinity
        OptionError, ShapeError

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> worst = top_losses(model, digits().test.take(20), 3)
    >>> len(worst.index), bool(worst.loss[0] >= worst.loss[1])
    (3, True)
    """
    who = "top_losses"
    check_layer(who, model)
    as_count(who, "n", n)
    if not isinstance(split, Split):
        raise OptionError(who, "a Split, such as digits().test", type(split).__name__)
    if not split.has_classes:
        raise DataError(who, "labels that are classes", "the targets of a regression")
    rows = []
    with np.errstate(over="ignore", invalid="ignore"):  # the results are checked
        for x, y in Loader(split, images_at_once(split.input_shape) if batch_size is None else batch_size).epoch(0):
            logits = model(x)
            if logits.ndim != 2:
                raise ShapeError(who, "a classifier, whose output is (N, K)", str(tuple(logits.shape)))
            if split.highest_class >= logits.shape[1]:
                expected = f"labels below {logits.shape[1]}, as the model has outputs"
                raise DataError(who, expected, str(split.highest_class))
            xp = array_namespace(logits)
            log_p, _ = log_softmax_forward(logits)  # (N, K)
            chosen = xp.astype(one_hot(who, y, logits), xp.bool)  # (N, K)
            loss = -xp.sum(xp.where(chosen, log_p, xp.zeros_like(log_p)), axis=1)  # (N,)  (1)
            predicted = xp.argmax(logits, axis=1)  # (N,)
            rows.append([to_numpy(each) for each in (loss, predicted, xp.exp(xp.max(log_p, axis=1)))])
    loss, predicted, probability = (np.concatenate(column) for column in zip(*rows, strict=True))
    if not (np.isfinite(loss).all() and np.isfinite(probability).all()):
        raise NonFiniteError(who, "finite scores", "NaN or infinity", "train again with a lower learning rate")
    index = np.argsort(-loss, kind="stable")[:n]
    return TopLosses(index, loss[index], split.labels[index], predicted[index], probability[index])


def most_wrong(
    model: Layer, split: Split, *, classes: Sequence[str] = (), n: int = 25, batch_size: int | None = None
) -> Figure:
    """The images with the highest loss, each with its true class, the predicted class, and the latter's probability.

    Parameters
        model : returns logits (N, K)
        split : images with classes as labels
        classes : names of the classes
        n : the most images to show
        batch_size : as in `top_losses`
    Raises
        as in `top_losses`;  MissingExtraError

    >>> from xpcnn.data import digits
    >>> from xpcnn.models import mnist_cnn
    >>> model = mnist_cnn((8, 8, 1), 10, rng=0)
    >>> len(most_wrong(model, digits().test.take(20), n=4).axes) >= 4
    True
    """
    classes = as_names("most_wrong", "classes", classes)
    found = top_losses(model, split, n, batch_size=batch_size)
    pixels, note = as_images("most_wrong", split.batch(found.index)[0])
    captions = [
        f"{class_name(true, classes)}\n→ {class_name(predicted, classes, 12)}, {_percent(probability)}"
        for true, predicted, probability in zip(
            found.true.tolist(), found.predicted.tolist(), found.probability.tolist(), strict=True
        )
    ]
    wrong = (found.true != found.predicted).tolist()
    title = f"Highest loss: {len(captions)} of {len(split)} images, {sum(wrong)} of them wrong"
    key = "true class → predicted, and how sure the model is; dark red: wrong"
    return pictures(pixels, captions, title, key, note, wrong)


def _percent(probability: float) -> str:
    return f"{probability:.0%}" if probability < 0.995 else "> 99%"
