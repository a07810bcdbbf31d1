"""What a run shows."""

import sys
import time
from collections.abc import Callable

Told = Callable[[str, bool], None]
"""Takes what was looked at, and whether it was as it should be."""


def say(text: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Results:
    """Counts what was as it should be; `told` takes one result."""

    def __init__(self) -> None:
        self.passed = self.failed = 0
        self._began = time.monotonic()

    def told(self, what: str, well: bool) -> None:  # noqa: FBT001 - the result is the value
        self.passed += well
        self.failed += not well
        say(f"{'ok  ' if well else 'FAIL'} {time.monotonic() - self._began:5.0f} s  {what}")
