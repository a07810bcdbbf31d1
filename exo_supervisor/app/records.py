"""Who takes in what is told of each request, and what is made of it: counts, pages, books."""

from asyncio import get_running_loop
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from time import time
from typing import TYPE_CHECKING

from msgspec import Struct

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.kept_file import KeptFile, read_file, writes_to
from exo_supervisor.app.price_drift import PriceDrift
from exo_supervisor.app.scrape import Scrape
from exo_supervisor.config.time_zone import zone_of
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.host.log_line import now_text
from exo_supervisor.host.metrics.loop_delay import LoopDelay
from exo_supervisor.host.metrics.sink import MetricsSink
from exo_supervisor.host.reserve_file import reserve_of, write_with_reserve
from exo_supervisor.runtime.sinks import Sinks
from exo_supervisor.runtime.supervise import Service
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import Pulse, Tokens
from exo_supervisor.views.recorder import Recorder
from exo_supervisor.views.tally import Tally

if TYPE_CHECKING:
    from exo_supervisor.host.ledger.ledger import Ledger

DAY_BOOK, LEDGER = "day_book.json", "ledger.db"
WRITE_EVERY = 2.0
"""Seconds, at least, between two writes of what was counted."""


class Records(Struct, frozen=True):
    """The sinks, and what the others read of them."""

    tally: Tally
    recorder: Recorder
    book: DayBook
    feed: EventFeed
    metrics: MetricsSink
    delay: LoopDelay
    kept: KeptFile[DayBook]
    sinks: Sinks
    ledger: "Ledger | None"
    """None: nothing is kept across restarts."""

    @property
    def services(self) -> list[Service]:
        """Return what runs for them."""
        ledger = [] if self.ledger is None else [self.ledger]
        return [self.kept, self.delay, *ledger]

    def pulse(self, machine: Machine, tokens_of: Callable[[RequestId], int]) -> Pulse:
        """Make what looks at the house for those who listen."""
        tokens = Tokens(tokens_of, self.metrics.generated_by)
        return Pulse(machine, self.tally, self.book, self.feed, time, tokens, self.booked)

    def scrape(self, machine: Machine) -> Scrape:
        """Make the page of metrics."""
        histograms = (*self.metrics.families.histograms, self.delay.delays)
        counters, failures = self.metrics.families.counters, self.sinks.failures
        return Scrape(machine, counters, histograms, failures, self.booked)

    def booked(self) -> LedgerSeen | None:
        """Say how booking goes; None: nothing is kept."""
        return None if self.ledger is None else self.ledger.seen()


async def open_records(given: Inputs, policy: Callable[[], Policy], catalog: Catalog) -> Records:
    """Make them, and go on with the book of today that an earlier run kept."""
    path = given.state and given.state / DAY_BOOK
    write = writes_to(path, write_with_reserve)
    kept = KeptFile("day_book", write, DayBook.encode, pause=WRITE_EVERY)
    zone, currency = zone_of(given.config.budget.time_zone), given.config.budget.currency
    ledger = None if given.state is None else _ledger(given, given.state / LEDGER)
    lost_at = (lambda: 0.0) if ledger is None else ledger.lost_at
    tally, metrics = Tally(), MetricsSink(policy)
    book = DayBook(time, currency, kept.keep, zone, lost_at)
    await read_file(path, "day_book", book.restore, None)
    await read_file(path and reserve_of(path), "day_book_reserve", book.restore_reserve, None)
    recorder = Recorder(time, catalog.name_of)
    feed = EventFeed(token_hex(8), now_text)
    books = (book,) if ledger is None else (book, ledger)
    drift = PriceDrift(currency)
    sinks = Sinks((tally, recorder, metrics, *books, drift, feed, *given.sinks))
    return Records(tally, recorder, book, feed, metrics, LoopDelay(), kept, sinks, ledger)


def _ledger(given: Inputs, path: Path) -> "Ledger":
    # SQLite is a megabyte, which who keeps nothing need not have
    from exo_supervisor.host.ledger.ledger import Ledger  # noqa: PLC0415 -- see above

    config = given.config
    return Ledger(
        path,
        get_running_loop(),
        currency=config.budget.currency,
        keep_days=config.ledger.keep_days,
    )
