"""The ledger as the loop sees it: a sink that never waits, before the thread that writes."""

import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from time import monotonic, time

import anyio
import structlog
from anyio import to_thread

from exo_supervisor.core.effects import Announce
from exo_supervisor.errors import SupervisorError
from exo_supervisor.host.ledger.book import Book
from exo_supervisor.host.ledger.sums import read_booked, read_sums
from exo_supervisor.host.ledger.writer import AGAIN, GATHER, MANY, Trouble, Writer
from exo_supervisor.views.booked import Booked, By, LedgerSeen, Reservation, Spent, Sums
from exo_supervisor.views.request_done import RequestDone

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("ledger")

MOST = 10_000
"""Requests that wait to be booked, and reservations; what comes on top is not booked."""
KEEP_DAYS = 400
STUCK = 2.0
"""Seconds after which a write that does not return holds nobody up any more."""
END_SECONDS = 3.0
"""Seconds that the last rows have at the end."""


class LedgerThreadError(SupervisorError):
    """The thread that writes has ended by a fault of our own."""


class Ledger:
    """Books each attempt, off the loop. `trouble` says why it does not, `lost` how many it lost."""

    name = "ledger"

    def __init__(
        self,
        path: Path,
        loop: AbstractEventLoop,
        *,
        currency: str,
        keep_days: int = KEEP_DAYS,
        most: int = MOST,
        gather: float = GATHER,
        again: float = AGAIN,
    ) -> None:
        self.path, self.currency, self._loop, self._most = path, currency, loop, most
        self.trouble: Trouble | None = None
        self.lost, self._lost_at = 0, 0.0
        self._writer = Writer(
            path,
            lambda last: self._tell(lambda: self._wrote(last)),
            lambda trouble: self._tell(lambda: self._stop(trouble)),
            _tell_torn,
            keep_days=keep_days,
            currency=currency,
            gather=gather,
            again=again,
        )
        self._waiting = deque[tuple[int, Callable[[], None]]]()
        """Who waits for a reservation, by their numbers."""
        self._one_reader = anyio.Lock()
        self._last = 0
        self._context = copy_context()
        """Of the loop's task: anyio finds no loop in a context that came from the thread."""

    def done(self, record: RequestDone) -> None:
        """Have a request's attempts booked."""
        if not record.tried and not self._last:
            return
        writer = self._writer
        if len(writer.done) >= self._most:
            self.lost, self._lost_at = self.lost + 1, time()
            return
        writer.done.append((time(), record))
        waiting = len(writer.done)
        if waiting == 1:  # else the thread was told of one that it has not taken yet
            writer.want()
        elif waiting == MANY:
            writer.hurry()

    def announce(self, said: Announce) -> None:
        """Book nothing of what the core announces."""

    def reserve(self, row: Reservation, then: Callable[[], None]) -> None:
        """Call `then`, once, when the row is in the file: on the loop, after this has returned.

        Soon in any case: where booking has stopped, or the disk does not answer, nobody waits.
        """
        writer = self._writer
        if len(writer.asked) < self._most:
            self._last += 1
            writer.asked.append((self._last, row))
        if self.trouble is not None:
            self._loop.call_soon(then)
            return
        self._waiting.append((self._last, then))
        writer.hurry()

    async def spent(self, since: float) -> list[Spent] | str:
        """Sum up what attempts that began at `since` or later cost, or say why nobody can."""
        answers: list[list[Spent]] = []
        here = anyio.Event()

        def ask(book: Book) -> None:
            answers.append(book.spent(since))
            self._tell(here.set)

        self._writer.jobs.append(ask)
        self._writer.hurry()
        with anyio.move_on_after(STUCK if self.trouble is None else 0):
            await here.wait()
        return answers[0] if answers else self.seen().stopped or f"{self.path} does not answer yet"

    async def sums(self, by: By, since: int | None, until: int | None, currency: str) -> Sums:
        """Add up what is booked, of days as 1970 counts them. Raises LedgerUnreadableError."""
        async with self._one_reader:
            return await to_thread.run_sync(read_sums, self.path, by, since, until, currency)

    async def booked(
        self, target: str, since: int | None, until: int | None, after: int
    ) -> list[Booked]:
        """List what has a provider's own id, to be compared with what that has written down."""
        async with self._one_reader:
            return await to_thread.run_sync(
                read_booked, self.path, target, since, until, after, self.currency
            )

    def seen(self) -> LedgerSeen:
        """Say how booking goes."""
        trouble = self.trouble
        stopped = None if trouble is None else f"{trouble.why}: {trouble.advice}"
        unbooked = self.lost + (0 if trouble is None else self._writer.unbooked())
        aside = None if self._writer.aside is None else str(self._writer.aside)
        return LedgerSeen(str(self.path), stopped, unbooked, aside)

    def lost_at(self) -> float:
        """Return the last moment whose rows the file lacks, 0 for none, in seconds since 1970.

        They were lost, wait until it can be written again, or were put aside with a torn one.
        """
        if self.trouble is not None and self._writer.unbooked():
            return time()
        return max(self._lost_at, self._writer.put_aside_at)

    async def run(self) -> None:
        """Keep the thread at work; when cancelled, let it write what it has."""
        writer = self._writer
        thread = threading.Thread(target=writer.work, name="ledger", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                await anyio.sleep(STUCK / 4)
                since = writer.busy_since
                if since is not None and monotonic() - since > STUCK:
                    self._stop(_hung(self.path))
            raise LedgerThreadError("it ended by itself")
        finally:
            writer.close()
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(thread.join, END_SECONDS)
            self._let_go(self._last)
            if unbooked := writer.unbooked() + self.lost:
                log.error("ledger_incomplete", unbooked=unbooked)

    def _tell(self, what: Callable[[], None]) -> None:
        """Have something done on the loop, from the thread."""
        with suppress(RuntimeError):  # the loop is closed: there is nobody to tell
            self._loop.call_soon_threadsafe(what, context=self._context)

    def _wrote(self, last: int) -> None:
        """Go on: all is in the file, reservations up to this one too."""
        if self.trouble is not None:
            log.warning("ledger_resumed", lost=self.lost)
            self.trouble, self._writer.in_trouble = None, False
        self._let_go(last)

    def _stop(self, trouble: Trouble) -> None:
        """Say that nothing is booked, once for each reason; who waits is let go."""
        if self.trouble != trouble:
            unbooked = self._writer.unbooked() + self.lost
            log.error(
                "ledger_stopped", errno=trouble.errno, why=trouble.why, advice=trouble.advice,
                unbooked=unbooked,
            )  # fmt: skip
        self.trouble, self._writer.in_trouble = trouble, True
        self._let_go(self._last)

    def _let_go(self, last: int) -> None:
        while self._waiting and self._waiting[0][0] <= last:
            self._loop.call_soon(self._waiting.popleft()[1])


def _tell_torn(aside: Path) -> None:
    advice = (
        "sqlite3 FILE .recover reads what is left of it; budgets of days and months go on from "
        "day_book.json, those of sessions begin anew"
    )
    log.error("ledger_torn", put_aside=str(aside), advice=advice)


def _hung(path: Path) -> Trouble:
    return Trouble("ETIMEDOUT", f"{path}: the disk does not answer", "look at the disk")
