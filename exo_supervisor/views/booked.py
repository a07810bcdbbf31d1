"""What the ledger is told before an attempt, and what it tells of the money that is gone."""

from msgspec import Struct


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
