"""Health and crawl see real nodes of every generation over real sockets as they are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import inf
from typing import TypeVar

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from exo_supervisor.core.effects import ReadPlacement, WatchNode
from exo_supervisor.core.events import (
    CardsRead,
    Event,
    NodeSighted,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.names import Address
from exo_supervisor.demo import Disease, ExoNode, Generation
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.crawl import Crawl, CrawlPoint
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.health import Health, Reads
from exo_supervisor.http.client import Client
from exo_supervisor.runtime.loop import timing_of

pytestmark = pytest.mark.real_time

E = TypeVar("E", bound=Event)
Inbox = MemoryObjectReceiveStream[Event]
GENERATIONS: tuple[Generation, ...] = ("A", "B", "C")


@asynccontextmanager
async def polling(node: ExoNode) -> AsyncGenerator[tuple[Health, Inbox]]:
    send, inbox = anyio.create_memory_object_stream[Event](inf)
    async with (
        Client(idle=3.0) as session,
        send,
        inbox,
        anyio.create_task_group() as tasks,
    ):
        timing = timing_of(asyncio.get_running_loop())
        fetch = Fetcher(session)
        reads = Reads(fetch.get, fetch.received)
        health = Health(reads, reads, send.send_nowait, timing, interval=0.05, timeout=1.0)
        health.watch(WatchNode(node=Address(node.address), url=node.url))
        tasks.start_soon(health.run)
        with anyio.fail_after(60):
            yield health, inbox
        tasks.cancel_scope.cancel()


async def first(inbox: Inbox, kind: type[E], why: str | None = None) -> E:
    """Wait for the first event of a kind, and of a `why` if one is named."""
    while True:
        event = await inbox.receive()
        if isinstance(event, kind) and why in {None, getattr(event, "why", None)}:
            return event


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_node_is_recognised_and_its_model_seen_ready(generation: Generation) -> None:
    async with ExoNode(generation) as node, polling(node) as (health, inbox):
        found = await first(inbox, ProbeAnswered)
        assert found.generation == generation
        assert found.node_id == (None if generation == "A" else node.node_id)
        health.read(ReadPlacement(node=found.node, cards=True))
        read = await first(inbox, PlacementRead)
        assert {placed.model: placed.ready for placed in read.models} == dict.fromkeys(
            node.cluster.models, True
        )
        assert len(read.listed) == 1
        cards = await first(inbox, CardsRead)
        assert set(node.cluster.models) <= set(cards.cards)


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_killed_node_refuses_and_a_restarted_one_is_seen(generation: Generation) -> None:
    async with ExoNode(generation) as node, polling(node) as (_, inbox):
        before = await first(inbox, ProbeAnswered)
        node.disease = Disease("dead")
        gone = await first(inbox, ProbeFailed, "refused")
        assert gone.node == node.address
        await node.start()
        back = await first(inbox, ProbeAnswered)
        assert (back.node_id == before.node_id) is (generation == "A")


async def test_one_node_on_loopback_leads_to_the_others_that_it_reached() -> None:
    async with ExoNode("C") as one, ExoNode("C", cluster=one.cluster) as two:
        send, inbox = anyio.create_memory_object_stream[Event](64)
        async with Client(idle=3.0) as session, send, inbox:
            points = [CrawlPoint(one.url, state_paths=True, seeded=True, trusted=True)]
            crawl = Crawl(Fetcher(session).get, send, lambda: points, [], AllowedNetworks())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(crawl.run)
                with anyio.fail_after(60):
                    told = {(await first(inbox, NodeSighted)).node for _ in range(2)}
                assert told == {one.address, two.address}
                tasks.cancel_scope.cancel()
