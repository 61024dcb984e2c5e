"""The ratios of a run as bars; PyTorch in its best mode is the line at 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import figures
from .errors import BenchError
from .figures import Spread

TICKS = (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100)
BARS = (("xpcnn", "xpcnn", "#2a6fbb"), ("xpcnn numba", "xpcnn with numba", "#e08a1e"))  # a peer, its name and colour
WIDTH = 0.38


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw the speed relative to PyTorch as bars with their spread, and ONNX Runtime's as marks.

    Raises
        BenchError : there is nothing to draw, or no matplotlib
    """
    try:
        import matplotlib

        matplotlib.use("agg")
        import matplotlib.pyplot as plt
        from matplotlib.ticker import NullLocator
    except ImportError:
        raise BenchError("a picture needs matplotlib: pip install matplotlib") from None
    panels = _panels(result)
    if not panels:
        raise BenchError("no ratios to PyTorch to draw")
    rows = [panels[i : i + 2] for i in range(0, len(panels), 2)]
    figure = plt.figure(figsize=(12, 3.2 * len(rows) + 0.7), layout="constrained", facecolor="white")
    for part, row in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        widths = [len(cases) + 1.5 for _, cases in row]
        all_axes = part.subplots(1, len(row), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axes, (title, cases) in zip(all_axes, row, strict=True):
            _panel(axes, title, cases)
        for axes in all_axes:
            least, most = axes.get_ylim()
            axes.set_yticks([tick for tick in TICKS if least <= tick <= most or 0.5 <= tick <= 2])
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
            axes.yaxis.set_minor_locator(NullLocator())
        least, most = all_axes[0].get_ylim()
        all_axes[0].set_ylim(least / 1.2, most * 1.2)  # space for the figures at the ends; the row shares the axis
        all_axes[0].set_ylabel("speed, PyTorch = 1", fontsize=8)
    marks: list[Any] = [plt.Rectangle((0, 0), 1, 1, color=color, label=name) for _, name, color in BARS]
    marks.append(plt.Line2D([], [], color="black", linewidth=1.2, label="PyTorch in its fastest mode"))
    if any("onnxruntime" in case["peers"] for case in result.get("inference", [])):
        marks.append(plt.Line2D([], [], color="#555555", linestyle="", marker="D", markersize=5, label="ONNX Runtime"))
    figure.legend(handles=marks, loc="outside upper center", fontsize=9, frameon=False, ncols=len(marks))
    about = result["machine"]
    caption = f"{about['cpu']}, {about['threads']} threads, {about['blas']}, {about['date'][:10]}"
    figure.supxlabel(f"{caption}. Thick lines: quartiles over rounds; thin ones: least and most.", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panels(result: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    inference = result.get("inference", [])
    panels = {
        "training step": result.get("training", []),
        "inference, one image": [case for case in inference if case["batch"] == 1],
        "inference, many images": [case for case in inference if case["batch"] != 1],
        "one convolution, forward and backward": result.get("convolution", []),
    }
    measured = {title: [case for case in cases if figures.bar(case["peers"])] for title, cases in panels.items()}
    return [(title, cases) for title, cases in measured.items() if cases]


def _panel(axes: Any, title: str, cases: list[dict[str, Any]]) -> None:
    for at, case in enumerate(cases):
        measured = case["peers"]
        best = figures.bar(measured)
        assert best is not None
        for i, (peer, _, color) in enumerate(BARS):
            _bar(axes, at + (i - (len(BARS) - 1) / 2) * WIDTH, figures.ratio(measured, best, peer), color)
        if "onnxruntime" in measured and (ratio := figures.ratio(measured, best, "onnxruntime")):
            axes.plot(at, ratio.median, marker="D", color="#555555", markersize=5, zorder=4)
    axes.axhline(1, color="black", linewidth=1.2, zorder=3)
    axes.set_yscale("log")
    axes.set_xlim(-0.6, len(cases) - 0.4)
    names = [_name(case, "one image" not in title) for case in cases]
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if "name" in cases[0] else {}
    axes.set_xticks(range(len(cases)), names, fontsize=7.5, **slanted)
    axes.set_title(title, fontsize=10)
    axes.grid(axis="y", alpha=0.3)


def _name(case: dict[str, Any], batch: bool) -> str:
    if "name" in case:
        return str(case["name"]).partition(" (")[0]
    return f"{case['net']}\n{case['batch']}" if batch else str(case["net"])


def _bar(axes: Any, at: float, ratio: Spread | None, color: str) -> None:
    if ratio is None:
        return
    axes.bar(
        at, ratio.median - 1, bottom=1, width=WIDTH * 0.92, color=color, alpha=0.85, zorder=2
    )  # from the line at 1
    axes.vlines(at, ratio.least, ratio.most, color="black", linewidth=0.8, zorder=3)
    axes.vlines(at, ratio.low, ratio.high, color="black", linewidth=3, zorder=3)
    end, side, up = (max(ratio.most, 1), "bottom", 2) if ratio.median >= 1 else (min(ratio.least, 1), "top", -2)
    shown = f"{ratio.median:.1f}" if ratio.median >= 1.95 else f"{ratio.median:.2f}"
    about: dict[str, Any] = {"xytext": (0, up), "textcoords": "offset points", "ha": "center", "va": side}
    axes.annotate(shown, (at, end), fontsize=7, **about)
