"""How many extra attempts the house may make, so that trouble never becomes a storm."""

from collections import deque

from msgspec import Struct

WINDOW = 10.0
"""Seconds of traffic that the budget is a share of."""
FLOOR = 3
"""Retries that any window allows, so that a quiet house can still retry."""


class _Second(Struct):
    """What one second of the window saw."""

    second: float
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """Retries in the last ten seconds, at most a share of the requests in them."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._seconds: deque[_Second] = deque()
        self._requests = 0
        self._retries = 0

    def saw_request(self, now: float) -> None:
        """Count a request, which widens the budget."""
        self._at(now).requests += 1
        self._requests += 1

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget; False when it is empty."""
        second = self._at(now)
        if self._retries >= max(FLOOR, self.share * self._requests):
            return False
        second.retries += 1
        self._retries += 1
        return True

    def _at(self, now: float) -> _Second:
        """Return the row of this second; a new one lets those go that are out of the window.

        Rows are whole seconds, so that within one second none can go.
        """
        second, rows = now // 1.0, self._seconds
        if rows and rows[-1].second == second:
            return rows[-1]
        rows.append(_Second(second))
        while rows[0].second <= now - WINDOW:
            gone = rows.popleft()
            self._requests -= gone.requests
            self._retries -= gone.retries
        return rows[-1]
