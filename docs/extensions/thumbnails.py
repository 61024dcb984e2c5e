"""The picture of each example and how-to page in their galleries: a function that draws it, with the page's name.

It gets a figure of matplotlib. What can be computed is computed: curves are those of a short training, a gradient is
the layer's. A new page brings such a function. Those of data, tasks and exchange are in `thumbnails_tasks`, those of
examples in `thumbnails_examples`, all others here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xpcnn import data, models, nn, ops, optim, training

BLUE, ORANGE, GREEN, RED, GREY, PALE = "#2a6fbb", "#e07b1a", "#3a8f4d", "#c23b3b", "#888888", "#d9e4f2"


@cache
def trained() -> tuple[Any, Any, list[float]]:
    """A network trained on the digits for three epochs, its trainer's history, and the loss of each step."""
    digits, losses = data.digits(), []
    model = models.mnist_cnn(digits.input_shape, 10, rng=0)
    train, validation = digits.train.split(0.1, seed=0)
    trainer = training.Trainer(
        model,
        optim.Adam(model.parameters(), lr=0.003),
        on_step=[lambda trainer, step: losses.append(float(step.loss))],
        verbose=False,
    )
    history = trainer.fit(data.Loader(train, 32, shuffle=True, seed=0), validation, epochs=3)
    return model, history, losses


def plain(figure: Any) -> Any:
    """Axes over the whole figure, from 0 to 10 by 0 to 7, without a frame."""
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(0, 7))
    axes.axis("off")
    return axes


def box(axes: Any, x: float, y: float, text: str, colour: str = BLUE, width: float = 2.2, height: float = 1.1) -> None:
    axes.text(
        x, y, text, ha="center", va="center", fontsize=10, color="white", zorder=3,
    )  # fmt: skip
    axes.add_patch(rounded(x - width / 2, y - height / 2, width, height, colour))


def rounded(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.05", facecolor=colour, edgecolor="none")


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str = GREY, bend: float = 0) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, start, arrowprops=style)


def images(figure: Any, pictures: Any, rows: int, **options: Any) -> None:
    columns = len(pictures) // rows
    for number, picture in enumerate(pictures[: rows * columns], 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(np.squeeze(picture), cmap=options.get("cmap", "gray"))
        axes.axis("off")
    figure.subplots_adjust(0.03, 0.03, 0.97, 0.97, 0.08, 0.08)


def numbers(axes: Any, values: Any, title: str, marked: Any = None) -> None:
    """A small matrix with its numbers."""
    axes.imshow(np.zeros_like(values) if marked is None else marked, cmap="Blues", vmin=0, vmax=2)
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:g}", ha="center", va="center", fontsize=9)
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])


def training_(figure: Any) -> None:
    _, _, losses = trained()
    axes = figure.add_subplot()
    axes.plot(losses, color=PALE, lw=1)
    smooth = np.convolve(losses, np.ones(9) / 9, "valid")
    axes.plot(np.arange(len(smooth)) + 4, smooth, color=BLUE, lw=2)
    axes.set(xlabel="step", ylabel="loss")


def fine_tuning(figure: Any) -> None:
    axes = plain(figure)
    for number, kind in enumerate(("conv", "conv", "conv", "linear")):
        box(axes, 1.4 + number * 2.4, 3.8, kind, ORANGE if kind == "linear" else GREY, 1.9, 3.2 - 0.5 * number)
    axes.text(3.8, 1.2, "frozen", ha="center", color=GREY, fontsize=12)
    axes.text(8.6, 1.2, "trained", ha="center", color=ORANGE, fontsize=12)


def part_of_a_network(figure: Any) -> None:
    model, _, _ = trained()
    x = data.digits().test.images[3:4].astype("float32") / 255
    maps = nn.features(model, x, "1")[0]
    strongest = np.argsort(-maps.reshape(-1, maps.shape[-1]).sum(0))[:12]
    images(figure, [maps[..., each] for each in strongest], 3, cmap="viridis")


