"""What a service counts, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The requests of a service, by status and by how long they took. Only the event loop's thread changes it."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.by_seconds, self.total = [0] * (len(SECONDS) + 1), 0.0

    def count(self, status: int) -> None:
        self.by_status[status] += 1

    def took(self, seconds: float) -> None:
        """Count a prediction's time."""
        self.by_seconds[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def text(self, batches: Sequence[int], held: int) -> str:
        """All of it.

        Parameters
            batches : how many batches had 0, 1, 2, … items
            held : items that wait
        """
        bounds = [2**power for power in range(len(batches).bit_length()) if 2**power < len(batches)]
        counts = [sum(batches[low + 1 : high + 1]) for low, high in pairwise([0, *bounds, len(batches)])]
        images = sum(size * number for size, number in enumerate(batches))
        parts = [
            *_lines("requests_total", "counter", "Requests, by the status of their response.",
                    ((f'{{status="{status}"}}', number) for status, number in sorted(self.by_status.items()))),
            *_histogram("predict_seconds", "Time from a prediction's request to its answer.",
                        SECONDS, self.by_seconds, self.total),
            *_histogram("batch_images", "Images in a batch.", bounds, counts, images),
            *_lines("images_total", "counter", "Images that were answered.", [("", images)]),
            *_lines("waiting_images", "gauge", "Images that are accepted and not answered.", [("", held)]),
        ]  # fmt: skip
        return "\n".join(parts) + "\n"


def _lines(name: str, kind: str, about: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP xpcnn_{name} {about}"
    yield f"# TYPE xpcnn_{name} {kind}"
    for suffix, value in values:
        yield f"xpcnn_{name}{suffix} {value}"


def _histogram(name: str, about: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Iterator[str]:
    """The lines of a histogram, whose buckets have all that is at most their bound."""
    up_to, values = 0, []
    for bound, number in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        up_to += number
        values.append((f'_bucket{{le="{bound}"}}', up_to))
    yield from _lines(name, "histogram", about, values)
    yield f"xpcnn_{name}_sum {total}"
    yield f"xpcnn_{name}_count {up_to}"
