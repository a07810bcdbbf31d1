"""How much each client asked for in the last minute, and who has to wait.

A request's tokens are not known before its end: until then an estimate holds their place. What is
over a limit by the end keeps later requests out for longer; one alone may be larger than the limit.
"""

from collections.abc import Iterable
from math import floor

from msgspec import Struct

from exo_supervisor.core.estimate import expected_tokens
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.policy import ClientRule

MINUTE = 60

Second = tuple[int, int, int]
"""A second, and the requests and the tokens that were let through in it."""


class Minute(Struct, frozen=True):
    """What a client was let through of late: the seconds in which there was anything."""

    seconds: tuple[Second, ...] = ()


def admit(
    minute: Minute, rule: ClientRule, estimate: int, now: float
) -> tuple[Minute, float | None]:
    """Let a request through, or say in how many seconds that may be.

    A second counts until all of it is a minute ago, so that no minute ever holds too much.
    """
    left, at = _last(minute, now), now
    waits = left
    while not _fits(rule, waits, estimate):
        at, waits = _gone_at(waits[0][0]), waits[1:]
    if at > now:
        return Minute(left), at - now
    return Minute(_added(left, floor(now), 1, estimate)), None


def settle(minute: Minute, second: int, estimate: int, tokens: int, now: float) -> Minute:
    """Put what a request took in the place of the estimate that was made in some second.

    It counts from now on: a long answer is no less because it began long ago.
    """
    left = tuple(
        (at, requests, some - estimate if at == second else some)
        for at, requests, some in _last(minute, now)
    )
    return Minute(_added(left, floor(now), 0, tokens))


def _fits(rule: ClientRule, seconds: tuple[Second, ...], estimate: int) -> bool:
    if rule.requests and sum(each[1] for each in seconds) >= rule.requests:
        return False
    tokens = sum(each[2] for each in seconds)
    return not rule.tokens or tokens <= 0 or tokens + estimate <= rule.tokens


def _gone_at(second: int) -> int:
    return second + MINUTE + 1


def _last(minute: Minute, now: float) -> tuple[Second, ...]:
    return tuple(each for each in minute.seconds if _gone_at(each[0]) > now)


def _added(left: tuple[Second, ...], second: int, requests: int, tokens: int) -> tuple[Second, ...]:
    if left and left[-1][0] == second:
        *left_, (_, some_requests, some_tokens) = left
        return (*left_, (second, some_requests + requests, some_tokens + tokens))
    return (*left, (second, requests, tokens))


class _Taken(Struct):
    """One request under way; `tokens` are those of its attempts that have ended."""

    client: str
    second: int
    estimate: int
    tokens: int = 0


class Rates:
    """Owns the minutes of those clients that have a rate, and their requests under way."""

    def __init__(self) -> None:
        self._minutes: dict[str, Minute] = {}
        self.taken: dict[RequestId, _Taken] = {}

    def take(self, request: RequestId, rule: ClientRule, size: int, now: float) -> float | None:
        """Let a request through whose prompt has `size` bytes, or say how long it has to wait."""
        if not (rule.requests or rule.tokens):
            return None
        estimate = expected_tokens(size)
        minute, wait = admit(self._minutes.get(rule.name, Minute()), rule, estimate, now)
        self._minutes[rule.name] = minute
        if wait is None:
            self.taken[request] = _Taken(rule.name, floor(now), estimate)
        return wait

    def used(self, request: RequestId, tokens: int) -> None:
        """Take in what an attempt used."""
        if (taken := self.taken.get(request)) is not None:
            taken.tokens += tokens

    def end(self, request: RequestId, now: float) -> None:
        """Put what was used in the place of the estimate."""
        taken = self.taken.pop(request, None)
        minute = None if taken is None else self._minutes.get(taken.client)
        if taken is not None and minute is not None:
            at = taken.second, taken.estimate, taken.tokens
            self._minutes[taken.client] = settle(minute, *at, now)

    def follow(self, rules: Iterable[ClientRule]) -> None:
        """Forget whoever has no rate any more."""
        names = {rule.name for rule in rules if rule.requests or rule.tokens}
        for name in self._minutes.keys() - names:
            del self._minutes[name]
