"""What the ledger is told before an attempt, and what it tells of the money that is gone."""

from collections.abc import Iterable
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import asdict, astuple

from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.errors import SupervisorError

By = Literal["day", "model", "client", "target"]
MOST_ROWS = 1000
"""Rows of sums that are told, at most; what is left off is in the total."""
_MONEY = ("cost", "reported_cost", "cost_of_reported", "local_cost", "saved")


class LedgerUnreadableError(SupervisorError):
    """What is booked cannot be told; the text says why."""


class Reservation(Struct, frozen=True, gc=False):
    """What an attempt may cost at most, written down before it begins.

    `ts` is in seconds since 1970, `amount` in pico-units of money; `session` is 0 where there is
    none.
    """

    ts: float
    request_id: str
    attempt: int
    provider: str
    model: str
    client: str
    session: int
    amount: int


class Spent(Struct, frozen=True, gc=False):
    """What one client spent at one provider in one session, and by how many requests."""

    client: str
    provider: str
    session: int
    cost: int
    requests: int


class LedgerSeen(Struct, frozen=True):
    """How booking goes, for `status`: `stopped` says why it does not, and what to do.

    `aside` is an earlier file that was torn, and still lies there: its rows are in no sum.
    """

    file: str
    stopped: str | None
    unbooked: int
    """Requests that wait to be booked, or never will be."""
    aside: str | None = None


class Booked(Struct, frozen=True):
    """An attempt at a provider, as it is booked; money in decimal digits, None where not known."""

    id: int
    ts: str
    request_id: str
    attempt: int
    target: str
    model: str
    response_id: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: str | None
    reported_cost: str | None


class Books(Protocol):
    """What a ledger tells."""

    @property
    def currency(self) -> str: ...
    def seen(self) -> LedgerSeen:
        """Say how booking goes."""
        ...

    async def sums(self, by: By, since: int | None, until: int | None, currency: str) -> "Sums":
        """Add up days, as 1970 counts them, up to before `until`; or LedgerUnreadableError."""
        ...

    async def booked(
        self, target: str, since: int | None, until: int | None, after: int
    ) -> list[Booked]:
        """List attempts that have a response id, some of those after an id; raises as `sums`."""
        ...


class Sum(Struct, frozen=True):
    """What attempts come to; money in pico-units.

    `requests` are those that ended here, `estimated` attempts whose tokens were reckoned, and
    `unpriced` those that somebody may be paid for, and nobody knows how much: they are in no cost.
    `cost_of_reported` is our cost of the attempts whose targets told one, `reported_cost` theirs.
    """

    requests: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    unpriced: int = 0
    cost: int = 0
    reported_cost: int = 0
    cost_of_reported: int = 0
    local_cost: int = 0
    saved: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def shown(self) -> dict[str, object]:
        """Return it as it is told, its money in decimal digits."""
        return {
            name: digits_of(figure) if name in _MONEY else figure
            for name, figure in asdict(self).items()
        }


class Sums(Struct, frozen=True):
    """What is booked, by one of the four, the costliest first and days in their order.

    It is all of one currency; `others` are those of which something else is booked.
    """

    rows: list[tuple[str, Sum]]
    total: Sum
    left_off: int
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, Sum]], currency: str) -> "Sums":
        """Keep so many rows as are told, and the total of all that are of the currency."""
        kept, total, count, others = list[tuple[str, Sum]](), Sum(), 0, set[str]()
        for key, its_currency, figures in rows:
            if its_currency != currency:
                others.add(its_currency)
                continue
            total += figures
            count += 1
            if count <= MOST_ROWS:
                kept.append((key, figures))
        return cls(kept, total, count - len(kept), tuple(sorted(others)))

    def shown(self) -> dict[str, object]:
        """Return it as it is told."""
        rows = [{"key": key, **figures.shown()} for key, figures in self.rows]
        told = {"rows": rows, "total": self.total.shown(), "left_off": self.left_off}
        return {**told, "others": list(self.others)}
