"""Sums for whoever looks, single attempts for who gives orders, and each wrong way to ask."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct

from exo_supervisor.core.policy import DEFAULT_CLIENT
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.ledger_route import LEDGER, LedgerRoute
from exo_supervisor.views.booked import (
    Booked,
    Books,
    By,
    LedgerSeen,
    LedgerUnreadableError,
    Sum,
    Sums,
)
from tests.serve.control.asked import House, Said, about_it

TODAY = 20_700
BY = "by is one of day, model, client, target"
DAY = "since is a day of UTC: today, yesterday, 30d (ago), or as 2026-01-31"


class Kept(Struct):
    """A ledger of one row that notes what it was asked."""

    asked: list[tuple[object, ...]] = []
    broken: bool = False
    currency: str = "EUR"

    def seen(self) -> LedgerSeen:
        return LedgerSeen("ledger.db", "the disk is full" if self.broken else None, 3)

    async def sums(self, by: By, since: int | None, until: int | None, currency: str) -> Sums:
        if self.broken:
            raise LedgerUnreadableError("it takes too long")
        self.asked.append((by, since, until))
        others = ("USD",) if currency == "EUR" else ()
        return Sums([("kids", Sum(1, 1, cost=1))], Sum(1, 1, cost=1), 0, others)

    async def booked(
        self, target: str, since: int | None, until: int | None, after: int
    ) -> list[Booked]:
        self.asked.append((target, since, until, after))
        return [Booked(7, "t", "01J9", 1, target, "m", "gen-1", 1, 2, "0.10", None)]


def house(ledger: Books | None) -> House:
    route = LedgerRoute(ledger, Authority(), lambda: 86_400.0 * TODAY + 5).look
    return House(about=about_it(ledger=ledger), below={LEDGER: route})


async def got(ledger: Books | None, query: str = "", **more: Any) -> Said:  # noqa: ANN401 -- as House.ask
    return await house(ledger).ask("GET", LEDGER + query, **more)


async def test_sums_are_told_with_their_money_as_decimal_text() -> None:
    said = await got(kept := Kept(), "?by=client&since=today&until=2026-12-01")
    row: Mapping[str, object] = said.body["rows"][0]
    assert (said.status, said.body["currency"], said.body["by"]) == (200, "EUR", "client")
    assert (row["key"], row["requests"], row["cost"]) == ("kids", 1, "0.000000000001")
    assert said.body["total"]["cost"] == "0.000000000001"
    assert kept.asked[-1] == ("client", TODAY, 20_788)
    assert said.body["others"] == ["USD"]
    assert said.body["time_zone"] == "UTC"
    other = (await got(kept, "?currency=USD")).body
    assert (other["currency"], other["others"]) == ("USD", [])
    wrong = await got(kept, "?currency=dollars")
    assert (wrong.status, wrong.body["error"]["param"]) == (400, "currency")


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", None), ("since=today", TODAY), ("since=yesterday", TODAY - 1), ("since=30d", TODAY - 30),
     ("since=1970-01-02", 1)],
)  # fmt: skip
async def test_a_day_is_said_in_four_ways(said: str, meant: int | None) -> None:
    await got(kept := Kept(), f"?{said}")
    assert kept.asked[-1] == ("day", meant, None)


@pytest.mark.parametrize(
    ("query", "text"),
    [("?by=cost", BY), ("?by=", BY), *((f"?since={day}", DAY) for day in (
        "", "now", "2026-02-30", "2026-1-1", "-1d", "99999d", "2026-01-31T10:00", "0000-01-01"))],
)  # fmt: skip
async def test_what_is_no_day_and_no_key_is_told_what_is_one(query: str, text: str) -> None:
    assert (await got(Kept(), query)).error == (400, "bad_value", text)


async def test_other_ways_to_ask_are_refused() -> None:
    assert (await house(Kept()).post(LEDGER)).error[:2] == (405, "method_not_allowed")
    assert (await got(Kept(), "/other")).error[:2] == (404, "route_not_found")
    assert (await got(None)).error[:2] == (503, "no_ledger")
    assert (await got(Kept(broken=True))).error == (503, "ledger_unreadable", "it takes too long")


async def test_single_attempts_are_for_who_gives_orders() -> None:
    path = "/attempts?target=openrouter&since=1970-01-03&after=5"
    said = await got(kept := Kept(), path)
    (row,) = said.body["attempts"]
    assert (row["response_id"], row["cost"], row["reported_cost"]) == ("gen-1", "0.10", None)
    assert kept.asked[-1] == ("openrouter", 2, None, 5)
    assert (await got(Kept(), path, client=DEFAULT_CLIENT)).error[:2] == (403, "not_allowed")
    for query in ("", "?target=", "?target=x&after=-1"):
        assert (await got(Kept(), f"/attempts{query}")).error[:2] == (400, "bad_value")


LAST = (1 << 63) - 1
"""SQLite counts no further."""


@pytest.mark.parametrize("after", [str(LAST + 1), f"00{'9' * 19}", "0" * 5000, "\u0661"])
async def test_an_id_that_no_ledger_counts_to_is_refused_however_it_is_written(after: str) -> None:
    said = await got(Kept(), f"/attempts?target=x&after={after}")
    assert said.error[:2] == (400, "bad_value")
    assert (await got(kept := Kept(), f"/attempts?target=x&after={LAST}")).status == 200
    assert kept.asked[-1] == ("x", None, None, LAST)


async def test_status_tells_whether_anything_is_booked() -> None:
    seen = {"file": "ledger.db", "stopped": "the disk is full", "unbooked": 3, "aside": None}
    assert (await house(Kept(broken=True)).get("/supervisor/status")).body["ledger"] == seen
    assert (await house(None).get("/supervisor/status")).body["ledger"] is None
