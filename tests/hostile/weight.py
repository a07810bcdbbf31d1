"""Weighs a piece of work without a clock: lines of ours that ran, and memory that it took.

What the decoder does in C is bounded by the bytes that it is given and by the values that it makes:
the one is an argument, the other shows as memory. A line of ours costs about a tenth of a
microsecond on a slow machine, so that 200,000 lines stay well within a tenth of a second.
"""

import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from msgspec import Struct

from exo_supervisor.errors import SupervisorError

MOST_LINES = 200_000
MOST_MEMORY = 32 * 2**20
"""Bytes beside the answer itself: 300,000 decoded values, more or less."""


class Weight(Struct, frozen=True):
    """What a piece of work took."""

    lines: int
    memory: int

    @property
    def light(self) -> bool:
        """Whether the loop goes on within a moment."""
        return self.lines <= MOST_LINES and self.memory <= MOST_MEMORY


def weigh(work: Callable[[], object]) -> Weight:
    """Do it twice, for its memory and for its lines; a refusal is a result like another."""
    tracemalloc.start()
    with suppress(SupervisorError):
        work()
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines = 0

    def count(_: FrameType, event: str, __: Any) -> Any:  # noqa: ANN401 -- what settrace takes
        nonlocal lines
        lines += event == "line"
        return count if lines <= 4 * MOST_LINES else None

    before = sys.gettrace()
    sys.settrace(count)
    try:
        with suppress(SupervisorError):
            work()
    finally:
        sys.settrace(before)
    return Weight(lines, memory)
