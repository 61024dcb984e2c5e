"""Profiles as plain-text tables: the layers of a step, and where the time goes by kinds of layers."""

from __future__ import annotations

from typing import Any

from xpcnn.table import columns

from . import figures

LIMITS = (("flop", "gflops"), ("bytes", "gb_per_s"))  # what a row does, and the machine's limit of it


def layers(result: dict[str, Any]) -> list[str]:
    """A table for each net and peer: each layer's forward and backward, beside the machine's limits."""
    return [
        _layers(f"{case['net']}, batch {case['batch']}, {peer}", measured, result["ceilings"])
        for case in result.get("layers", [])
        for peer, measured in case["peers"].items()
        if "reason" not in measured
    ]


def _layers(what: str, measured: dict[str, Any], ceilings: dict[str, float]) -> str:
    run, rows, inside = measured["run"], [], 0.0
    for row in measured["rows"]:
        total = sum(row["seconds"].values())
        inside += total
        cells: list[str] = [f"{row['name']} {row['kind']}", "×".join(map(str, row["output"][1:]))]
        if not total:
            rows.append((*cells, *["—"] * 7))
            continue
        cells += [f"{1000 * row['seconds'][way]:.3f}" for way in ("forward", "backward")] + [f"{total / run:.1%}"]
        for key, limit in LIMITS:
            cells += [_rate(row[key][way], row["seconds"][way], ceilings, limit) for way in ("forward", "backward")]
        rows.append(tuple(cells))
    rest = run - inside
    rows.append(("loss, optimizer, containers", "", "", f"{1000 * rest:.3f}", f"{rest / run:.1%}", *[""] * 4))
    head = ("layer", "output", "forward ms", "backward ms", "of step", "GFLOP/s f", "b", "GB/s f", "b")
    return f"Layers of {what}: step {1000 * run:.2f} ms; {_limits(ceilings)}\n" + columns(head, rows, left=(0, 1))


def kinds(result: dict[str, Any]) -> str:
    """Where the time goes in the cases in which xpcnn is slower: the kinds of rows that take a twentieth or more."""
    ceilings, rows = result["ceilings"], list[tuple[str, ...]]()
    for case in result["profile"]:
        for peer, measured in case["peers"].items():
            speed = _speed(result, case, peer)
            if "reason" in measured or (speed is not None and speed >= 1):
                continue
            run, shown = measured["run"], f"{case['net']} {case['what']} b{case['batch']}, {peer}"
            shown += f", {speed:.2f} of PyTorch's speed" if speed is not None else ""
            rest = run - sum(kind["seconds"] for kind in measured["kinds"])
            others = {"kind": "the rest", "rows": 0, "seconds": rest, "flop": 0, "bytes": 0}
            for kind in (*measured["kinds"], others):
                took = kind["seconds"]
                if took < run / 20:
                    continue
                count = f" ×{kind['rows']}" if kind["rows"] > 1 else ""
                cells = [shown, kind["kind"] + count, f"{1000 * took:.3f}", f"{took / run:.0%}"]
                rows.append((*cells, *(_rate(kind[key], took, ceilings, limit) for key, limit in LIMITS)))
                shown = ""
    head = ("", "kind", "ms", "of all", "GFLOP/s", "GB/s")
    title = "Where the time goes, where xpcnn is not faster than PyTorch"
    return f"{title}; {_limits(ceilings)}\n" + columns(head, rows, left=(0, 1))


def _speed(result: dict[str, Any], case: dict[str, Any], peer: str) -> float | None:
    """PyTorch's time / the peer's, where it was measured."""
    for each in result.get(case["what"], []):
        if (each["net"], each["batch"]) == (case["net"], case["batch"]) and (best := figures.bar(each["peers"])):
            ratio = figures.ratio(each["peers"], best, peer)
            return ratio.median if ratio else None
    return None


def _rate(amount: float, seconds: float, ceilings: dict[str, float], limit: str) -> str:
    if not amount or not seconds:
        return "—"
    rate = amount / seconds / 1e9
    return f"{rate:.1f} ({rate / ceilings[limit]:.0%})" if limit in ceilings else f"{rate:.1f}"


def _limits(ceilings: dict[str, float]) -> str:
    if "gflops" not in ceilings:
        return "the machine's limits are not known"
    return (
        f"in brackets the share of sgemm's {ceilings['gflops']:.0f} GFLOP/s and of copying's "
        f"{ceilings['gb_per_s']:.1f} GB/s"
    )
