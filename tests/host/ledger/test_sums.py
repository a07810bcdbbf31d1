"""Sums come to what is reckoned by hand, and to the same when the rows are long gone."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from exo_supervisor.host.ledger import book as books
from exo_supervisor.host.ledger.book import Book
from exo_supervisor.host.ledger.file import LedgerError, open_file
from exo_supervisor.host.ledger.schema import STEPS
from exo_supervisor.host.ledger.sums import read_booked, read_sums
from exo_supervisor.views.booked import MOST_ROWS, By, LedgerUnreadableError, Spent, Sum, Sums
from tests.host.ledger.booking import AT, attempt, done, held, rows

DAY = 86_400
TODAY = int(AT) // DAY
NODE = "192.168.1.5:52415"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def three_days(path: Path) -> Book:
    """Book what the tests reckon with: three days, two clients, a node and a provider."""
    told = attempt(2, cached_tokens=4, reasoning_tokens=6, reported_cost=3_500_000)
    failed = attempt(1, fault="bad_status", status=500, prompt_tokens=None, completion_tokens=None,
                     cost=None)  # fmt: skip
    at_exo = attempt(target=NODE, cost=None, local_cost=10, saved=2_000_000)
    unknown = attempt(cost=None, estimated=True)
    book = Book(path, {}, "USD")
    book.write([], [(AT - DAY, done("01J9A", failed, told)), (AT, done("01J9B", at_exo))])
    book.write([], [(AT, done("01J9C", unknown, client="kids", model="other"))])
    book.write([], [(AT + DAY, done("01J9D", client="kids"))])
    return book


FIRST = Sum(1, 2, 14, 4, 11, 6, 0, 0, 3_000_000, 3_500_000, 3_000_000)
AT_EXO = Sum(1, 1, 14, 0, 11, local_cost=10, saved=2_000_000)
UNKNOWN = Sum(1, 1, 14, 0, 11, 0, 1, 1)
LAST = Sum(1, 1, 14, 0, 11, cost=3_000_000)
TOTAL = FIRST + AT_EXO + UNKNOWN + LAST


@pytest.mark.parametrize("rolled", [False, True])
def test_sums_are_what_is_reckoned_by_hand_of_rows_and_of_days(path: Path, *, rolled: bool) -> None:
    book = three_days(path)
    if rolled:
        assert not book.roll_up(AT + DAY - 1)
        assert [row["request_id"] for row in rows(path)] == ["01J9D"]

    def read(by: By) -> Sums:
        return read_sums(path, by, None, None, "USD")

    days = [("2026-11-22", FIRST), ("2026-11-23", AT_EXO + UNKNOWN), ("2026-11-24", LAST)]
    assert read("day") == Sums(days, TOTAL, 0)
    assert read("client").rows == [("default", FIRST + AT_EXO), ("kids", UNKNOWN + LAST)]
    assert read("target").rows == [("openrouter", FIRST + UNKNOWN + LAST), (NODE, AT_EXO)]
    models = [("house-model", FIRST + AT_EXO + LAST), ("other", UNKNOWN)]
    assert read("model").rows == models
    assert read_sums(path, "day", TODAY, TODAY + 1, "USD").rows == days[1:2]
    assert read_sums(path, "day", TODAY, None, "USD").rows == days[1:]
    assert read_sums(path, "day", None, TODAY, "USD").rows == days[:1]


def test_rows_are_added_up_a_few_at_a_time_each_once(path: Path) -> None:
    book, many = Book(path, {}, "USD"), books.ROLLED + 3
    book.write([], [(AT + number / 1000, done(f"01J9{number}")) for number in range(many)])
    before = read_sums(path, "day", None, None, "USD")
    assert book.roll_up(AT + DAY)
    assert len(rows(path)) == 3
    assert read_sums(path, "day", None, None, "USD") == before
    assert not book.roll_up(AT + DAY)
    assert not book.roll_up(AT + DAY)
    assert read_sums(path, "day", None, None, "USD") == before


def test_what_a_crash_left_open_has_no_known_price(path: Path) -> None:
    crashed = Book(path, {}, "USD")
    crashed.write([held()], [])
    crashed.close()
    Book(path, {}, "USD").close()
    assert read_sums(path, "day", None, None, "USD").total == Sum(1, 1, unpriced=1)


def test_more_rows_than_are_told_are_in_the_total(path: Path) -> None:
    batch = [(AT, done(f"01J9{n}", model=f"m{n}")) for n in range(MOST_ROWS + 2)]
    Book(path, {}, "USD").write([], batch)
    sums = read_sums(path, "model", None, None, "USD")
    assert (len(sums.rows), sums.left_off) == (MOST_ROWS, 2)
    assert sums.total.requests == MOST_ROWS + 2


def test_money_is_told_exactly_and_never_as_a_float(path: Path) -> None:
    batch = [(AT, done("01J9A", attempt(cost=1))), (AT, done("01J9B", attempt(cost=3 * 10**15)))]
    Book(path, {}, "USD").write([], batch)
    shown = read_sums(path, "day", None, None, "USD").shown()
    assert shown["total"] == {
        "requests": 2, "attempts": 2, "prompt_tokens": 28, "cached_tokens": 0,
        "completion_tokens": 22, "reasoning_tokens": 0, "estimated": 0, "unpriced": 0,
        "cost": "3000.000000000001", "reported_cost": "0.00", "cost_of_reported": "0.00",
        "local_cost": "0.00", "saved": "0.00",
    }  # fmt: skip


def test_money_of_two_currencies_is_never_added_up(path: Path) -> None:
    three_days(path).close()
    book = Book(path, {}, "EUR")
    book.write([], [(AT + DAY, done("01J9E", attempt(response_id="gen-e"), client="kids"))])
    assert book.spent(AT - 9 * DAY) == [Spent("kids", "openrouter", 0, 3_000_000, 1)]
    for _ in range(2):
        euros = read_sums(path, "client", None, None, "EUR")
        assert (euros.rows, euros.total, euros.others) == ([("kids", LAST)], LAST, ("USD",))
        dollars = read_sums(path, "client", None, None, "USD")
        assert (dollars.total, dollars.others) == (TOTAL, ("EUR",))
        assert dollars.rows[1:] == [("kids", UNKNOWN + LAST)]
        assert not book.roll_up(AT + 9 * DAY)
    assert read_sums(path, "day", None, TODAY, "EUR").others == ("USD",)
    assert read_sums(path, "day", TODAY + 2, None, "EUR").others == ()


def test_what_was_paid_in_another_currency_is_not_held_against_a_list(path: Path) -> None:
    book = Book(path, {}, "USD")
    book.write([], [(AT, done("01J9A", attempt(response_id="gen-a")))])
    book.close()
    Book(path, {}, "EUR").write([], [(AT, done("01J9B", attempt(response_id="gen-b")))])
    found = read_booked(path, "openrouter", None, None, 0, "EUR")
    assert {each.response_id: each.cost for each in found} == {"gen-a": None, "gen-b": "0.000003"}


def test_what_was_held_when_the_currency_changed_is_spent_in_the_old_one(path: Path) -> None:
    crashed = Book(path, {}, "USD")
    crashed.write([held("01J9", amount=5)], [])
    crashed.close()
    assert Book(path, {}, "EUR").spent(AT - DAY) == []
    assert [(row["fault"], row["currency"]) for row in rows(path)] == [("crashed", "USD")]


def test_a_file_that_is_not_there_or_no_ledger_is_said_to_be_unreadable(path: Path) -> None:
    with pytest.raises(LedgerUnreadableError, match="unable to open"):
        read_sums(path, "day", None, None, "USD")
    path.write_bytes(b"no database" * 100)
    with pytest.raises(LedgerUnreadableError, match="not a database"):
        read_sums(path, "day", None, None, "USD")


def link(path: Path) -> None:
    path.symlink_to(path.parent / "other")


@pytest.mark.parametrize("make", [os.mkfifo, link])
def test_what_is_no_plain_file_is_not_opened(path: Path, make: Callable[[Path], None]) -> None:
    sqlite3.connect(path.parent / "other").close()
    make(path)
    with pytest.raises(LedgerUnreadableError, match="is no plain file"):
        read_sums(path, "day", None, None, "USD")


@pytest.mark.parametrize("version", range(1, len(STEPS) + 1))
def test_a_file_of_each_earlier_version_is_brought_up_with_all_its_rows(
    path: Path, version: int
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for step in STEPS[:version]:
            connection.executescript(step)
        connection.execute(f"PRAGMA user_version = {version}")
        kind = (1, "kids", "openrouter", "cloud", "m", "m", "openai", "none", 200)
        told = "" if version < 3 else ", 'USD'"
        connection.execute(f"INSERT INTO kind VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?{told})", kind)  # noqa: S608 -- ours
        columns = "id, ts, request_id, number, kind, duration, cost"
        row = (5, int(AT * 1000), "01J9", 1, 1, 10, 3)
        connection.execute(f"INSERT INTO attempt ({columns}) VALUES {row}")  # noqa: S608 -- ours
        connection.commit()
    path.chmod(0o600)
    Book(path, {}, "USD").close()
    with closing(open_file(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sums = read_sums(path, "client", None, None, "USD")
    assert sums.rows == [("kids", Sum(1, 1, cost=3))]


def test_a_newer_file_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
        connection.execute("CREATE TABLE new (x)")
    path.chmod(0o600)
    with pytest.raises(LedgerError, match="is of version"):
        open_file(path)
