"""Answers `/metrics`: joins the counts and the machine to what writes their text."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from exo_supervisor.core.machine import Machine
from exo_supervisor.host.metrics.counts import Counter, Histogram
from exo_supervisor.views.booked import LedgerSeen

if TYPE_CHECKING:
    from exo_supervisor.host.metrics.page import Page


class Scrape:
    """Imports what writes at the first scrape, in a thread: no chat waits for it."""

    def __init__(
        self,
        machine: Machine,
        counters: Sequence[Counter],
        histograms: Sequence[Histogram],
        failures: Mapping[str, int],
        booked: Callable[[], LedgerSeen | None],
    ) -> None:
        self._given = (machine, counters, histograms, failures, booked, anyio.current_time)
        self._page: Page | None = None

    async def write(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its content type, in the format that a scraper accepts."""
        if self._page is None:
            self._page = (await to_thread.run_sync(_bring))(*self._given)
        await to_thread.run_sync(self._page.look)
        return self._page.write(accept)


def _bring() -> "Callable[..., Page]":
    from exo_supervisor.host.metrics.page import Page  # noqa: PLC0415 -- see Scrape

    return Page
