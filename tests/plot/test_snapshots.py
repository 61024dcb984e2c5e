"""Each picture's texts, images, lines and axes, with their places, sizes and colours, are those of the snapshot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from xpcnn import plot
from xpcnn.data import Split
from xpcnn.nn import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from xpcnn.training.history import Epoch

from ..snapshot import assert_same

NAN = float("nan")


def network(channels=1):
    model = Sequential(Conv2d(channels, 4, 3, padding=1, rng=0), ReLU(), GlobalAvgPool2d(), Linear(4, 3, rng=1))
    model[0].weight[...] = np.linspace(-1, 1, model[0].weight.size).reshape(model[0].weight.shape)
    model[3].weight[...] = np.linspace(1, -2, 12).reshape(3, 4)
    return model


def pixels(*shape):
    return (np.arange(np.prod(shape)) % 11 / 10).reshape(shape).astype("float32")


def most_wrong():
    model = Sequential(Flatten(), Linear(3, 3, rng=0))
    model[1].weight[...] = 10 * np.eye(3)
    images = np.array([[0, 1, 0], [1, 0, 0], [0, 0.5, 0.4], [0.9, 1, 0], [0.2, 0.2, 0.2]], "float32")
    split = Split(images.reshape(5, 1, 1, 3), np.array([1, 2, 1, 0, 0]))
    return plot.most_wrong(model, split, classes=["cat", "dog", "a very long name of a class"], n=4)


def sweep(suggestion):
    rates, losses = np.geomspace(1e-4, 1, 5), np.array([2.0, 1.5, 1.0, 3.0, NAN])
    return plot.learning_rates(SimpleNamespace(rates=rates, losses=losses, smoothed=losses, suggestion=suggestion))


EPOCHS = [Epoch(1, 0.1, 2.0, 0.3, 1.8, 0.4, 5.0), Epoch(2, 0.1, 1.0, 0.7, 1.1, 0.6, 5.0)]
PICTURES = {
    "batch": lambda: plot.batch(pixels(7, 4, 6, 3), np.arange(7), classes=["cat", "dog"]),
    "batch of other numbers": lambda: plot.batch(3 * pixels(2, 4, 6, 2), np.array([0.5, -1.25])),
    "confusion": lambda: plot.confusion([[8, 2, 0], [0, 0, 0], [1, 0, 30]], classes=["cat", "a longer name", "cow"]),
    "confusion of many": lambda: plot.confusion(np.eye(101, dtype=int)),
    "curves": lambda: plot.curves(EPOCHS),
    "curves of NaN": lambda: plot.curves([Epoch(1, 0.1, NAN, NAN, NAN, NAN, 5.0)]),
    "learning rates": lambda: sweep(0.01),
    "learning rates without suggestion": lambda: sweep(None),
    "filters": lambda: plot.filters(network()),
    "filters of colours": lambda: plot.filters(network(3)),
    "filters of many channels": lambda: plot.filters(network(20)),
    "feature maps": lambda: plot.feature_maps(network(), pixels(3, 7, 1)),
    "feature maps after ReLU": lambda: plot.feature_maps(network(), pixels(3, 7, 1), "1"),
    "outputs": lambda: plot.feature_maps(network(), pixels(3, 7, 1), "3"),
    "outputs, many": lambda: plot.feature_maps(Sequential(Flatten(), Linear(1, 130, rng=0)), pixels(1, 1, 1), 1),
    "saliency": lambda: plot.saliency(network(3), pixels(5, 4, 3), 1, classes=["cat", "dog", "cow"]),
    "grad-cam": lambda: plot.grad_cam(network(2), 2 * pixels(5, 4, 2), 0),
    "most wrong": most_wrong,
}


def rounded(value):
    if isinstance(value, str) or value is None:
        return value
    return np.round(np.asarray(value, float), 3).tolist()


def words(text):
    place = "" if text.get_rotation() == 0 else f" turned {text.get_rotation():g}"
    at = f"{text.get_ha()} {text.get_va()}{place}"
    return f"{text.get_text()!r} {text.get_fontsize():.3g} {text.get_color()} {at} math {text.get_parse_math()}"


def look(figure):
    arranged = figure.get_layout_engine() is not None
    yield f"  {rounded(figure.get_size_inches())} inches, {figure.dpi:g} dpi"
    yield from (f"  {words(text)} at {rounded(text.get_position()) if not arranged else '…'}" for text in figure.texts)
    above, bars = 1.0, [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    if bars:
        figure.draw_without_rendering()
    for axes in figure.axes:
        height, width = axes.bbox.height, axes.bbox.width
        if axes in bars:
            yield f"  colours: {height / above:.1f} of the height, {height / width:.0f} times the width"
        else:
            above = height
            yield (
                "  axes"
                + ("" if axes.axison else ", bare")
                + ("" if arranged else f" {rounded(axes.get_position().bounds)}")
            )
        yield from (
            f"    {words(text)}" for text in (axes.title, axes.xaxis.label, axes.yaxis.label) if text.get_text()
        )
        yield f"    {axes.get_xscale()}, x {rounded(axes.get_xlim())}, y {rounded(axes.get_ylim())}"
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                kind = type(axis.get_major_locator()).__name__
                ticks = [words(each) for each in axis.get_ticklabels()] if kind == "FixedLocator" else []
                grid = [(each.get_visible(), each.get_alpha()) for each in axis.get_gridlines()[:1]]
                yield f"    ticks of {kind}: {'; '.join(ticks[:2])} … of {len(ticks)}"
                yield f"    grid {grid}, ground {rounded(axes.get_facecolor())}"
        for image in axes.images:
            shape = image.get_array().shape
            yield f"    image {shape} {image.get_cmap().name} {rounded(image.get_clim())} {image.get_interpolation()}"
        for line in axes.lines:
            style = f"{line.get_linestyle()} {line.get_linewidth():g} {line.get_marker()} {line.get_markersize():g}"
            label = "" if line.get_label().startswith("_") else line.get_label()
            yield f"    line {label} {style} {line.get_color()} {line.get_alpha()} {rounded(line.get_xdata())}"
        for patch in axes.patches[:1]:
            yield f"    {len(axes.patches)} bars {rounded(patch.get_bbox().bounds)} {rounded(patch.get_facecolor())}"
        yield from (f"    {words(text)} at {rounded(text.get_position())}" for text in axes.texts)
        if legend := axes.get_legend():
            yield f"    legend {legend._loc}: {[text.get_text() for text in legend.get_texts()]}"


def test_how_each_picture_looks():
    said = []
    for name, make in PICTURES.items():
        said += [name, *look(make())]
    assert_same(Path(__file__).parent / "snapshots" / "pictures.txt", said)
