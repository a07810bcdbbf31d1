"""Counters and histograms as plain tables.

The library that writes the text is imported at the first scrape, not here: it takes as long to
import as the rest of a start, and most houses never ask.

`settle` is called before anything is read: whoever adds may put that off until then.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

MOST_SERIES = 1000
"""Series of one family; what comes on top is counted in one whose labels all say `other`.

Labels come from closed sets and the configuration's names, so that only a large file gets there.
"""
OTHER = "other"

Labels = tuple[str, ...]


def _settled() -> None:
    """Put nothing off."""


class Counter:
    """Sums by labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], settle: Callable[[], None] = _settled
    ) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self._sums: dict[Labels, float] = {}
        self._settle = settle

    @property
    def sums(self) -> Mapping[Labels, float]:
        """What was added, where anything was."""
        self._settle()
        return self._sums

    def add(self, labels: Labels, by: float = 1) -> None:
        """Add to the sum under these labels."""
        if by:
            labels = _bounded(self._sums, labels)
            self._sums[labels] = self._sums.get(labels, 0) + by


class Cells(Struct, gc=False):
    """One series of a histogram: how many values fell under each bound, the last above all."""

    counts: list[int]
    total: float = 0.0


class Histogram:
    """How values spread, by labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float],
        settle: Callable[[], None] = _settled,
    ) -> None:  # fmt: skip
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.bounds = tuple(bounds)
        self._cells: dict[Labels, Cells] = {}
        self._settle = settle

    @property
    def cells(self) -> Mapping[Labels, Cells]:
        """What was observed, where anything was."""
        self._settle()
        return self._cells

    def observe(self, labels: Labels, values: Sequence[float]) -> None:
        """Take values in, those that lie between two bounds by one look."""
        if not values:
            return
        labels = _bounded(self._cells, labels)
        cells = self._cells.get(labels)
        if cells is None:
            cells = self._cells[labels] = Cells([0] * (len(self.bounds) + 1))
        cells.total += sum(values)
        ordered, bounds, at = sorted(values), (*self.bounds, float("inf")), 0
        while at < len(ordered):
            place = bisect_left(bounds, ordered[at])
            end = bisect_right(ordered, bounds[place], at)
            cells.counts[place] += end - at
            at = end

    def buckets(self, cells: Cells) -> Iterator[tuple[str, int]]:
        """Yield a series as Prometheus wants it: each bound with all that fell at or under it."""
        so_far = 0
        for bound, count in zip((*self.bounds, float("inf")), cells.counts, strict=True):
            so_far += count
            yield "+Inf" if bound == float("inf") else repr(float(bound)), so_far


def _bounded(table: Mapping[Labels, object], labels: Labels) -> Labels:
    if labels in table or len(table) < MOST_SERIES:
        return labels
    return (OTHER,) * len(labels)
