"""Layers of sequences (N, L, C): each is a layer of images of height 1, (N, 1, L, C).

Its formulas are those of images with one row. A convolution (`xpcnn.ops.conv`), where i and u are always 0, is

    y[n,j,f] = b[f] + Σ_{v,c} x̂[n, j·S + v·D, c] · w[f,v,c]

So nothing is computed in a second way.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar, TypeAlias

from ..backend import array_namespace
from ..errors import XpcnnError
from ..ops.check import check_batch, check_gradient
from ..options import as_count, as_pair
from ..typing import Array, Cache, Shape
from .layer import Layer

Sides: TypeAlias = str | int | tuple[int, int]  # a number for both ends, (before, after), "same" or "valid"

# Words of images in errors, and those of sequences.
_WORDS = {
    "larger images": "longer sequences",
    "of images": "of sequences",
    "the image": "the sequence",
    "an image": "a sequence",
    "width": "length",
    "1 × ": "",
    "1×": "",
}


def with_height(x: Array) -> Array:
    """Sequences (N, L, C) as images (N, 1, L, C), and a kernel (F, K, C) as (F, 1, K, C); all else as it is."""
    return array_namespace(x).reshape(x, (x.shape[0], 1, *x.shape[1:])) if x.ndim == 3 else x


def without_height(x: Array) -> Array:
    """The reverse of `with_height`."""
    return array_namespace(x).reshape(x, (x.shape[0], *x.shape[2:])) if x.ndim == 4 else x


class SequenceLayer(Layer):
    """Base class of layers of sequences. A subclass makes its layer of images by `_start`."""

    images: ClassVar[type[Layer]]  # the class of that layer

    def _start(self, *args: Any, **options: Any) -> None:
        """Make the layer of images, and take over its parameters."""
        made: Any = self._call(self.images, *args, **options)
        for name in self.parameter_names:
            array = getattr(made, name)
            setattr(self, name, None if array is None else without_height(array))
            setattr(made, name, None)
        self._of_images = made

    def of_images(self) -> Any:
        """The layer of images; its arrays are this layer's, seen with a height."""
        made = copy(self._of_images)
        for name in self.parameter_names:
            array = getattr(self, name)
            setattr(made, name, None if array is None else with_height(array))
        return made

    def children(self) -> dict[str, Layer]:
        return {}  # the layer of images is this one

    def __call__(self, x: Array) -> Array:
        self._check(x)
        return without_height(self._call(self.of_images(), with_height(x)))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        self._check(x)
        layer = self.of_images()
        y, cache = self._call(layer.forward, with_height(x))
        y = without_height(y)
        return y, (layer, cache, tuple(y.shape))

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, dict[str, Array]]:
        layer, cache, shape = cache
        check_gradient(type(self).__name__, dy, shape)
        dx, grads = self._call(layer.backward, with_height(dy), cache, input_grad=input_grad)
        return None if dx is None else without_height(dx), {name: without_height(each) for name, each in grads.items()}

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return self._of_images.multiply_adds((1, *input_shape), (1, *output_shape))  # type: ignore[no-any-return]

    def _check(self, x: Array) -> None:
        check_batch(type(self).__name__, x, "L", "C")

    def _call(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Return the call's result; an error of the layer of images becomes one of this layer, in its words."""
        try:
            return call(*args, **options)
        except XpcnnError as error:
            error.who = error.who.replace(self.images.__name__, type(self).__name__)
            for part in ("who", "expected", "got", "remedy"):
                said = getattr(error, part)
                for word, own in _WORDS.items():
                    said = said.replace(word, own)
                setattr(error, part, said)
            raise


class WindowLayer(SequenceLayer):
    """Base class of layers with a window over sequences."""

    def _window(self, kernel_size: int, stride: int, padding: Sides, dilation: int = 1) -> dict[str, Any]:
        """Check the window's options and keep them; return those of a window over images."""
        who = type(self).__name__
        self.kernel_size, self.stride = as_count(who, "kernel_size", kernel_size), as_count(who, "stride", stride)
        self.padding, self.dilation = padding, as_count(who, "dilation", dilation)
        return {
            "kernel_size": (1, self.kernel_size),
            "stride": (1, self.stride),
            "padding": padding if isinstance(padding, str) else (0, 0, *as_pair(who, "padding", padding, least=0)),
            "dilation": (1, self.dilation),
        }


def as_images(layer: Layer) -> Any:
    """The layer of images that a layer of sequences is; any other layer itself."""
    return layer.of_images() if isinstance(layer, SequenceLayer) else layer
