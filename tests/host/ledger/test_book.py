"""A row for each attempt, once, whatever its target said; and what a crash left open."""

from pathlib import Path
from zlib import crc32

import pytest
from msgspec.structs import replace

from exo_supervisor.host.ledger.book import LARGEST, MOST_ANSWERS, Book
from exo_supervisor.host.ledger.row import AT_ONCE
from exo_supervisor.views.booked import Spent
from tests.host.ledger.booking import AT, PICO, attempt, done, held, rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def book(path: Path) -> Book:
    return Book(path, {}, "USD")


def test_a_row_says_all_that_is_known_of_an_attempt(path: Path) -> None:
    failed = attempt(1, fault="stall", status=0, first=None, completion_tokens=None, cost=None)
    told = attempt(
        2, cached_tokens=8, cache_write_tokens=3, cache_write_1h_tokens=2, reasoning_tokens=5,
        estimated=True, reported_cost=4, local_cost=0, saved=9, response_id="gen-1",
        served_model="vendor/other", cost=0,
    )  # fmt: skip
    here = attempt(3, target="192.168.1.5:52415", cost=None)
    house = attempt(4, target="ollama", local=True, cost=None)
    book(path).write([], [(AT, done("01J9", failed, told, here, house, client="kids"))])
    first, second, third, fourth = rows(path)
    assert first == {
        "ended": "2026-11-23T05:05:01Z", "request_id": "01J9", "number": 1, "client": "kids",
        "target": "openrouter", "side": "cloud", "asked": "house-model", "currency": "USD",
        "model": "vendor/house-model", "served_model": None, "dialect": "openai", "fault": "stall",
        "status": 0, "duration": 1.25, "ttft": None, "prompt_tokens": 14,
        "completion_tokens": None, "cached_tokens": 0, "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0, "reasoning_tokens": 0, "estimated": 0, "cost": None,
        "reported_cost": None, "local_cost": None, "saved": None, "response_id": None, "session": 0,
        "reserved": 0,
    }  # fmt: skip
    assert second == {
        **first, "number": 2, "fault": "none", "status": 200, "ttft": 0.5, "completion_tokens": 11,
        "cached_tokens": 8, "cache_write_tokens": 3, "cache_write_1h_tokens": 2,
        "reasoning_tokens": 5, "estimated": 1, "reported_cost": 4, "local_cost": 0, "saved": 9,
        "response_id": "gen-1", "served_model": "vendor/other", "cost": 0,
    }  # fmt: skip
    assert (third["side"], fourth["side"]) == ("exo", "exo")


def test_what_is_written_twice_stands_once(path: Path) -> None:
    batch = [(AT, done("01J9", attempt(1), attempt(2))), (AT, done("01JA"))]
    book(path).write([], batch)
    book(path).write([], batch)
    assert [(row["request_id"], row["number"]) for row in rows(path)] == [
        ("01J9", 1), ("01J9", 2), ("01JA", 1),
    ]  # fmt: skip


def test_an_answer_of_one_name_is_paid_for_once_even_after_a_restart(path: Path) -> None:
    answer = attempt(response_id="gen-1")
    other = replace(answer, completion_tokens=12)
    elsewhere = replace(answer, target="other")
    book(path).write([], [(AT, done("01J9", answer)), (AT, done("01JA", answer))])
    book(path).write([], [(AT, done("01JB", answer)), (AT, done("01JC", other))])
    book(path).write([], [(AT, done("01JD", elsewhere))])
    assert [row["request_id"] for row in rows(path)] == ["01J9", "01JC", "01JD"]


def test_two_requests_whose_ids_meet_both_have_their_rows(path: Path) -> None:
    assert crc32(b"plumless") == crc32(b"buckeroo")
    batch = [(AT, done("plumless")), (AT, done("buckeroo"))]
    book(path).write([], batch)
    book(path).write([], batch)
    assert [row["request_id"] for row in rows(path)] == ["buckeroo", "plumless"]


