"""Which known names come near to one that is not known: people mistype case, prefix and letters."""

from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import islice, pairwise

SCAN = 500
"""Names that a search for near matches looks at, at most."""
LONGEST = 100
"""Characters of a name that is still compared with others; a comparison costs by length."""
MOST = 3
"""Names that are returned, at most."""
SHORTEST = 3
"""Characters of a name that is taken for the beginning of another, at least."""
ALIKE = 0.5
"""Share of letters and pairs of letters from which on two names are near (Dice)."""


def near(name: str, known: Iterable[str]) -> list[str]:
    """Find at most three names near an unknown one, the nearest first.

    The same but for case comes first, alone; then the same but for what stands before the last
    `/` or behind a `:`; then names that begin alike; then those of which few letters differ.
    """
    if len(name) > LONGEST:
        return []
    pool = [each for each in islice(known, SCAN) if len(each) <= LONGEST]
    folded, tail = name.casefold(), _tail(name)
    if same := [each for each in pool if each.casefold() == folded]:
        return same[:1]
    tails: dict[str, list[str]] = {}
    for each in pool:
        tails.setdefault(_tail(each), []).append(each)
    found = dict.fromkeys(tails.get(tail, []))
    if len(tail) >= SHORTEST:
        begun = (each for key in tails if key.startswith(tail) for each in tails[key])
        found |= dict.fromkeys(begun)
    if len(found) < MOST:
        marks = _marks(tail)
        scored = ((_alike(marks, _marks(key)), key) for key in tails)
        alike = [key for score, key in nlargest(MOST, scored) if score >= ALIKE]
        found |= dict.fromkeys(each for key in alike for each in tails[key])
    return list(found)[:MOST]


def similar_clause(names: Sequence[str], what: str = "similar") -> str:
    """Name those that come near, behind what says that a name is not known."""
    return f"; {what}: {', '.join(names)}" if names else ""


def _tail(name: str) -> str:
    """Take what names the model itself: no owner before it, no variant behind it."""
    return name.casefold().rpartition("/")[2].partition(":")[0]


def _marks(tail: str) -> set[str]:
    """List its letters and its pairs of letters: work that grows with its length, no faster."""
    return {*tail, *map("".join, pairwise(tail))}


def _alike(one: set[str], other: set[str]) -> float:
    """Say how much two names share, from 0 to 1 (Dice)."""
    size = len(one) + len(other)
    return 2 * len(one & other) / size if size else 0.0
