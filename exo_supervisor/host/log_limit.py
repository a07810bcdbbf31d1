"""How many lines of one event are written in a minute; the rest is counted, and told in one."""

from collections.abc import Callable

MAX_PER_MINUTE = 600
"""Lines of one event in one minute, at most."""
MAX_EVENTS = 512
"""Events that are told apart; further ones share one count."""
UNLIMITED = frozenset({"request_done"})
"""Each of these is written: each request has its line."""
LIMITED = frozenset({"bad_token"})
"""But not with these codes: without a token a request costs its client nothing."""


class LogLimit:
    """Says whether a line may be written, and at each new minute how many were not."""

    def __init__(self, clock: Callable[[], float], most: int = MAX_PER_MINUTE) -> None:
        self._clock, self._most = clock, most
        self._over = 0.0
        """When the minute ends in which what is counted was first."""
        self._counts: dict[str, int] = {}

    def allows(self, event: str, code: object = None) -> bool:
        """Count a line, and say whether it may be written."""
        if event in UNLIMITED:
            if code not in LIMITED:
                return True
            event = f"{event} {code}"
        if not self._counts:
            now = self._clock()
            self._over = now - now % 60 + 60
        if event not in self._counts and len(self._counts) >= MAX_EVENTS:
            event = "others"
        self._counts[event] = self._counts.get(event, 0) + 1
        return self._counts[event] <= self._most

    def left_out(self) -> dict[str, int]:
        """Return how many lines of which events were left out, when their minute is over."""
        if not self._counts or self._clock() < self._over:
            return {}
        told = {name: n - self._most for name, n in self._counts.items() if n > self._most}
        self._counts.clear()
        return told
