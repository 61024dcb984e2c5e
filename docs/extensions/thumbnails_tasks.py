"""The pictures of the how-to pages on data, tasks and exchange; see `thumbnails`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from thumbnails import BLUE, GREEN, GREY, ORANGE, PALE, RED, arrow, box, images, plain, rounded

from xpcnn import data, models, optim, training


def own_images(figure: Any) -> None:
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[:24, :24]
    found = []
    for number in range(12):
        distance = np.hypot(rows - rng.uniform(9, 15), columns - rng.uniform(9, 15))
        shape = (distance < 8) & ~(bool(number % 2) & (distance < 5))
        colour = np.array([0.9, 0.5, 0.1]) if number % 2 else np.array([0.2, 0.5, 0.8])
        found.append(np.where(shape[..., None], colour, 0.15) + rng.normal(0, 0.03, (24, 24, 1)))
    images(figure, np.clip(found, 0, 1), 3)


def data_sets(figure: Any) -> None:
    images(figure, data.digits().train.images[:28], 4, cmap="gray_r")


def larger_than_memory(figure: Any) -> None:
    axes = plain(figure)
    for number in range(24):
        x, y = 0.5 + number % 6 * 0.95, 5.6 - number // 6 * 1.4
        axes.add_patch(rounded(x, y, 0.7, 0.9, ORANGE if number in (3, 10, 13, 22) else PALE))
    arrow(axes, (6.3, 3.5), (7.4, 3.5))
    for number in range(4):
        axes.add_patch(rounded(7.7, 5.2 - number * 1.15, 1.6, 0.8, ORANGE))
    axes.text(8.5, 0.7, "a batch", ha="center", fontsize=11)
    axes.text(3.2, 0.7, "files on the disk", ha="center", fontsize=11)


def masks(figure: Any) -> None:
    rows, columns = np.mgrid[:48, :48]
    mask = np.zeros((48, 48), int)
    mask[np.hypot(rows - 18, columns - 18) < 12] = 1
    mask[26:42, 26:44] = 2
    noise = np.random.default_rng(0).normal(0, 0.04, (48, 48, 1))
    colours = np.array([[0.25, 0.3, 0.35], [0.85, 0.55, 0.2], [0.3, 0.6, 0.4]])
    images(
        figure, [np.clip(colours[mask] + noise, 0, 1), np.array([[0, 0, 0], [0.9, 0.2, 0.2], [0.2, 0.4, 0.9]])[mask]], 1
    )


def several_labels(figure: Any) -> None:
    axes = plain(figure)
    for row, answers in enumerate(((1, 0, 1), (0, 0, 1), (1, 1, 1), (0, 0, 0))):
        y = 5.9 - row * 1.5
        axes.add_patch(rounded(0.6, y - 0.5, 2.6, 1.0, PALE))
        for number, (answer, colour) in enumerate(zip(answers, (RED, GREEN, BLUE), strict=True)):
            if answer:
                axes.add_patch(rounded(0.8 + number * 0.8, y - 0.25, 0.45, 0.45, colour))
            axes.text(
                5 + number * 1.8,
                y,
                "yes" if answer else "no",
                ha="center",
                va="center",
                color=colour if answer else GREY,
            )


def denoise(figure: Any) -> None:
    clean = data.digits().train.images[:4, :, :, 0] / 255
    noisy = clean + np.random.default_rng(0).normal(0, 0.3, clean.shape)
    images(figure, [*noisy, *clean], 2)


def two_inputs(figure: Any) -> None:
    axes = plain(figure)
    inner = figure.add_axes((0.05, 0.55, 0.2, 0.32))
    inner.imshow(data.digits().train.images[0, :, :, 0], cmap="gray")
    inner.axis("off")
    axes.text(1.5, 1.8, "1", ha="center", va="center", fontsize=22)
    box(axes, 5.6, 3.5, "network", BLUE, 2.6)
    arrow(axes, (2.7, 4.9), (4.2, 3.9))
    arrow(axes, (2.2, 1.9), (4.2, 3.1))
    arrow(axes, (7.0, 3.5), (8.6, 3.5))
    axes.text(9.0, 3.5, "yes", ha="center", va="center", fontsize=14, color=GREEN)


def saving(figure: Any) -> None:
    axes = plain(figure)
    parts = (("header", 1.8, GREY), ("0.weight", 3.4, BLUE), ("0.bias", 1.2, GREEN), ("4.weight", 2.6, ORANGE))
    x = 0.5
    for name, width, colour in parts:
        axes.add_patch(rounded(x, 2.8, width - 0.15, 1.6, colour))
        axes.text(x + width / 2, 2.3, name, ha="center", va="top", fontsize=9, rotation=30)
        x += width
    axes.text(5, 5.5, "model.safetensors", ha="center", fontsize=13, family="monospace")


def exchange(figure: Any) -> None:
    axes = plain(figure)
    box(axes, 5, 3.5, "xpcnn", BLUE)
    for x, y, name in ((1.8, 5.8, "PyTorch"), (8.2, 5.8, "Keras"), (1.8, 1.2, "ONNX"), (8.2, 1.2, "MLX")):
        box(axes, x, y, name, GREY)
        arrow(
            axes,
            (x + (1.0 if x < 5 else -1.0), y + (-0.7 if y > 3 else 0.7)),
            (4 if x < 5 else 6, 4.2 if y > 3 else 2.8),
        )


def real_network(figure: Any) -> None:
    facts = [
        (name, models.facts_of(name).parameters / 1e6)
        for name in ("squeezenet1_1", "mobilenet_v2", "densenet121", "resnet18", "resnet50", "convnext_tiny")
    ]
    axes = figure.add_subplot()
    axes.barh([name for name, _ in facts], [size for _, size in facts], color=BLUE)
    axes.tick_params(axis="y", labelsize=8)
    axes.set(xlabel="million parameters")
    figure.subplots_adjust(left=0.34, bottom=0.2)


def estimator(figure: Any) -> None:
    digits, rates, epochs = data.digits(), (0.01, 0.1, 1.0), (1, 3, 9)
    score = np.empty((3, 3))
    for row, column in np.ndindex(3, 3):
        model = models.mlp(digits.input_shape, 10, rng=0)
        trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=rates[column]), verbose=False)
        trainer.fit(data.Loader(digits.train.take(600), 32, shuffle=True, seed=0), epochs=epochs[row])
        score[row, column] = trainer.evaluate(digits.test).accuracy
    axes = figure.add_subplot()
    axes.imshow(score, cmap="Blues", vmin=0, vmax=1.2)
    for (row, column), value in np.ndenumerate(score):
        axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=11)
    axes.set(xticks=range(3), xticklabels=rates, yticks=range(3), yticklabels=epochs, xlabel="lr", ylabel="epochs")


def compiled_loops(figure: Any) -> None:
    axes = plain(figure)
    for y, passes, name in ((5.2, 3, "NumPy: a pass for each function"), (1.9, 1, "compiled: one pass")):
        axes.add_patch(rounded(0.6, y - 0.35, 8.8, 0.7, PALE))
        axes.text(5, y - 1.0, name, ha="center", fontsize=10)
        for number in range(passes):
            height = y + 0.75 + 0.35 * number
            arrow(axes, (0.7, height), (9.3, height), ORANGE if passes > 1 else GREEN)


def service(figure: Any) -> None:
    axes = plain(figure)
    box(axes, 7.6, 3.5, "network", BLUE, 2.6, 2.2)
    for y, answer in ((5.8, "cat 97%"), (3.5, "dog 91%"), (1.2, "cat 88%")):
        axes.add_patch(rounded(0.6, y - 0.5, 1.1, 1.0, PALE))
        arrow(axes, (2.0, y + 0.2), (6.1, 3.5 + (y - 3.5) * 0.3 + 0.15), GREY)
        axes.text(0.6, y - 0.95, answer, fontsize=9, color=GREEN)


def network_as_program(figure: Any) -> None:
    axes = plain(figure)
    box(axes, 2.1, 3.5, "network", BLUE, 2.6)
    arrow(axes, (3.7, 3.5), (5.3, 3.5))
    axes.add_patch(rounded(5.6, 1.2, 3.6, 4.6, PALE))
    for number, line in enumerate(("def network(x):", "    y = conv(x, w)", "    y = relu(y)", "    return y")):
        axes.text(5.8, 5.1 - number * 0.95, line, family="monospace", fontsize=7, va="center")


PICTURES: dict[str, Callable[[Any], None]] = {
    each.__name__: each
    for each in (
        own_images,
        data_sets,
        larger_than_memory,
        masks,
        several_labels,
        denoise,
        two_inputs,
        saving,
        exchange,
        network_as_program,
        service,
        real_network,
        estimator,
        compiled_loops,
    )
}
