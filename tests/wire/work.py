"""Work that is counted and not timed: what grows with the square of a request shows at twice it."""

import tracemalloc
from collections.abc import Callable, Iterable


def bytes_made(steps: Iterable[Callable[[], object]]) -> int:
    """Return how many bytes all steps together asked for, each beyond what was held before it."""
    made = 0
    tracemalloc.start()
    try:
        for step in steps:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            step()
            made += tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return made


class Counted(str):
    """A text that counts how often any such was looked at."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        """Count it."""
        Counted.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        """Count it."""
        Counted.looks += 1
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        """Count it."""
        Counted.looks += 1
        return super().__ne__(other)
