"""How filters and features came to be: those of several epochs, one after another, for one image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

import numpy as np

from ..backend import asarray, to_numpy
from ..errors import OptionError
from ..nn import Conv2d, Layer
from ..nn.hooks import Hooks, leaf_layers, with_hooks
from ..ops.softmax import softmax_forward
from ..plot.mosaic import square, tiles
from ..typing import Array, NDArray
from .picture import heat

MOST_LAYERS, MOST_MAPS, MOST_EPOCHS, MOST_PIXELS = 4, 32, 32, 240


class _Outputs(Hooks):
    def __init__(self) -> None:
        self.outputs: dict[str, NDArray] = {}

    def infer(self, name: str, layer: Layer, x: Array) -> Array:
        y = super().infer(name, layer, x)
        if isinstance(layer, Conv2d):
            self.outputs[name] = to_numpy(y)[0]
        return y


def epochs(models: Mapping[int, Layer], image: NDArray, classes: Iterable[str] = ()) -> str:
    """HTML with a slider over the models: the filters of their convolutions, and what these make of the image.

    Parameters
        models : by epoch; 0 is untrained. Of more than 32, some are left out, evenly
        image : (H, W, C)
        classes : names of the network's outputs
    Raises
        OptionError : fewer than two models, or none with a convolution
    """
    if len(models) < 2:
        raise OptionError("epochs", "models of two epochs or more", str(len(models)), "xpcnn train … --keep-every 1")
    chosen = np.unique(np.linspace(0, len(models) - 1, MOST_EPOCHS).round().astype(int))
    numbers = [sorted(models)[k] for k in chosen]
    pictures = {number: _maps(models[number], image) for number in numbers}
    titles = list(pictures[numbers[0]])
    if not titles:
        raise OptionError("epochs", "a network with a Conv2d", "none")
    sizes = {title: max(float(np.nanmax(np.abs(each[title]))) for each in pictures.values()) for title in titles}
    names, frames = tuple(classes), ""
    for number in numbers:
        figures = ""
        for title in titles:
            values = pictures[number][title]
            scale = max(1, 200 // max(values.shape))
            source = heat(values, sizes[title], MOST_PIXELS)
            figures += (
                f"<figure><figcaption>{escape(title)}</figcaption>"
                f'<img alt="" src="{source}" width="{values.shape[1] * scale}"></figure>'
            )
        said = _says(models[number], image, names)
        frames += f'<div class="epoch"><p><b>Epoch {number}</b>{escape(said)}</p>{figures}</div>\n'
    left_out = f" {len(models) - len(numbers)} epochs between them are left out." if len(models) > len(numbers) else ""
    return f"""<section class="epochs" id="epochs"><h2 class="part">How it came to be</h2>
<p>Filters, and what they make of this image, after epoch {numbers[0]} to {numbers[-1]}; each picture has one scale for
all of them.{left_out}</p>
<label>epoch <input type="range" min="0" max="{len(numbers) - 1}" value="{len(numbers) - 1}"></label>
{frames}</section>"""


def _maps(model: Layer, image: NDArray) -> dict[str, NDArray]:
    outputs, made = _Outputs(), {}
    with_hooks(model, outputs)(asarray(image[None]))
    for name, layer in [*leaf_layers(model, Conv2d).items()][:MOST_LAYERS]:
        w = to_numpy(layer.parameters()["weight"])[:MOST_MAPS]  # (F, KH, KW, C)
        one = w.shape[3] == 1
        kernels = w[..., 0] if one else np.moveaxis(w[:16, ..., :16], 3, 1).reshape(-1, *w.shape[1:3])
        columns = square(len(kernels)) if one else min(w.shape[3], 16)
        made[f"{name} filters" + ("" if one else ": a row each, a column an input")] = tiles(kernels, columns)
        if name in outputs.outputs:
            maps = np.moveaxis(outputs.outputs[name], 2, 0)[:MOST_MAPS]
            made[f"{name} features"] = tiles(maps, square(len(maps)))
    return made


def _says(model: Layer, image: NDArray, names: tuple[str, ...]) -> str:
    """The most probable class, if the output has one number a class."""
    y = model(asarray(image[None]))
    if y.ndim != 2:
        return ""
    p = to_numpy(softmax_forward(y)[0])[0]
    best = int(p.argmax())
    return f": the network says {names[best] if best < len(names) else best} with {p[best]:.4g}"