def graph(figure: Any) -> None:
    axes = plain(figure)
    box(axes, 1.4, 3.5, "x", GREY, 1.2)
    box(axes, 4.4, 5.4, "conv")
    box(axes, 4.4, 1.6, "pool", GREEN)
    box(axes, 7.2, 3.5, "add", ORANGE, 1.4)
    for start, end in (
        ((2.1, 3.8), (3.2, 5.3)),
        ((2.1, 3.2), (3.2, 1.7)),
        ((5.6, 5.3), (6.5, 3.9)),
        ((5.6, 1.7), (6.5, 3.1)),
    ):
        arrow(axes, start, end)
    arrow(axes, (8, 3.5), (9.6, 3.5))


def models_(figure: Any) -> None:
    axes = figure.add_subplot()
    facts = [
        (name, models.facts_of(name))
        for name in (
            "lenet5",
            "mnist_cnn",
            "resnet20",
            "squeezenet1_1",
            "mobilenet_v2",
            "resnet18",
            "resnet50",
            "vgg16",
        )
    ]
    axes.loglog([each.multiply_adds for _, each in facts], [each.parameters for _, each in facts], "o", color=BLUE)
    for name, each in facts:
        axes.annotate(
            name, (each.multiply_adds, each.parameters), fontsize=7, xytext=(3, 3), textcoords="offset points"
        )
    axes.set(xlabel="multiply-adds", ylabel="parameters", xlim=(1e5, 4e11))


def custom_layer(figure: Any) -> None:
    x = np.linspace(-5, 4, 200)
    y, cache = ops.silu_forward(x[:, None])
    slope = ops.silu_backward(np.ones_like(y), cache)
    axes = figure.add_subplot()
    axes.plot(x, y[:, 0], color=BLUE, label="forward")
    axes.plot(x, np.asarray(slope)[:, 0], color=ORANGE, label="backward")
    axes.legend(frameon=False)


def own_loss_and_optimizer(figure: Any) -> None:
    grid_x, grid_y = np.meshgrid(np.linspace(-3.5, 3.5, 80), np.linspace(-2.5, 2.5, 60))
    axes = figure.add_subplot()
    axes.contour(grid_x, grid_y, grid_x**2 / 2 + 4 * grid_y**2, 12, colors=[PALE])
    for make, colour in ((lambda p: optim.SGD(p, lr=0.2), BLUE), (lambda p: optim.Adam(p, lr=0.3), ORANGE)):
        p = {"p": np.array([-3.0, 2.0])}
        optimizer, path = make(p), [(-3.0, 2.0)]
        for _ in range(25):
            optimizer.step({"p": p["p"] * np.array([1.0, 8.0])})
            path.append(tuple(p["p"]))
        axes.plot(*np.array(path).T, ".-", color=colour)
    axes.set(xticks=[], yticks=[])


def learning_rate(figure: Any) -> None:
    digits = data.digits()
    model = models.mlp(digits.input_shape, 10, rng=0)
    found = training.lr_find(
        model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), data.Loader(digits.train, 32, seed=0)
    )
    axes = figure.add_subplot()
    axes.semilogx(found.rates, found.smoothed, color=BLUE)
    axes.axvline(found.suggestion, color=ORANGE)
    axes.set(xlabel="learning rate", ylabel="loss")


def resume(figure: Any) -> None:
    _, _, losses = trained()
    axes = figure.add_subplot()
    smooth, cut = np.convolve(losses, np.ones(9) / 9, "valid"), 50
    axes.plot(smooth[:cut], color=BLUE, lw=2)
    axes.plot(np.arange(cut, len(smooth)), smooth[cut:], color=GREEN, lw=2)
    axes.axvline(cut, color=RED, ls=":")
    axes.text(cut + 2, max(smooth) * 0.85, "stopped,\nand on again", color=RED, fontsize=9)
    axes.set(xticks=[], yticks=[])


def reproducibility(figure: Any) -> None:
    _, _, losses = trained()
    _, _, again = trained.__wrapped__()
    axes = figure.add_subplot()
    axes.plot(losses[:60], color=BLUE, lw=5, alpha=0.35, label="seed 0")
    axes.plot(again[:60], color=ORANGE, lw=1.2, label="seed 0, again")
    axes.legend(frameon=False)
    axes.set(xticks=[], yticks=[])


