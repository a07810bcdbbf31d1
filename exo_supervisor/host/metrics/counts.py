"""Counters and histograms as plain tables: a request costs some dictionary look-ups here.

The library that writes the text is imported at the first scrape, not here: it takes as long to
import as the rest of a start, and most houses never ask.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

MOST_SERIES = 1000
"""Series of one family; what comes on top is counted in one whose labels all say `other`.

Labels come from closed sets and the configuration's names, so that only a large file gets there.
"""
OTHER = "other"

Labels = tuple[str, ...]


class Counter:
    """Sums by labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.sums: dict[Labels, float] = {}

    def add(self, labels: Labels, by: float = 1) -> None:
        """Add to the sum under these labels."""
        try:  # what is nearly always so costs one look less than to ask first
            self.sums[labels] += by
        except KeyError:
            labels = _bounded(self.sums, labels)
            self.sums[labels] = self.sums.get(labels, 0) + by


class Cells(Struct, gc=False):
    """One series of a histogram: how many values fell under each bound, the last above all."""

    counts: list[int]
    total: float = 0.0


class Histogram:
    """How values spread, by labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.bounds = tuple(bounds)
        self.cells: dict[Labels, Cells] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Take one value in."""
        cells = self.cells.get(labels)
        if cells is None:
            empty = Cells([0] * (len(self.bounds) + 1))
            cells = self.cells.setdefault(_bounded(self.cells, labels), empty)
        cells.counts[bisect_left(self.bounds, value)] += 1
        cells.total += value

    def buckets(self, cells: Cells) -> Iterator[tuple[str, int]]:
        """Yield a series as Prometheus wants it: each bound with all that fell at or under it."""
        so_far = 0
        for bound, count in zip((*self.bounds, float("inf")), cells.counts, strict=True):
            so_far += count
            yield "+Inf" if bound == float("inf") else repr(float(bound)), so_far


def _bounded(table: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if len(table) < MOST_SERIES else (OTHER,) * len(labels)
