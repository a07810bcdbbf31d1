"""What was used and what left is counted by day, client and provider, and outlasts a restart."""

from typing import cast

import msgspec
import pytest

from exo_supervisor.core.effects import say
from exo_supervisor.errors import NotOursError
from exo_supervisor.views.booked import Spent
from exo_supervisor.views.day_book import (
    LARGEST,
    MAX_BYTES,
    MAX_DAYS,
    DayBook,
    Today,
)
from exo_supervisor.views.day_pages import Earlier, Left
from exo_supervisor.views.request_done import RequestDone, RequestLine
from tests.host.ledger.booking import attempt

DAY = 86_400.0
NOON = DAY / 2


class Clock:
    """A wall clock that only we turn."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def a_record(client: str = "kids", code: str | None = None, **sent: int) -> RequestDone:
    line = RequestLine("r", client=client, prompt_tokens=3, completion_tokens=4, code=code)
    for provider, size in sent.items():
        line.leave(provider, size)
    return RequestDone(line)


def test_requests_and_tokens_are_counted_by_client_until_midnight() -> None:
    clock, kept = Clock(), list[DayBook]()
    book = DayBook(clock, "USD", kept.append)
    for client in ("kids", "kids", "office"):
        book.done(a_record(client))
    book.done(RequestDone(RequestLine("r", client="office")))
    book.done(a_record("default", code="bad_token"))
    book.announce(say("info", "anything"))
    used = {client: msgspec.structs.astuple(each) for client, each in book.used().items()}
    assert used == {"kids": (2, 6, 8), "office": (2, 3, 4)}
    assert kept == [book], "it is kept once for all that is not counted yet"
    book.done(a_record("default", code="bad_token"))
    assert kept == [book], "what nobody used changes nothing"
    book.done(a_record("kids"))
    assert kept == [book, book]
    clock.now = DAY
    assert book.used() == {}


def test_what_was_used_before_midnight_is_no_use_of_the_next_day() -> None:
    clock = Clock()
    book = DayBook(clock, "USD")
    book.done(a_record(near=100))
    clock.now = DAY
    book.done(a_record(near=10))
    assert [(row.day, row.bytes) for row in book.egress().days] == [
        ("1970-01-01", 100), ("1970-01-02", 10),
    ]  # fmt: skip
    assert {client: used.requests for client, used in book.used().items()} == {"kids": 1}


def test_what_left_is_counted_by_day_provider_and_client() -> None:
    clock = Clock()
    book = DayBook(clock, "USD")
    assert msgspec.to_builtins(book.egress()) == {
        "requests": 0, "bytes": 0, "since": "1970-01-01", "days": [],
    }  # fmt: skip
    record = a_record(near=100)
    record.line.leave("near", 20)
    record.line.leave("far", 7)
    assert (record.line.egress_bytes, record.line.egress) == (127, {"near": 120, "far": 7})
    book.done(record)
    clock.now += DAY
    book.done(a_record("office", near=1))
    book.done(a_record("office", near=1))
    assert book.egress().days == [
        Left("1970-01-01", "near", "kids", 1, 120),
        Left("1970-01-01", "far", "kids", 1, 7),
        Left("1970-01-02", "near", "office", 2, 2),
    ]
    assert (book.egress().requests, book.egress().bytes) == (4, 129)
    assert book.egress(days=False).days == []


def test_what_left_of_what_may_not_is_counted_by_itself_today() -> None:
    clock = Clock()
    book = DayBook(clock, "USD")
    record = a_record(far=100)
    record.line.private = True
    for each in (a_record(far=30), record, a_record("office")):
        book.done(each)
    again = DayBook(clock, "USD")
    again.restore(book.encode())
    assert book.today() == again.today() == Today(3, 2, 130, 100)
    clock.now += DAY
    assert again.today() == Today(0, 0, 0, 0)


def test_it_goes_on_after_a_restart() -> None:
    clock = Clock()
    before = DayBook(clock, "USD")
    before.done(a_record(near=5))
    after = DayBook(clock, "USD")
    after.restore(before.encode())
    after.done(a_record(near=6))
    assert after.egress().days == [Left("1970-01-01", "near", "kids", 2, 11)]
    assert after.used()["kids"].requests == 2
    clock.now += DAY
    later = DayBook(clock, "USD")
    later.restore(after.encode())
    assert later.used() == {}, "that was yesterday"
    assert later.egress().since == "1970-01-01"


def paid(cost: int, client: str = "kids") -> RequestDone:
    failed = attempt(1, target="near", cost=cost // 2)
    return RequestDone(
        a_record(client, near=1).line, (failed, attempt(2, target="near", cost=cost))
    )


def test_what_was_paid_today_and_this_month_outlasts_a_restart() -> None:
    clock = Clock(30 * DAY + NOON)
    book = DayBook(clock, "USD")
    book.done(paid(10))
    book.done(paid(2))
    book.done(paid(0, "office"))
    assert book.paid("day") == book.paid("month") == [Spent("kids", "near", 0, 18, 0)]
    again = DayBook(clock, "USD")
    again.restore(book.encode())
    again.done(paid(2**63))
    assert again.paid("day") == [Spent("kids", "near", 0, LARGEST, 0)]
    book.restore(again.encode())
    assert book.paid("day") == again.paid("day")


def test_a_day_and_a_month_that_end_are_paid() -> None:
    clock = Clock(29 * DAY)
    book = DayBook(clock, "USD")
    book.done(paid(10))
    clock.now += DAY
    assert (book.paid("day")[0].cost, book.paid("month")[0].cost) == (0, 15)
    clock.now += DAY
    assert book.paid("day") == book.paid("month") == []
    assert msgspec.json.decode(book.encode())["paid"] == [], "or they would grow for ever"
    book.done(paid(10))
    assert book.paid("month") == [Spent("kids", "near", 0, 15, 0)]


def test_it_is_told_what_was_paid_only_of_a_span_of_which_the_ledger_lost_rows() -> None:
    clock, lost, kept = Clock(30 * DAY + NOON), Clock(0.0), list[DayBook]()
    book = DayBook(clock, "USD", kept.append, lost_at=lost)
    book.done(paid(10))
    assert book.paid_of_lost("day") == book.paid_of_lost("month") == []
    kept.clear()
    lost.now = clock.now
    assert book.paid_of_lost("day") == book.paid_of_lost("month") == book.paid("day") != []
    assert kept, "the next run has to know it, though no request comes"
    again = DayBook(clock, "USD")
    again.restore(book.encode())
    assert again.paid_of_lost("day") == book.paid("day")
    lost.now = 0.0
    healthy = DayBook(clock, "USD")
    healthy.restore(book.encode())
    assert healthy.paid_of_lost("day") == [], "what had to wait is booked"


def test_what_the_ledger_lost_is_lost_for_its_day_and_month() -> None:
    clock = Clock(DAY)
    book = DayBook(clock, "USD", lost_at=lambda: DAY)
    book.done(paid(10))
    clock.now += DAY
    assert book.paid_of_lost("day") == []
    assert [each.cost for each in book.paid_of_lost("month")] == [15]
    clock.now += 31 * DAY
    book.done(paid(10))
    assert book.paid_of_lost("month") == []


def test_a_book_that_was_written_earlier_is_not_gone_back_to() -> None:
    """A clock may be set back: it is counted how often the book was written."""
    clock = Clock()
    book = DayBook(clock, "USD")
    book.done(a_record(near=5))
    old = book.encode()
    book.done(a_record(near=6))
    new = book.encode()
    for file, reserve in ((old, new), (new, old), (new, b" " * 99)):
        again = DayBook(clock, "USD")
        again.restore(file)
        again.restore_reserve(reserve)
        assert again.egress().bytes == 11
    only = DayBook(clock, "USD")
    only.restore_reserve(new)
    assert only.egress().bytes == 11, "of a file that was put aside nothing is newer"
    with pytest.raises(NotOursError):
        only.restore_reserve(new[:20] + b" " * 99)


def test_a_fault_in_counting_costs_one_clients_requests_at_most() -> None:
    book = DayBook(Clock(), "USD")
    broken = a_record("kids", near=1)
    broken.line.prompt_tokens = cast("int", "three")
    for each in (broken, a_record("office", near=7)):
        book.done(each)
    with pytest.raises(TypeError):
        book.used()
    assert book.used()["office"].requests == 1
    assert book.egress().bytes == 7


def test_what_was_paid_in_another_currency_is_none_of_this_one() -> None:
    book = DayBook(Clock(), "USD")
    book.done(paid(10))
    euros = DayBook(Clock(), "EUR")
    euros.restore(book.encode())
    assert euros.paid("day") == []
    assert euros.egress().bytes == 1
    euros.done(paid(2))
    assert euros.paid("day") == [Spent("kids", "near", 0, 3, 0)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"version":2}',
        b"[" * 100_000,
        b'{"version":1,"since":"1970-01-01","day":"today","used":{},"left":[]}',
        b'{"version":1,"since":"1970-01-01","day":"1970-01-01","used":{"k":{"requests":-1}}}',
    ],
)
def test_what_we_have_not_written_is_refused(content: bytes) -> None:
    book = DayBook(Clock(), "USD")
    book.done(a_record(near=5))
    with pytest.raises(NotOursError):
        book.restore(content)
    assert book.egress().bytes == 5


def test_days_that_are_too_many_are_added_up() -> None:
    clock = Clock()
    book = DayBook(clock, "USD")
    for _ in range(MAX_DAYS + 3):
        book.done(a_record(near=2))
        clock.now += DAY
    kept = msgspec.json.decode(book.encode())
    assert len(kept["left"]) == MAX_DAYS
    assert kept["earlier"] == {"requests": 3, "bytes": 6}
    assert book.egress().bytes == 2 * (MAX_DAYS + 3)
    assert book.egress().since == "1970-01-01"
    again = DayBook(clock, "USD")
    again.restore(book.encode())
    assert again.egress() == book.egress()
    assert Earlier() == Earlier(0, 0)


def test_a_file_of_many_rows_stays_small() -> None:
    clock = Clock()
    book = DayBook(clock, "USD")
    for day in range(20):
        clock.now = NOON + day * DAY
        for client in range(200):
            book.done(a_record(f"{client:060}", near=1))
    content = book.encode()
    assert len(content) <= MAX_BYTES
    assert book.egress().bytes == 20 * 200
    one_day = DayBook(clock, "USD")
    for client in range(4000):
        one_day.done(a_record(f"{client:060}", near=1))
    assert len({each["day"] for each in msgspec.json.decode(one_day.encode())["left"]}) == 1
