"""Found is not trusted, before real sockets: what another user, a name and a pin may come to."""

import os
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import anyio
import httpx
import pytest
from anyio import from_thread

from exo_supervisor.app.border import ROOT, Border, Ip, user_ids
from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.errors import StartError
from exo_supervisor.host.owners import Listeners, Owners, read_listeners
from tests.app.world import CLOUD_MODEL, KEY, Json, in_process, started, until
from tests.ports import quiet_port

pytestmark = pytest.mark.real_time

STRANGER = 54_321
LOCAL = {"x-supervisor-privacy": "local_only"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else")


async def only_by_us(url: str, asked: list[str]) -> bool:
    """Ask an Exo ourselves, and say whether that is all that it was asked by then."""
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{url}/node_id")

    async def told() -> str:
        return "".join(asked)

    return await until(told, bool) == "asked {'/node_id': 1}\n"


@asynccontextmanager
async def exo_of(user: int, port: int = 0) -> AsyncGenerator[tuple[str, list[str]]]:
    """Run an Exo of another user; what it is asked is noted, a moment later."""
    port, asked = port or quiet_port(), list[str]()
    async with (
        started(str(user), str(port), module="tests.hostile.other_user") as process,
        anyio.create_task_group() as tasks,
    ):
        assert process.stdout is not None
        url = (await process.stdout.receive()).decode().strip()

        async def note() -> None:
            assert process.stdout is not None
            async for piece in process.stdout:
                asked.append(piece.decode())

        tasks.start_soon(note)
        yield url, asked
        tasks.cancel_scope.cancel()


@as_root
async def test_what_another_user_listens_on_gets_nothing_although_it_is_a_seed() -> None:
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with exo_of(STRANGER) as (url, asked), cloud, in_process(url, cloud=cloud) as world:
        [row] = (await world.until("/supervisor/nodes", _is_other))["nodes"]
        assert "discovery.loopback_users" in row["advice"]
        assert (await world.chat(LOCAL)).status_code == 503
        assert (await world.chat()).headers["x-supervisor-target"] == "house-cloud"
        assert await only_by_us(url, asked), "not even a probe"


@as_root
async def test_a_user_that_the_configuration_names_may_run_an_exo_here() -> None:
    discovery = {"loopback_users": [str(STRANGER)]}
    async with exo_of(STRANGER) as (url, _), in_process(url, discovery=discovery) as world:
        await world.ready()
        assert (await world.chat(LOCAL)).status_code == 200


@as_root
async def test_who_takes_the_port_of_an_exo_that_ended_gets_nothing() -> None:
    port = quiet_port()
    async with in_process(f"http://127.0.0.1:{port}") as world:
        async with ExoNode("C", pace=0.0, port=port):
            await world.ready()
            assert (await world.chat(LOCAL)).status_code == 200
        async with exo_of(STRANGER, port) as (url, asked):
            row = (await world.until("/supervisor/nodes", _is_other))["nodes"][0]
            assert row["trust"] == "named", "the address is, and who listens there is not"
            assert (await world.chat(LOCAL)).status_code in (502, 503)
            assert await only_by_us(url, asked)


def _is_other(body: Json) -> bool:
    return "another user" in (body["nodes"][0]["why"] or "")


async def test_who_listens_is_read_from_the_kernel() -> None:
    owners = Owners(read_listeners)
    for family, bound, asked in (
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ):
        with socket.socket(family) as listening:
            listening.bind((bound, 0))
            port = listening.getsockname()[1]
            assert await owners(ip_address(asked), port) == frozenset(), "bound is not listening"
            listening.listen()
            assert await owners(ip_address(asked), port) == {os.geteuid()}


async def test_who_asks_where_nobody_listens_leaves_nothing_in_the_table() -> None:
    table = Listeners(set)
    assert await Owners(lambda: table)(IPv4Address("127.0.0.1"), 80) == frozenset()
    assert not table


async def test_one_reading_is_for_all_who_asked_before_it_began() -> None:
    """Who asks while it is read is told of the next: another may listen there by then."""
    readings: list[int] = []
    begun, go_on = anyio.Event(), threading.Event()

    def read() -> Listeners:
        readings.append(len(readings))
        if not readings[-1]:
            raise PermissionError
        from_thread.run_sync(begun.set)
        go_on.wait()
        return Listeners(set, {"0100007F:0050": {readings[-1]}})

    owners, told = Owners(read), list[set[int]]()

    async def ask() -> None:
        with suppress(PermissionError):
            told.append({*await owners(IPv4Address("127.0.0.1"), 80)})

    async with anyio.create_task_group() as tasks:
        try:
            for _ in range(3):
                tasks.start_soon(ask)
            await begun.wait()
            for _ in range(3):
                tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
        finally:
            go_on.set()
    assert told == [{1}] * 2 + [{2}] * 3, "the first of all could not read, and has told nobody"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("8.8.8.8", "outside"), ("1.1.1.1", "outside"), ("2606:4700::1111", "outside"),
        ("::ffff:8.8.8.8", "outside"), ("203.0.113.7", None), ("203.0.114.7", "outside"),
        ("10.1.2.3", None), ("192.168.0.9", None), ("172.16.0.1", None), ("172.32.0.1", "outside"),
        ("169.254.1.1", None), ("fd00::1", None), ("fe80::1", None), ("::ffff:10.0.0.1", None),
        ("224.0.0.251", "outside"), ("ff02::1", "outside"), ("255.255.255.255", "outside"),
    ],
)  # fmt: skip
async def test_a_connection_to_a_node_stays_in_this_network(address: str, why: str | None) -> None:
    """Asked of the address at which it would end, whatever name led there."""
    ranges = [IPv4Network("203.0.113.0/24")]
    border = Border(ranges, {ROOT}, Owners(read_listeners))
    assert await border.why_not(ip_address(address), 52415) == why


@pytest.mark.parametrize("ip", [IPv4Address("127.0.0.1"), IPv6Address("::1"), IPv4Address(0)])
async def test_on_this_machine_the_listener_decides(ip: IPv4Address | IPv6Address) -> None:
    cases = ({0}, None), ({7}, "other_user"), ({0, 7}, "other_user"), (set[int](), "refused")
    for listening, why in cases:
        border = Border([], {ROOT}, _listening(listening))
        assert await border.why_not(ip, 52415) == why
    blind = Border([], {ROOT}, None)
    assert (await blind.why_not(ip, 52415), blind.owned) == (None, False)


def _listening(users: set[int]) -> Callable[[Ip, int], Awaitable[frozenset[int]]]:
    async def told(_ip: Ip, _port: int) -> frozenset[int]:
        return frozenset(users)

    return told


def test_a_user_that_is_not_there_keeps_the_service_from_starting() -> None:
    assert user_ids(["root", "4711"]) == {ROOT, os.geteuid(), 4711}
    with pytest.raises(StartError, match="no such user"):
        user_ids(["nobody-of-that-name"])


async def test_a_name_that_leads_outside_is_not_followed() -> None:
    """`one.one.one.one` would do, but a test has no network: the public address stands for it."""
    async with in_process("http://1.1.1.1:52415") as world:
        await world.until(
            "/supervisor/nodes", lambda body: "out of this network" in body["nodes"][0]["why"]
        )
