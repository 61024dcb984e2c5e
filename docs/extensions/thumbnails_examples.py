"""The pictures of the examples that draw none themselves; see `thumbnails`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from thumbnails import BLUE, GREEN, GREY, ORANGE, PALE, RED, arrow, box, numbers, plain

import xpcnn
from xpcnn import data, models, nn, ops, optim


def explicit_loop(figure: Any) -> None:
    axes = plain(figure)
    steps = (("forward", BLUE), ("loss", GREY), ("backward", ORANGE), ("step", GREEN))
    places = ((2.4, 5.3), (7.6, 5.3), (7.6, 1.7), (2.4, 1.7))
    for (name, colour), (x, y) in zip(steps, places, strict=True):
        box(axes, x, y, name, colour, 2.6)
    for start, end in (((4, 5.3), (6, 5.3)), ((7.6, 4.5), (7.6, 2.5)), ((6, 1.7), (4, 1.7)), ((2.4, 2.5), (2.4, 4.5))):
        arrow(axes, start, end)


def fully_connected_mnist(figure: Any) -> None:
    axes = plain(figure)
    layers = [
        [(x, 3.5 + (number - (count - 1) / 2) * 0.85) for number in range(count)]
        for x, count in ((1.5, 7), (5, 5), (8.5, 4))
    ]
    for left, right in pairwise(layers):
        for a in left:
            for b in right:
                axes.plot(*zip(a, b, strict=True), color=PALE, lw=0.8, zorder=1)
    for layer, colour in zip(layers, (GREY, BLUE, ORANGE), strict=True):
        axes.plot(*zip(*layer, strict=True), "o", color=colour, ms=9)


def gradient_accumulation(figure: Any) -> None:
    axes = plain(figure)
    for number in range(4):
        y = 5.9 - number * 1.6
        box(axes, 2, y, "16 images", BLUE, 2.8)
        arrow(axes, (3.6, y), (6.0, 3.5 + (y - 3.5) * 0.2))
    box(axes, 7.6, 3.5, "mean of\ngradients", GREEN, 2.6, 1.8)


def lenet5(figure: Any) -> None:
    axes = plain(figure)
    model, x = models.lenet5((28, 28, 1), 10, rng=0), 0.6
    shapes = [(28, 28, 1)]
    for layer in model.children().values():
        shapes.append(layer.output_shape(shapes[-1]))
    for shape in dict.fromkeys(shapes):
        image = len(shape) == 3
        height, width = (shape[0] / 6, 0.25 + shape[2] / 16) if image else (0.5 + np.log(shape[0]) / 2, 0.3)
        axes.add_patch(_rectangle(x, 3.5 - height / 2, width, height, BLUE if image else ORANGE))
        x += width + 0.35


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, edgecolor="white")


def linear_regression(figure: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (40, 1))
    y = 3 * x + 2 + rng.normal(0, 0.6, (40, 1))
    layer, criterion = nn.Linear(1, 1, rng=0).astype("float64"), nn.MSELoss()
    optimizer = optim.SGD(layer.parameters(), lr=0.2)
    axes = figure.add_subplot()
    axes.plot(x, y, "o", color=GREY, ms=4)
    ends = np.array([[-1.0], [1.0]])
    for step in range(40):
        if step in (0, 2, 6, 39):
            axes.plot(ends, layer(ends), color=ORANGE if step == 39 else BLUE, alpha=1 if step == 39 else 0.35)
        out, cache = layer.forward(x)
        _, loss_cache = criterion.forward(out, y)
        _, grads = layer.backward(criterion.backward(loss_cache), cache)
        optimizer.step(grads)
    axes.set(xticks=[], yticks=[])


def own_layer(figure: Any) -> None:
    report = xpcnn.gradcheck(nn.Scale(2), np.random.default_rng(0).normal(size=(2, 3, 3, 2)))
    axes = plain(figure)
    for number, row in enumerate(report.rows[:6]):
        axes.text(0.6, 6.2 - number, f"{row.argument:8}{row.witness}", family="monospace", fontsize=8, va="center")
        axes.text(
            9.5,
            6.2 - number,
            "ok" if row.passed else "—",
            color=GREEN,
            fontsize=11,
            va="center",
            ha="right",
            weight="bold",
        )


def own_optimizer(figure: Any) -> None:
    axes, place, mean = figure.add_subplot(), np.array([-3.0, 2.0]), np.zeros(2)
    grid_x, grid_y = np.meshgrid(np.linspace(-3.5, 1.5, 60), np.linspace(-1.5, 2.5, 60))
    axes.contour(grid_x, grid_y, grid_x**2 / 2 + grid_y**2, 10, colors=[PALE])
    path = [place]
    for _ in range(30):
        gradient = path[-1] * np.array([1.0, 2.0])
        path.append(path[-1] - 0.15 * np.sign(0.9 * mean + 0.1 * gradient))
        mean = 0.99 * mean + 0.01 * gradient
    axes.plot(*np.array(path).T, ".-", color=RED)
    axes.set(xticks=[], yticks=[])


def pytorch_weights(figure: Any) -> None:
    axes = plain(figure)
    box(axes, 2.1, 5, "PyTorch", GREY, 2.8)
    box(axes, 7.9, 5, "xpcnn", BLUE, 2.8)
    arrow(axes, (3.8, 5), (6.2, 5))
    axes.text(2.1, 2.6, "(Cout, Cin,\nKH, KW)", ha="center", fontsize=10, family="monospace")
    axes.text(7.9, 2.6, "(Cout, KH,\nKW, Cin)", ha="center", fontsize=10, family="monospace")


def resnet20(figure: Any) -> None:
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 8, 8, 8))
    for shortcut, colour, name in ((False, GREY, "plain"), (True, BLUE, "with shortcuts")):
        layers = [
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, weight_init="glorot_normal", rng=k), nn.ReLU())
            for k in range(20)
        ]
        layers = [(nn.Residual(each) if shortcut else each).astype("float64") for each in layers]
        y, caches, sizes = x, [], []
        for layer in layers:
            y, cache = layer.forward(y)
            caches.append(cache)
        dy = np.ones_like(y) / np.linalg.norm(np.ones_like(y))
        for layer, cache in zip(reversed(layers), reversed(caches), strict=True):
            dy, _ = layer.backward(dy, cache)
            sizes.append(float(np.linalg.norm(dy)))
        axes.semilogy(range(20, 0, -1), np.array(sizes) / max(sizes[0], 1e-30), color=colour, label=name)
    axes.set(xlabel="layer", ylabel="size of gradient")
    axes.legend(frameon=False, fontsize=8)


def see_every_gradient(figure: Any) -> None:
    x, w = np.arange(16.0).reshape(1, 4, 4, 1), np.array([1.0, 0, -1, 2]).reshape(1, 2, 2, 1)
    y, cache = ops.conv2d_forward(x, w, window=ops.Window(2))
    dx, dw, _ = ops.conv2d_backward(np.ones_like(y), cache)
    numbers(figure.add_subplot(1, 3, 1), np.ones((3, 3)), "dy", np.ones((3, 3)) / 2)
    numbers(figure.add_subplot(1, 3, 2), dw[0, :, :, 0], "dw", np.eye(2))
    numbers(figure.add_subplot(1, 3, 3), dx[0, :, :, 0], "dx", np.abs(dx[0, :, :, 0]) / 2)


def sklearn_grid_search(figure: Any) -> None:
    axes = plain(figure)
    for row, column in np.ndindex(3, 5):
        held_out = column == row + 1
        axes.add_patch(_rectangle(1 + column * 1.6, 5 - row * 1.6, 1.45, 1.1, ORANGE if held_out else BLUE))
    axes.text(5, 0.7, "held out in turn", ha="center", fontsize=11, color=ORANGE)


def text_detector(figure: Any) -> None:
    axes = figure.add_axes((0, 0, 1, 1))
    page, digits = np.ones((56, 80)), data.digits().train
    for number in range(6):
        top, left = 6 + number // 3 * 26, 6 + number % 3 * 25
        page[top : top + 16, left : left + 16] = 1 - np.kron(digits.images[number, :, :, 0], np.ones((2, 2))) / 255
        axes.add_patch(_frame(left - 1.5, top - 1.5, 18, 18))
    axes.imshow(page, cmap="gray")
    axes.axis("off")


def _frame(x: float, y: float, width: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor=RED, lw=2)


def trainer(figure: Any) -> None:
    schedule = optim.WarmUp(optim.Cosine(0.1, total=100), steps=12)
    axes = figure.add_subplot()
    axes.plot([schedule.lr_at(step) for step in range(112)], color=GREEN, lw=2)
    for step in (28, 56, 84):
        axes.axvline(step, color=PALE)
        axes.plot(step, schedule.lr_at(step), "s", color=ORANGE, ms=8)
    axes.set(xlabel="step", ylabel="learning rate", xticks=[], yticks=[])


def vgg_cifar(figure: Any) -> None:
    axes, x = plain(figure), 0.5
    model = models.vgg_small((32, 32, 3), 10, rng=0)
    shape = (32, 32, 3)
    for layer in model.children().values():
        shape = layer.output_shape(shape)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            size = shape[0] / 6
            axes.add_patch(_rectangle(x, 3.5 - size / 2, 0.55, size, BLUE if isinstance(layer, nn.Conv2d) else ORANGE))
            x += 0.8


PICTURES: dict[str, Callable[[Any], None]] = {
    each.__name__: each
    for each in (
        explicit_loop, fully_connected_mnist, gradient_accumulation, lenet5, linear_regression, own_layer,
        own_optimizer, pytorch_weights, resnet20, see_every_gradient, sklearn_grid_search, text_detector, trainer,
        vgg_cifar,
    )
}  # fmt: skip
