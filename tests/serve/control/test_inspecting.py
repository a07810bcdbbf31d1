"""Who may look on is told at once what is wrong with how it asks; nobody else sees anything."""

import os
import socket
from collections.abc import Generator

import pytest

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.policy import ClientRule, Policy
from exo_supervisor.serve.clients import Clients, Who
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.inspecting import INSPECT, Inspecting
from exo_supervisor.serve.inspector import Inspection, Inspector
from tests.serve.control.asked import ADMIN, House

USER = os.geteuid()


@pytest.fixture
def inspector() -> Inspector:
    return Inspector(Machine(Policy(), 0.0).catalog)


@pytest.fixture
def house(inspector: Inspector) -> House:
    clients = Clients([Who(ClientRule("kids"))])
    return House(below={INSPECT: Inspecting(inspector, clients, Authority()).look})


@pytest.fixture
def plug() -> Generator[socket.socket]:
    """One end of a Unix socket: at the other is the service's own user."""
    one, other = socket.socketpair()
    with one, other:
        yield one


@pytest.mark.parametrize(
    ("query", "status", "code", "words"),
    [
        ("for=0", 400, "wrong_type", "for is a number above 0, and at most 86400"),
        ("for=-5", 400, "wrong_type", "for is a number above 0, and at most 86400"),
        ("for=10m", 400, "wrong_type", "for is a number above 0, and at most 86400"),
        ("for=nan", 400, "wrong_type", "for is a number above 0, and at most 86400"),
        ("for=863913600", 400, "wrong_type", "for is a number above 0, and at most 86400"),
        ("next=0", 400, "wrong_type", "next is a number above 0, and at most 1000"),
        ("next=1001", 400, "wrong_type", "next is a number above 0, and at most 1000"),
        ("next=1.5", 400, "wrong_type", "next is a whole number"),
        ("client=kid", 404, "target_not_found", "no [[client]] of this name; similar: kids"),
        ("client=x", 404, "target_not_found", "no [[client]] of this name"),
    ],
)
async def test_what_is_wrong_with_an_order_is_told(
    query: str, status: int, code: str, words: str, house: House, plug: socket.socket,
    inspector: Inspector,
) -> None:  # fmt: skip
    said = await house.ask("POST", f"{INSPECT}?{query}", plug=plug)
    assert said.error[:2] == (status, code)
    assert words in said.error[2]
    assert inspector.inspection is None


async def test_there_is_one_at_a_time(
    house: House, plug: socket.socket, inspector: Inspector
) -> None:
    inspector.begin(Inspection(USER, None, 9, 0.0))
    said = await house.ask("POST", INSPECT, plug=plug)
    assert said.error[:2] == (409, "inspection_runs")
    assert "exo-supervisor inspect stop" in said.error[2]
    assert inspector.inspection is not None


async def test_what_runs_is_shown_and_ended(
    house: House, plug: socket.socket, inspector: Inspector
) -> None:
    assert (await house.ask("GET", INSPECT, plug=plug)).body == {"inspection": None, "requests": []}
    assert (await house.ask("DELETE", INSPECT, plug=plug)).body == {"ended": False}
    inspector.begin(Inspection(USER, "kids", 9, 0.0))
    shown = (await house.ask("GET", INSPECT, plug=plug)).body["inspection"]
    assert (shown["client"], shown["requests"], shown["why"]) == ("kids", 9, None)
    assert shown["until"] == "1970-01-01T00:00:00Z"
    assert (await house.ask("DELETE", INSPECT, plug=plug)).body == {"ended": True}
    assert inspector.inspection is None


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_over_tcp_and_to_whoever_is_gone_nothing_is_shown(
    method: str, house: House, inspector: Inspector
) -> None:
    """A token of an admin's client does not help: nobody can tell who sent it."""
    inspector.begin(Inspection(USER, None, 9, 0.0))
    with socket.socket() as tcp:
        for plug in (tcp, None):
            said = await house.ask(method, INSPECT, plug=plug, client=ADMIN)
            assert said.error[:2] == (403, "not_allowed")
            assert "on the Unix socket alone" in said.error[2]
    assert inspector.inspection is not None


async def test_what_is_no_way_to_ask_is_told(house: House, plug: socket.socket) -> None:
    said = await house.ask("PUT", INSPECT, plug=plug)
    assert (said.status, said.headers["allow"]) == (405, "GET, POST, DELETE")
    assert (await house.ask("GET", f"{INSPECT}/x", plug=plug)).error[:2] == (404, "route_not_found")
