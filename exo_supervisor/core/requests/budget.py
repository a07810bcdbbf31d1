"""How many extra attempts the house may make, so that trouble never becomes a storm."""

from collections import deque

WINDOW = 10.0
"""Seconds of traffic that the budget is a share of."""
FLOOR = 3
"""Retries that any window allows, so that a quiet house can still retry."""


class Budget:
    """Retries in the last ten seconds, at most a share of the requests in them."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._seconds: deque[tuple[float, int, int]] = deque()
        self._requests = 0
        self._retries = 0

    def saw_request(self, now: float) -> None:
        """Count a request, which widens the budget."""
        self._count(now, requests=1, retries=0)

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget; False when it is empty."""
        self._count(now, requests=0, retries=0)
        if self._retries >= max(FLOOR, self.share * self._requests):
            return False
        self._count(now, requests=0, retries=1)
        return True

    def _count(self, now: float, *, requests: int, retries: int) -> None:
        second = float(int(now))
        if self._seconds and self._seconds[-1][0] == second:
            _, old_requests, old_retries = self._seconds.pop()
            self._seconds.append((second, old_requests + requests, old_retries + retries))
        else:
            self._seconds.append((second, requests, retries))
        self._requests += requests
        self._retries += retries
        while self._seconds and self._seconds[0][0] <= now - WINDOW:
            _, gone_requests, gone_retries = self._seconds.popleft()
            self._requests -= gone_requests
            self._retries -= gone_retries
