"""Tells of a price that is not what its provider asks, by what both say of one attempt."""

from collections.abc import Callable
from time import monotonic

import structlog

from exo_supervisor.config.shipped_prices import CURRENCY
from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.effects import Announce
from exo_supervisor.views.request_done import AttemptDone, RequestDone

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

MOST_TOLD = 256
"""Models of which it is remembered when they were told of."""
QUIET = 3600.0
"""Seconds after which a model is told of again."""
SLACK = 100
"""The part of a cost by which the two may differ, beside a millionth: rounding, odd tokens."""
_MICRO = 1_000_000


class PriceDrift:
    """A sink. Providers report in dollars, so that other currencies cannot be compared."""

    name = "price_drift"

    def __init__(self, currency: str, clock: Callable[[], float] = monotonic) -> None:
        self._compares, self._clock = currency == CURRENCY, clock
        self._told = Bounded[tuple[str, str], float](MOST_TOLD)

    def done(self, record: RequestDone) -> None:
        """Compare what was reckoned with what was reported, where both were."""
        for attempt in record.tried:
            if attempt.reported_cost is not None and self._compares:
                self._compare(attempt, attempt.reported_cost)

    def announce(self, said: Announce) -> None:
        """Compare nothing of what the core announces."""

    def _compare(self, attempt: AttemptDone, reported: int) -> None:
        cost, key = attempt.cost, (attempt.target, attempt.model)
        if cost is None or attempt.estimated:
            return
        if abs(cost - reported) <= max(_MICRO, reported // SLACK):
            return
        now = self._clock()
        if now < self._told.get(key, now):
            return
        self._told.renew(key, now + QUIET)
        log.warning(
            "price_drift", provider=attempt.target, model=attempt.model,
            cost_microdollars=-(-cost // _MICRO), reported_microdollars=-(-reported // _MICRO),
        )  # fmt: skip
