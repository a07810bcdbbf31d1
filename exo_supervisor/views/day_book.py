"""What each client used today, and what left the house: by day, provider and client.

Counted of each request at its end, by the days of `budget.time_zone`: many at a time, and before
anybody reads. It is kept across restarts; of what was counted in the last seconds before a crash
the file knows nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Literal

import msgspec
from msgspec import UNSET, Struct

from exo_supervisor.core.effects import Announce
from exo_supervisor.views.booked import Spent
from exo_supervisor.views.calendar import dates_at
from exo_supervisor.views.day_pages import Left, Pages, Paid, Used, read_pages
from exo_supervisor.views.request_done import TOGETHER, RequestDone

LARGEST = 2**62
"""What is put down for a larger sum, which no reader of JSON could be sure to hold."""
MAX_DAYS = 92
MAX_BYTES = 200 * 1024
"""Of the file; older days than fit are added up in `earlier`."""


class Egress(Struct):
    """The answer of `/supervisor/egress`: sums of all that was counted, and the days kept."""

    requests: int
    bytes: int
    since: str
    days: list[Left]


class Today(Struct, frozen=True):
    """Today's requests, those of which something left the house, and how many bytes that was."""

    requests: int
    to_cloud: int
    egress_bytes: int
    private_bytes: int = 0
    """Of what may not leave the house: always 0, or we have a fault."""


class ClientSeen(Struct):
    """One row of `/supervisor/clients`: who it is, what it may, and what it used today."""

    name: str
    uid: tuple[str, ...]
    gid: tuple[str, ...]
    models: tuple[str, ...]
    privacy: str
    route: str
    profile: str
    admin: bool
    rate: dict[str, int]
    budget: dict[str, float]
    requests: int
    prompt_tokens: int
    completion_tokens: int