def nan(figure: Any) -> None:
    p, losses = {"p": np.array([1.0])}, []
    optimizer = optim.SGD(p, lr=2.3)
    for _ in range(12):
        losses.append(float(p["p"][0] ** 2 / 2))
        optimizer.step({"p": p["p"].copy()})
    axes = figure.add_subplot()
    axes.semilogy(losses, "o-", color=BLUE)
    axes.text(0.97, 0.9, "NaN", transform=axes.transAxes, ha="right", va="top", color=RED, fontsize=20, weight="bold")
    axes.set(xlabel="step", ylabel="loss")


def speed(figure: Any) -> None:
    model, _, _ = trained()
    (x, y), *_ = data.Loader(data.digits().train, 64)
    rows = [each for each in training.profile(model, x, y, repeats=3).layers if each.name]
    axes, places = figure.add_subplot(), np.arange(len(rows))
    axes.barh(places, [each.forward for each in rows], color=BLUE, label="forward")
    axes.barh(
        places, [each.backward for each in rows], left=[each.forward for each in rows], color=ORANGE, label="backward"
    )
    axes.set(yticks=places, yticklabels=[each.kind for each in rows], xlabel="ms")
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    figure.subplots_adjust(left=0.26)


def gpu(figure: Any) -> None:
    axes = plain(figure)
    for row in range(6):
        for column in range(9):
            axes.add_patch(
                rounded(0.8 + column * 0.95, 0.9 + row * 0.95, 0.65, 0.65, GREEN if (row + column) % 3 else PALE)
            )


def processes(figure: Any) -> None:
    axes = plain(figure)
    for number in range(4):
        x = 1.4 + number * 2.4
        box(axes, x, 1.3, f"rank {number}", BLUE, 1.9)
        arrow(axes, (x, 2), (2.6 if number < 2 else 7.4, 3.2))
    for x in (2.6, 7.4):
        box(axes, x, 3.8, "+", ORANGE, 1.0, 0.9)
        arrow(axes, (x, 4.4), (5, 5.4))
    box(axes, 5, 5.9, "Σ gradients", GREEN, 3, 0.9)


def pictures(figure: Any) -> None:
    model, _, _ = trained()
    confusion = training.evaluate(model, data.digits().test).confusion
    axes = figure.add_subplot()
    axes.imshow(np.log1p(confusion), cmap="Blues")
    axes.set(xlabel="predicted", ylabel="true", xticks=range(0, 10, 3), yticks=range(0, 10, 3))


def notebooks(figure: Any) -> None:
    axes = plain(figure)
    for y, text in ((5.6, "In [1]:  trainer.fit(loader, epochs=3)"), (1.0, "In [2]:  plot.curves(history)")):
        axes.add_patch(rounded(0.4, y - 0.45, 9.2, 0.9, PALE))
        axes.text(0.6, y, text, va="center", family="monospace", fontsize=8)
    _, _, losses = trained()
    inner = figure.add_axes((0.12, 0.27, 0.76, 0.42))
    inner.plot(np.convolve(losses, np.ones(9) / 9, "valid"), color=BLUE)
    inner.set(xticks=[], yticks=[])


def explain(figure: Any) -> None:
    x, w = np.arange(16.0).reshape(1, 4, 4, 1), np.array([1.0, 0, -1, 2]).reshape(1, 2, 2, 1)
    y, _ = ops.conv2d_forward(x, w, window=ops.Window(2))
    marked = np.zeros((4, 4))
    marked[1:3, 1:3] = 1
    numbers(figure.add_subplot(1, 3, 1), x[0, :, :, 0], "x", marked)
    numbers(figure.add_subplot(1, 3, 2), w[0, :, :, 0], "w", np.ones((2, 2)))
    numbers(figure.add_subplot(1, 3, 3), y[0, :, :, 0], "y", np.eye(3)[1][:, None] * np.eye(3)[1])


PICTURES: dict[str, Callable[[Any], None]] = {
    each.__name__.rstrip("_"): each
    for each in (
        training_, fine_tuning, part_of_a_network, graph, models_,
        custom_layer, own_loss_and_optimizer, learning_rate, resume, reproducibility, nan, speed, gpu, processes,
        pictures, notebooks, explain,
    )
}  # fmt: skip
