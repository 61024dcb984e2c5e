"""The ratios of a run as a bar chart; PyTorch is the line at 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import figures
from .errors import BenchError
from .figures import Spread

TICKS = (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw the speed relative to PyTorch as bars with their spread.

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
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(11, 3.8), layout="constrained", sharey=True, squeeze=False,
        width_ratios=[len(cases) for _, cases in panels],
    )  # fmt: skip
    for axes, (title, cases) in zip(all_axes[0], panels, strict=True):
        for at, case in enumerate(cases):
            best = figures.bar(case["peers"])
            assert best is not None
            _bar(axes, at, figures.ratio(case["peers"], best))
        axes.axhline(1, color="black", linewidth=1.2, zorder=3)
        axes.set_yscale("log")
        least, most = axes.get_ylim()
        axes.set_yticks([tick for tick in TICKS if least <= tick <= most or 0.5 <= tick <= 2])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.5, len(cases) - 0.3)
        axes.set_xticks(range(len(cases)), [_name(case, title) for case in cases], fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="y", alpha=0.3)
    least, most = all_axes[0][0].get_ylim()
    all_axes[0][0].set_ylim(least / 1.15, most * 1.15)  # space for the figures at the ends; the panels share the axis
    all_axes[0][0].set_ylabel("speed, PyTorch = 1")
    mark = plt.Line2D([], [], color="C0", linewidth=7, alpha=0.7, label="xpcnn")
    figure.legend(handles=[mark], loc="outside upper center", fontsize=8, frameon=False)
    about = result["machine"]
    caption = f"{about['cpu']}, {about['threads']} threads, {about['blas']}, {about['date'][:10]}"
    figure.supxlabel(f"{caption}. Boxes: quartiles over rounds; whiskers: least and most.", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panels(result: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    panels = {"training step": result.get("training", [])}
    for case in result.get("inference", []):
        panels.setdefault(f"inference, batch {case['batch']}", []).append(case)
    measured = {title: [case for case in cases if figures.bar(case["peers"])] for title, cases in panels.items()}
    return [(title, cases) for title, cases in measured.items() if cases]


def _name(case: dict[str, Any], title: str) -> str:
    return str(case["net"]) if "batch" in title else f"{case['net']}\nbatch {case['batch']}"


def _bar(axes: Any, at: int, ratio: Spread | None) -> None:
    if ratio is None:
        return
    axes.bar(at, ratio.median - 1, bottom=1, width=0.5, color="C0", alpha=0.7, zorder=2)  # from PyTorch's line
    axes.vlines(at, ratio.least, ratio.most, color="black", linewidth=1, zorder=3)
    axes.vlines(at, ratio.low, ratio.high, color="black", linewidth=4, zorder=3)
    end, side, up = (max(ratio.most, 1), "bottom", 3) if ratio.median >= 1 else (min(ratio.least, 1), "top", -3)
    axes.annotate(
        f"{ratio.median:.2f}×", (at, end), xytext=(0, up), textcoords="offset points", ha="center", va=side, fontsize=8
    )