class DayBook:
    """A sink that counts, and has itself kept by `keep` when anything has changed.

    `lost_at` tells the last moment whose rows the ledger lacks, 0 for none.
    """

    name = "day_book"

    def __init__(
        self,
        wall: Callable[[], float],
        currency: str,
        keep: Callable[["DayBook"], None] = lambda _: None,
        zone: tzinfo = UTC,
        lost_at: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._wall, self._keep, self._zone, self._currency = wall, keep, zone, currency
        self._midnight, self._lost_at, self._lost = 0.0, lost_at, ""
        today = self._today()
        self._pages = Pages(version=1, since=today, day=today, currency=currency)
        self._rows: dict[tuple[str, str, str], Left] = {}
        self._paid: dict[tuple[str, str], Paid] = {}
        self._new: list[RequestDone] = []
        self._by_client: dict[str, list[RequestDone]] = {}

    def restore(self, content: bytes) -> None:
        """Go on from what was kept, but from nothing older than what this was restored from.

        Raises NotOursError for what we have not written.
        """
        pages = read_pages(content)
        if pages.written < self._pages.written:
            return
        self._pages, self._lost = pages, pages.lost
        self._rows = {(each.day, each.provider, each.client): each for each in pages.left}
        if pages.currency != self._currency:  # what was paid in another is none of this
            pages.currency, pages.paid = self._currency, []
        self._paid = {(each.provider, each.client): each for each in pages.paid}
        self._midnight = 0.0

    def restore_reserve(self, content: bytes) -> None:
        """Go on from what found no room in the file, if there is such."""
        if not content.isspace():
            self.restore(content)

    def encode(self) -> bytes:
        """Write it as it is kept, its oldest days added up where there are too many."""
        self._count()
        pages = self._pages
        pages.lost, pages.written = self._last_lost(), pages.written + 1
        while True:
            content = msgspec.json.encode(pages) + b"\n"
            days = sorted({each.day for each in pages.left})
            if len(days) <= MAX_DAYS and (len(content) <= MAX_BYTES or len(days) <= 1):
                return content
            self._add_up(days[0])

    def done(self, record: RequestDone) -> None:
        """Take in a request that ended."""
        line = record.line
        if line.code == "bad_token":  # nobody's
            return
        if self._wall() >= self._midnight:
            self._turn()
        if not self._new:
            self._keep(self)
        self._new.append(record)
        if len(self._new) >= TOGETHER:
            self._count()

    def announce(self, said: Announce) -> None:
        """Count nothing of what the core announces."""

    def used(self) -> dict[str, Used]:
        """Return what each client used today."""
        self._turn()
        self._count()
        return self._pages.used

    def paid(self, span: Literal["day", "month"]) -> list[Spent]:
        """List what was paid today or this month, of each client to each provider."""
        self._turn()
        self._count()
        return [
            Spent(each.client, each.provider, 0, getattr(each, span), 0)
            for each in self._pages.paid
        ]

    def paid_of_lost(self, span: Literal["day", "month"]) -> list[Spent]:
        """List the same where the ledger has lost some of it, and nothing elsewhere."""
        self._turn()
        lost, today = self._last_lost(), self._pages.day
        if lost[:7] != today[:7] or (span == "day" and lost != today):
            return []
        self._keep(self)
        return self.paid(span)

    def today(self) -> Today:
        """Sum up today; a request that went to two providers counts once, if there are no more."""
        requests = sum(each.requests for each in self.used().values())
        left = [row for (day, _, _), row in self._rows.items() if day == self._pages.day]
        to_cloud = min(requests, sum(row.requests for row in left))
        return Today(requests, to_cloud, sum(row.bytes for row in left), self._pages.private)

    def egress(self, *, days: bool = True) -> Egress:
        """Sum up what left the house; the days are left out where nobody asks for them."""
        self._count()
        pages = self._pages
        requests = pages.earlier.requests + sum(each.requests for each in pages.left)
        size = pages.earlier.bytes + sum(each.bytes for each in pages.left)
        return Egress(requests, size, pages.since, pages.left if days else [])

    def _count(self) -> None:
        """Count what is not counted yet, by client."""
        new, self._new = self._new, []
        for record in new:
            self._by_client.setdefault(record.line.client, []).append(record)
        while self._by_client:  # a fault of ours costs one client's, and the next turn goes on
            client = next(iter(self._by_client))
            records = self._by_client.pop(client)
            lines = [record.line for record in records]
            used = self._pages.used.setdefault(client, Used())
            used.requests += len(lines)
            used.prompt_tokens += sum([line.prompt_tokens or 0 for line in lines])
            used.completion_tokens += sum([line.completion_tokens or 0 for line in lines])
            self._count_left(client, records)

    def _count_left(self, client: str, records: Sequence[RequestDone]) -> None:
        left: defaultdict[str, list[int]] = defaultdict(list)
        paid: defaultdict[str, int] = defaultdict(int)
        for record in records:
            line = record.line
            if line.egress is UNSET:
                continue
            for provider, size in line.egress.items():
                left[provider].append(size)
            if line.private is True:
                self._pages.private += line.egress_bytes
            for attempt in record.tried:
                if attempt.cost:
                    paid[attempt.target] += attempt.cost
        for provider, sizes in left.items():
            self._leave(provider, client, sizes)
        for provider, cost in paid.items():
            self._pay(provider, client, cost)

    def _leave(self, provider: str, client: str, sizes: Sequence[int]) -> None:
        key = self._pages.day, provider, client
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Left(*key)
            self._pages.left.append(row)
        row.requests += len(sizes)
        row.bytes += sum(sizes)

    def _pay(self, provider: str, client: str, cost: int) -> None:
        row = self._paid.get((provider, client))
        if row is None:
            row = self._paid[provider, client] = Paid(provider, client)
            self._pages.paid.append(row)
        row.day, row.month = min(LARGEST, row.day + cost), min(LARGEST, row.month + cost)

    def _turn(self) -> None:
        """Begin a new day at midnight."""
        if self._wall() >= self._midnight and (today := self._today()) != self._pages.day:
            self._count()
            was, self._pages.day, self._pages.private = self._pages.day, today, 0
            self._pages.used.clear()
            for each in self._pages.paid:
                each.day, each.month = 0, each.month if was[:7] == today[:7] else 0
            self._pages.paid = [each for each in self._pages.paid if each.month]
            self._paid = {(each.provider, each.client): each for each in self._pages.paid}

    def _last_lost(self) -> str:
        at = self._lost_at()
        return max(self._lost, dates_at(at, self._zone).day if at else "")

    def _today(self) -> str:
        dates = dates_at(self._wall(), self._zone)
        self._midnight = dates.day_ends
        return dates.day

    def _add_up(self, day: str) -> None:
        pages = self._pages
        for each in pages.left:
            if each.day == day:
                pages.earlier.requests += each.requests
                pages.earlier.bytes += each.bytes
        pages.left = [each for each in pages.left if each.day != day]
        self._rows = {key: row for key, row in self._rows.items() if key[0] != day}
