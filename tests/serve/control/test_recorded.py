"""Requests are told by the beginning of their ids, all of them to their own client or an admin."""

import os
import socket

import pytest
from msgspec import structs

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule, Policy
from exo_supervisor.views.recorder import MOST, Recorder
from exo_supervisor.views.request_done import RequestDone, RequestLine
from tests.core.story import LOCAL
from tests.serve.control.asked import House, about_it

KIDS = ClientRule("kids")
REQUESTS = "/supervisor/requests"


def line(name: str, client: str = "kids", uid: int | None = None) -> RequestLine:
    made = RequestLine(name, model="chat", target="a:1", outcome="success", client=client)
    made.client_uid = uid
    return made


def house(*lines: RequestLine, policy: Policy = LOCAL) -> House:
    recorder = Recorder(lambda: 1000.0)
    for each in lines:
        recorder.done(RequestDone(each, ()))
    return House(policy, "a:1", about=about_it(recorder=recorder))


async def test_the_last_that_ended_are_listed_where_they_are_asked_for() -> None:
    built = house(*(line(f"AAAA{n}") for n in range(3)))
    assert set((await built.get(REQUESTS)).body) == {"requests"}
    said = (await built.get(f"{REQUESTS}?last=2")).body
    assert [each["id"] for each in said["ended"]] == ["AAAA2", "AAAA1"]
    assert said["kept"]["requests"] == 3


@pytest.mark.parametrize("last", ["0", "-1", "x", "", str(MOST + 1), "99999", "\u0661", "0" * 9])
async def test_a_number_that_is_none_is_refused(last: str) -> None:
    status, code, words = (await house().get(f"{REQUESTS}?last={last}")).error
    assert (status, code) == (400, "bad_value")
    assert words == f"last wants a whole number from 1 to {MOST}"


async def test_as_many_as_are_kept_may_be_asked_for() -> None:
    for last in ("1", str(MOST), "0007"):
        assert (await house(line("AAAA")).get(f"{REQUESTS}?last={last}")).status == 200


async def test_a_request_is_found_by_its_first_letters_in_any_case() -> None:
    built = house(line("ABCD1"), line("ABCE1"))
    for name in ("ABCD1", "abcd", "%41bcd"):
        assert (await built.get(f"{REQUESTS}/{name}")).body["request"]["id"] == "ABCD1"
    built.story.ask("WXYZ1")
    assert (await built.get(f"{REQUESTS}/wxyz")).body["request"]["state"] != "ended"
    assert (await built.get(f"{REQUESTS}/abcd")).body["request"]["state"] == "ended"


async def test_what_begins_several_names_some_of_them() -> None:
    names = [f"ABCD{n}" for n in range(4)]
    for many, words in (
        (2, "several requests begin so: ABCD0, ABCD1"),
        (3, "several requests begin so: ABCD0, ABCD1, ABCD2"),
        (4, "several requests begin so: ABCD0, ABCD1, ABCD2 and others"),
    ):
        said = await house(*map(line, names[:many])).get(f"{REQUESTS}/ABCD")
        assert said.error == (400, "bad_value", words)
        assert said.body["error"]["param"] == "id"
    built = house(line("ABCD1"))
    built.story.ask("ABCD2")
    assert (await built.get(f"{REQUESTS}/ABCD")).error[2].endswith("ABCD2, ABCD1")


async def test_one_that_is_not_kept_is_told_how_far_back_is() -> None:
    for lines, words in (
        ((line("ABCD"),), "the last 1 that ended, which reach back to 1970-01-01T00:16:40.000Z"),
        ((), "the last 0 that ended since the start"),
    ):
        status, code, told = (await house(*lines).get(f"{REQUESTS}/ZZZZ")).error
        assert (status, code) == (404, "request_not_found")
        assert told.endswith(words)


@pytest.mark.parametrize("name", ["ABC", "ABCD-", "A" * 27, "ABCD%0A"])
async def test_what_is_no_id_is_refused(name: str) -> None:
    assert (await house().get(f"{REQUESTS}/{name}")).error[:2] == (400, "bad_value")


async def test_nothing_is_ordered_here_and_nothing_lies_below_shifts() -> None:
    for path, takes in (
        (REQUESTS, "/supervisor/requests takes GET"),
        (f"{REQUESTS}/ABCD", "/supervisor/requests/{id} takes GET"),
        ("/supervisor/shifts", "/supervisor/shifts takes GET"),
    ):
        assert (await house().post(path)).error == (405, "method_not_allowed", takes)
    below = (await house().get("/supervisor/shifts/x")).error
    assert below == (404, "route_not_found", "nothing lies below /supervisor/shifts")


async def test_all_of_a_request_is_for_its_own_client_and_for_admins() -> None:
    built = house(line("KIDS"), line("NOBODY", DEFAULT_CLIENT.name, os.geteuid()))
    for client, told in (
        (KIDS, {"KIDS": True, "NOBODY": False}),
        (ClientRule("office"), {"KIDS": False, "NOBODY": False}),
        (structs.replace(KIDS, admin=True), {"KIDS": True, "NOBODY": True}),
        (DEFAULT_CLIENT, {"KIDS": False, "NOBODY": False}),
    ):
        ended = (await built.get(f"{REQUESTS}?last=9", client)).body["ended"]
        assert {each["id"]: each["full"] for each in ended} == told
        for name, full in told.items():
            row = (await built.get(f"{REQUESTS}/{name}", client)).body["request"]
            assert (row["full"], "tried" in row) == (full, full)


async def test_whom_no_row_names_is_told_from_others_by_the_user_alone() -> None:
    """Over TCP there is none, so that those see each other's."""
    built = house(line("NOBODY", DEFAULT_CLIENT.name), line("SOMEONE", DEFAULT_CLIENT.name, 9))
    ended = (await built.get(f"{REQUESTS}?last=9", DEFAULT_CLIENT)).body["ended"]
    assert {each["id"]: each["full"] for each in ended} == {"NOBODY": True, "SOMEONE": False}
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        said = await built.ask("GET", f"{REQUESTS}?last=9", DEFAULT_CLIENT, plug=far)
    assert all(each["full"] for each in said.body["ended"]), "it is the service's own user"
