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


class Sum(Struct, gc=False):
    """One series of a counter."""

    figure: float = 0


class Counter:
    """Sums by labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self._sums: dict[Labels, Sum] = {}

    def at(self, labels: Labels) -> Sum:
        """Return the sum under these labels, which whoever adds to it often may keep."""
        found = self._sums.get(labels)
        return found or self._sums.setdefault(_bounded(self._sums, labels), Sum())

    @property
    def sums(self) -> dict[Labels, float]:
        """What was added, where anything was."""
        return {labels: total.figure for labels, total in self._sums.items() if total.figure}

    def add(self, labels: Labels, by: float = 1) -> None:
        """Add to the sum under these labels."""
        self.at(labels).figure += by


class Cells(Struct, gc=False):
    """One series of a histogram: how many values fell under each bound, the last above all."""

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Take one value in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Histogram:
    """How values spread, by labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.bounds = tuple(bounds)
        self._cells: dict[Labels, Cells] = {}

    def at(self, labels: Labels) -> Cells:
        """Return the series under these labels, which whoever observes often may keep."""
        found = self._cells.get(labels)
        if found is None:
            empty = Cells(self.bounds, [0] * (len(self.bounds) + 1))
            found = self._cells.setdefault(_bounded(self._cells, labels), empty)
        return found

    @property
    def cells(self) -> dict[Labels, Cells]:
        """What was observed, where anything was."""
        return {labels: cells for labels, cells in self._cells.items() if any(cells.counts)}

    def observe(self, labels: Labels, value: float) -> None:
        """Take one value in."""
        self.at(labels).observe(value)

    def buckets(self, cells: Cells) -> Iterator[tuple[str, int]]:
        """Yield a series as Prometheus wants it: each bound with all that fell at or under it."""
        so_far = 0
        for bound, count in zip((*self.bounds, float("inf")), cells.counts, strict=True):
            so_far += count
            yield "+Inf" if bound == float("inf") else repr(float(bound)), so_far


def _bounded(table: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if len(table) < MOST_SERIES else (OTHER,) * len(labels)