def test_what_no_file_can_hold_is_bent_and_the_other_rows_stand(path: Path) -> None:
    odd = attempt(served_model="m\ud800", cost=10**30, target="t\udfff")
    book(path).write([], [(AT, done("01J9")), (AT, done("01JA", odd)), (AT, done("01JB"))])
    first, bent, last = rows(path)
    assert (bent["served_model"], bent["cost"], bent["target"]) == ("m?", LARGEST, "t?")
    assert (first["cost"], last["cost"]) == (3_000_000, 3_000_000)


def test_rows_of_one_statement_stand_once_each_whatever_one_of_them_says(path: Path) -> None:
    batch = [(AT + number, done(f"01J{number:03}")) for number in range(3 * AT_ONCE)]
    batch[AT_ONCE] = AT, done("01Jodd", attempt(cost=10**30))
    book(path).write([], batch[:10])
    book(path).write([], batch)
    written = rows(path)
    assert [row["request_id"] for row in written] == sorted(one.line.request_id for _, one in batch)
    assert written[-1]["cost"] == LARGEST


def test_of_many_answers_the_last_ones_are_remembered(path: Path) -> None:
    ours = book(path)
    batch = [
        (AT, done(f"01J{number:05}", attempt(response_id=f"gen-{number}")))
        for number in range(MOST_ANSWERS + 1)
    ]
    ours.write([], batch)
    ours.write([], [(AT, done("01K1", attempt(response_id="gen-1")))])
    assert not rows(path, "* FROM attempt WHERE request_id = '01K1'")


def test_a_reservation_is_settled_by_the_row_of_its_attempt(path: Path) -> None:
    ours = book(path)
    ours.write([held("01J9", 1), held("01J9", 2), held("01JA")], [])
    assert len(rows(path, "* FROM reservation")) == 3
    ours.write([], [(AT, replace(done("01J9"), session=7))])
    (row,) = rows(path)
    assert (row["reserved"], row["session"], row["cost"]) == (PICO, 7, 3_000_000)
    assert [row["request_id"] for row in rows(path, "* FROM reservation")] == ["01JA"]


def test_what_a_crash_left_open_is_spent_in_full(path: Path) -> None:
    crashed = book(path)
    crashed.write([held("01J9"), held("01JA", amount=5)], [(AT, done("01J9"))])
    crashed.close()
    (row,) = rows(path, "* FROM reservation")
    assert row["request_id"] == "01JA"
    again = book(path)
    assert not rows(path, "* FROM reservation")
    (left,) = [row for row in rows(path) if row["fault"] == "crashed"]
    assert (left["request_id"], left["reserved"], left["cost"]) == ("01JA", 5, None)
    assert again.spent(AT - 3600) == [
        Spent("default", "openrouter", 0, 3_000_000, 1),
        Spent("default", "openrouter", 7, 5, 1),
    ]
    again.close()
    assert len([row for row in rows(path) if row["fault"] == "crashed"]) == 1


def test_what_is_under_way_is_not_taken_for_a_crash_when_the_file_is_opened_again(
    path: Path,
) -> None:
    ours = Book(path, under_way := {}, "USD")
    ours.write([held("01J9")], [])
    ours.close()
    Book(path, under_way, "USD").write([], [(AT, done("01J9"))])
    (row,) = rows(path)
    assert (row["fault"], row["reserved"]) == ("none", PICO)


def test_spent_counts_attempts_at_clouds_that_began_since_then(path: Path) -> None:
    exo = attempt(2, target="10.0.0.5:52415", cost=None)
    unknown = attempt(3, cost=None)
    ours = book(path)
    ours.write([], [(AT, done("01J9", attempt(), exo, unknown)), (AT + 60, done("01JA"))])
    ours.write([], [(AT + 60, done("01JB", attempt(target="other"), client="kids"))])
    began = AT - 2 + 0.5
    assert ours.spent(began + 30) == [
        Spent("default", "openrouter", 0, 3_000_000, 1), Spent("kids", "other", 0, 3_000_000, 1),
    ]  # fmt: skip
    assert ours.spent(began - 1)[0] == Spent("default", "openrouter", 0, 6_000_000, 2)
    assert ours.spent(AT + 60) == []
