"""A thousand nodes that tell large states leave us time for their beats, and none holds another up.

To read a state costs the loop a moment of CPU here, as it does in life: virtual time jumps by it.
"""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest
import trio
from trio.testing import MockClock

from exo_supervisor.core.effects import ReadPlacement, UnwatchNode, WatchNode
from exo_supervisor.core.events import (
    Event,
    PlacementFailed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.names import Address
from exo_supervisor.core.network import Why
from exo_supervisor.fleet_io.health import Health, Reads
from exo_supervisor.fleet_io.turns import ANEW_AT_ONCE, AT_ONCE
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo.identity import HttpAnswer
from tests.runtime.timing import virtual

MANY = 1_000
COST = 0.01
"""Seconds of CPU that it takes to take two megabytes in and to read them."""
SIZE = 2_000_000
PARTS = 32
"""Reads that bring a state; in a turn of the loop all nodes have one each."""
LATENCY = 0.002
THINKS = 0.1
"""Seconds that a node takes to write its state."""
DRIP = 100
"""Bytes that come each tenth of a second of a state that never comes to an end."""
STATE = b'{"instances":{},"runners":{},"topology":{"nodes":["n1"],"connections":{}}}'
MISSING = HttpAnswer(404, b"")


class Nodes:
    """Nodes of an old B, which tell their states whole; those that drip never come to an end."""

    def __init__(
        self, dripping: Collection[int] = (), *, cost: float = COST, parts: int = PARTS
    ) -> None:
        self.dripping, self._cost, self._parts = dripping, cost, parts
        self.reading = self.most = self.came = 0

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        assert (limit > 0, headers) == (True, NO_HEADERS)
        number, _, path = url.removeprefix("http://10.0.0.1:").partition("/")
        try:
            with anyio.fail_after(timeout):
                await anyio.sleep(LATENCY)
                if path == "state":
                    return await self._tell(drips=int(number) in self.dripping)
        except TimeoutError:
            raise GetError("timeout", "no answer in time") from None
        if path == "node_id":
            name = number.replace("0", "z").rjust(44, "1")  # base 58 has no 0
            return HttpAnswer(200, f'"12D3KooW{name}"'.encode())
        return MISSING

    async def _tell(self, *, drips: bool) -> HttpAnswer:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            while drips:
                await anyio.sleep(0.1)
                self.came += DRIP
            await anyio.sleep(THINKS)
            for _ in range(self._parts):
                await anyio.sleep(0.0001)
                clock.jump(self._cost / self._parts)
                self.came += SIZE // self._parts
        finally:
            self.reading -= 1
        return HttpAnswer(200, STATE)


class OnOneLink(Nodes):
    """Nodes whose states all come over one link, which brings so many bytes a second."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate = rate

    async def _tell(self, *, drips: bool) -> HttpAnswer:
        assert not drips
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            left = SIZE
            while left > 0:
                await anyio.sleep(0.02)
                came = round(0.02 * self._rate / self.reading)
                left -= came
                self.came += came
        finally:
            self.reading -= 1
        return HttpAnswer(200, STATE)


class House:
    """Health, and what it tells of whom; like the core, it wants a node read until it was."""

    def __init__(self, nodes: Nodes) -> None:
        self.health = Health(
            Reads(nodes, lambda: nodes.came), Reads(nodes, lambda: nodes.came),
            self._hear, virtual(), interval=5.0, timeout=2.0,
        )  # fmt: skip
        self.met = dict[Address, float]()
        self.read = dict[Address, float]()
        self.heard = list[Event]()

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        match event:
            case ProbeAnswered():
                self.met.setdefault(event.node, anyio.current_time())
                if event.node not in self.read:
                    self.health.read(ReadPlacement(node=event.node))
            case PlacementRead():
                self.read.setdefault(event.node, anyio.current_time())
            case _:
                pass

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.heard)


@asynccontextmanager
async def watching(nodes: Nodes, *, many: int = MANY, seeded: bool = True) -> AsyncGenerator[House]:
    """Sight the nodes one after the other, as an inbox brings them."""
    house = House(nodes)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.health.run)
        await anyio.wait_all_tasks_blocked()
        for number in range(not seeded, many):
            house.health.watch(watch(number, seeded=seeded))
            await anyio.sleep(0.001)
        yield house
        tasks.cancel_scope.cancel()


def address(number: int) -> Address:
    return Address(f"10.0.0.1:{number}")


def watch(number: int, *, seeded: bool = True) -> WatchNode:
    return WatchNode(node=address(number), url=f"http://{address(number)}", seeded=seeded)


def every(dripping: int) -> frozenset[int]:
    """Choose so many of the nodes, evenly."""
    return frozenset(n * MANY // max(dripping, 1) for n in range(dripping))


async def test_a_thousand_large_states_leave_time_for_every_beat() -> None:
    nodes = Nodes()
    async with watching(nodes) as house:
        await anyio.sleep(1.0)
        assert len(house.met) == MANY, "who they are is known while their states are read"
        assert anyio.current_time() < 4.0
        await anyio.sleep(11.0)
    assert len(house.read) == MANY
    assert house.count(ProbeFailed) == house.count(PlacementFailed) == 0
    assert nodes.most <= 2 * AT_ONCE, "what they tell is held of so many at once"


@pytest.mark.parametrize(
    ("dripping", "within"), [(0, 6.0), (16, 6.5), (100, 7.5), (500, 17.0), (900, 13.0)]
)
async def test_nodes_that_drip_their_states_hold_nobody_up_for_long(
    dripping: int, within: float
) -> None:
    slow = every(dripping)
    async with watching(Nodes(slow, cost=0.001, parts=2)) as house:
        began = anyio.current_time()
        await anyio.sleep(25.0)
    assert {address(n) for n in range(MANY) if n not in slow} == set(house.read)
    assert max(house.read.values()) - began < within
    assert house.count(ProbeFailed) == 0
    failed = {event.node for event in house.heard if isinstance(event, PlacementFailed)}
    assert failed == {address(n) for n in slow}, "each has had its time, and failed"


@pytest.mark.parametrize("seeded", [True, False])
@pytest.mark.parametrize(("many", "within"), [(8, 12.0), (12, 15.0), (30, 30.0)])
async def test_those_that_were_in_each_others_way_are_read_anew_a_few_at_a_time(
    many: int, within: float, *, seeded: bool
) -> None:
    """Their states take longer over the link together than a reading may take."""
    nodes = OnOneLink(2_500_000)
    async with watching(nodes, many=many + (not seeded), seeded=seeded) as house:
        await anyio.sleep(5.5)
        assert house.count(PlacementFailed) == many
        nodes.most = 0
        await anyio.sleep(55.0)
    assert len(house.read) == many
    assert max(house.read.values()) < within
    assert house.count(PlacementFailed) == many, "none failed twice"
    assert nodes.most == ANEW_AT_ONCE


class Faltering(Nodes):
    """The last node's first answer breaks off."""

    last = 4 * AT_ONCE
    why: Why = "timeout"

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        if url == f"http://{address(self.last)}/state":
            self.last = 0
            raise GetError(self.why, "")
        return await super().__call__(url, timeout=timeout, limit=limit, headers=headers)


@pytest.mark.parametrize(("why", "within"), [("timeout", 7.0), ("reset", 5.3)])
async def test_who_could_not_be_read_is_tried_anew_though_many_drip(
    why: Why, within: float
) -> None:
    """Who was not late does not even wait for those that were."""
    nodes = Faltering(range(Faltering.last))
    nodes.why = why
    last = address(nodes.last)
    async with watching(nodes, many=nodes.last + 1) as house:
        await anyio.sleep(8.0)
    assert house.heard.count(PlacementFailed(node=last, why=why)) == 1
    assert house.read[last] < within


@pytest.mark.parametrize("seeded", [True, False])
async def test_no_node_of_a_home_waits_for_another(*, seeded: bool) -> None:
    """Who is there beside some that drip is read as soon as if it were alone."""
    last = AT_ONCE - 1
    async with watching(Nodes(range(last)), many=AT_ONCE, seeded=seeded) as house:
        await anyio.sleep(1.0)
    took = house.read[address(last)] - house.met[address(last)]
    assert took == pytest.approx(LATENCY + THINKS + COST, abs=0.005)


async def test_nodes_that_were_only_found_take_no_turn_of_those_that_are_named() -> None:
    nodes = Nodes(range(1, MANY))
    async with watching(nodes, seeded=False) as house:
        house.health.watch(watch(0))
        began = anyio.current_time()
        await anyio.sleep(1.0)
        assert house.read[address(0)] - began < THINKS + 0.05


async def test_nodes_that_leave_while_they_wait_are_forgotten() -> None:
    nodes = Nodes(range(MANY))
    async with watching(nodes) as house:
        for number in range(MANY):
            house.health.unwatch(UnwatchNode(node=address(number)))
        await anyio.sleep(0.01)
        assert nodes.reading == 0
        house.health.watch(watch(0))
        nodes.dripping = ()
        began = anyio.current_time()
        await anyio.sleep(1.0)
        assert house.read[address(0)] - began < THINKS + 0.05, "nobody is before it"


async def test_health_that_ends_while_nodes_wait_begins_anew() -> None:
    nodes = Nodes(range(MANY), cost=0.001, parts=1)
    house = House(nodes)
    for number in range(MANY):
        house.health.watch(watch(number))
    with anyio.move_on_after(1.0):
        await house.health.run()
    assert (nodes.reading, len(house.read)) == (0, 0)
    nodes.dripping = ()
    with anyio.move_on_after(12.0):
        await house.health.run()
    assert len(house.read) == MANY
