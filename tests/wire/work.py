"""Work that is counted and not timed: what grows with the square of a request shows at twice it."""

import sys
import tracemalloc
from collections.abc import Callable, Iterable
from types import FrameType


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


def bytes_returned(work: Callable[[], object]) -> int:
    """Return how many bytes all functions together returned, however soon they were let go."""
    sizes: list[int] = []

    def note(_frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and isinstance(arg, bytes):
            sizes.append(len(arg))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return sum(sizes)


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
