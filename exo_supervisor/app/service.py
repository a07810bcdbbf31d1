"""The composition root: which tasks there are, and which channels join them."""

import random
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address
from time import monotonic, time
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream
from msgspec.structs import asdict

from exo_supervisor import __version__
from exo_supervisor.app.beat import Beat
from exo_supervisor.app.border import border_of
from exo_supervisor.app.budgets import BudgetWatch, session_salt
from exo_supervisor.app.energy import energy_of
from exo_supervisor.app.first_policy import first_policy
from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.instances import instance_file
from exo_supervisor.app.listings import listings
from exo_supervisor.app.performer import Performer
from exo_supervisor.app.pins import pin_watch, read_pins
from exo_supervisor.app.price_book import PriceBook, needs_book, own_prices, reference_of
from exo_supervisor.app.proxies import proxies_of
from exo_supervisor.app.records import Records, open_records
from exo_supervisor.app.sources import Sources
from exo_supervisor.app.who import clients_seen, open_tokens, who_of
from exo_supervisor.config.time_zone import zone_of
from exo_supervisor.core.effects import say
from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.discovery.pins import PinWatch
from exo_supervisor.fleet_io.fetch import FOUND_ANSWER_BYTES, FOUND_GATHERED_BYTES, Fetcher
from exo_supervisor.fleet_io.health import Health, Reads
from exo_supervisor.fleet_io.placer import Placer
from exo_supervisor.fleet_io.poller import Tell
from exo_supervisor.host import limits, systemd
from exo_supervisor.http.client import Client
from exo_supervisor.runtime.conductor import INBOX, Conductor
from exo_supervisor.runtime.loop import timing_of
from exo_supervisor.runtime.policy_and_keys import PolicyAndKeys
from exo_supervisor.runtime.restarts import Restarts
from exo_supervisor.runtime.supervise import Service, supervise
from exo_supervisor.runtime.timing import Clock
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.control.about import About
from exo_supervisor.serve.control.lazy_routes import LazyRoutes
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.ingress import Ingress
from exo_supervisor.serve.inspector import Inspector
from exo_supervisor.serve.listener import Listener
from exo_supervisor.serve.live import LiveRequests
from exo_supervisor.serve.target import DISPATCHED
from exo_supervisor.serve.token import Guard
from exo_supervisor.serve.tokens import Tokens
from exo_supervisor.serve.upstream import Upstream, open_house, open_sessions
from exo_supervisor.views.advice import sum_up
from exo_supervisor.views.event_feed import EventFeed

if TYPE_CHECKING:
    from exo_supervisor.serve.control.handed_over import HandedOver

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

IDLE = 30.0
"""Seconds after which an idle conductor turns all the same, where no watchdog asks for less."""


async def serve(
    given: Inputs, stop: Callable[[], Awaitable[None]], started: Callable[[], None] = lambda: None
) -> None:
    """Run the whole service until `stop` returns, and then drain.

    Raises an ExceptionGroup of whatever ended the conductor or kept us from listening.
    """
    config, state = given.config, given.state
    clock = get_running_loop().time  # what anyio.current_time asks, without its detour
    border, pins = border_of(config), await read_pins(state)
    keys = {name: tuple(x.reveal() for x in held) or (None,) for name, held in given.keys.items()}
    policy = await first_policy(given, pins, owned=border.owned)
    current = PolicyAndKeys(policy, keys, given.secrets())
    prices = own_prices(config)
    machine = Machine(current.policy(), clock(), prices)
    send, receive = anyio.create_memory_object_stream[Event](INBOX)
    nodes, clouds = open_sessions(border.why_not, most_kept=limits.file_limit() // 8)
    house = open_house(border.not_local)
    async with nodes, clouds, house, send, receive:
        fetch, live = Fetcher(nodes), LiveRequests(get_running_loop(), monotonic)
        health = _health(given, nodes, fetch, lambda event: conductor.hear(event), live)  # noqa: PLW0108 -- made below
        placer = Placer(fetch.get, fetch.command, send, random.random, jitter=given.waits.jitter)
        watch, instances = pin_watch(state, send, pins), instance_file(state)
        records = await open_records(given, current.policy, machine.catalog)
        sinks = records.sinks
        performer = Performer(health, placer, live, watch, instances, sinks)
        conductor = _conductor(machine, receive, performer, clock)
        sources = Sources(config, machine, fetch.get, send, state)
        tokens = await open_tokens(given)
        clients = Clients(who_of(config, policy.clients), tokens.client_of)
        about = _about(given, sources, live, records, machine, watch)
        inspector = Inspector(machine.catalog, current.hide)
        others = _others(given, machine, conductor, about, tokens, clients, inspector)
        upstream = Upstream(nodes, clouds, current.keys, proxies_of(config), house=house)
        ingress = await _ingress(
            given, current, conductor, live, records, upstream, machine, inspector
        )
        listener = _listener(given, ingress, others, clients, clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conductor.run)
            _start(tasks, [health, placer, watch, instances, others, *records.services])
            _start(tasks, await _books(given, machine, conductor, records))
            lists = listings(given, current, clouds, house, send, prices)
            _start(tasks, [*lists, *sources.services])
            _start(tasks, _advertise(given))
            await _listen(listener, given, clients)
            started()
            await stop()
            inspector.end("drain")
            await _drain(listener, live, records.feed)
            tasks.cancel_scope.cancel()
    for side, client in (("nodes", nodes), ("clouds", clouds), ("house", house)):
        log.debug("connections_closed", side=side, **asdict(client.statistics()))
    log.info("service_stopped")


async def _drain(listener: Listener, live: LiveRequests, feed: EventFeed) -> None:
    systemd.notify("STOPPING=1")
    log.info("drain_started", in_flight=len(live))
    feed.announce(say("info", "drain_started", in_flight=len(live)))
    feed.close()
    await listener.drain()


async def _books(
    given: Inputs, machine: Machine, conductor: Conductor, records: Records
) -> list[Service]:
    """Bring the price book; where there is a budget before anybody is served, and what is spent."""
    needed = needs_book(given.config)
    book = [PriceBook(machine.tables.prices, given.config)] if needed else []
    if not machine.tables.budgets.active:
        return [*book]
    for each in book:
        await each.run()
    zone = zone_of(given.config.budget.time_zone)
    spent = None if records.ledger is None else records.ledger.spent
    clock, lost = get_running_loop().time, records.book.paid_of_lost
    watch = BudgetWatch(zone, conductor.ask, spent, time, clock, anyio.sleep, lost)
    await watch.restore()
    return [watch]


def _health(given: Inputs, nodes: Client, fetch: Fetcher, tell: Tell, live: LiveRequests) -> Health:
    """Let nodes that nobody named take a quarter of the memory that the others may."""
    every, timeout = given.config.health.interval, given.config.health.timeout
    found = Fetcher(nodes, longest=FOUND_ANSWER_BYTES, gathers=FOUND_GATHERED_BYTES)
    return Health(
        Reads(fetch.get, fetch.received), Reads(found.get, found.received),
        tell, timing_of(get_running_loop()),
        interval=every, timeout=timeout, lived_at=live.lived_at,
    )  # fmt: skip


def _conductor(
    machine: Machine, inbox: MemoryObjectReceiveStream[Event], performer: Performer, clock: Clock
) -> Conductor:
    """Let the machine be turned; systemd's watchdog is fed by the turns, so those come in time."""
    beat = Beat(lambda: sum_up(machine, clock()), clock)
    period = systemd.watchdog_period()
    idle = IDLE if period is None else period / 2
    return Conductor(machine, inbox, performer.perform, beat=beat.send, idle=idle, clock=clock)


async def _ingress(
    given: Inputs, current: PolicyAndKeys, conductor: Conductor, live: LiveRequests,
    records: Records, upstream: Upstream, machine: Machine, inspector: Inspector,
) -> Ingress:  # fmt: skip
    """Join what takes chats in with what asks the core and with what asks the targets."""
    config, sinks, tables = given.config, records.sinks, machine.tables
    context = Context(
        ask=conductor.ask,
        upstream=upstream,
        total=config.timeouts.total,
        head=config.server.head,
        hide=current.hide,
        prices=tables.prices,
        salt=await session_salt(given.state, kept=tables.budgets.follows_sessions()),
        reserve=None if records.ledger is None else records.ledger.reserve,
        reference=reference_of(config),
        energy=energy_of(config, tables.registry),
    )
    gate = Gate(config.server.max_requests)
    most = config.server.max_body_bytes
    return Ingress(context, gate, live, sinks.done, most, machine.catalog, sinks.started, inspector)


def _listener(
    given: Inputs, ingress: Ingress, others: LazyRoutes, clients: Clients, clock: Clock
) -> Listener:
    """Let chats go to the ingress and all else to `others`.

    A quarter of the descriptors is kept from clients: for targets, and for ourselves.
    """
    door = Door(clock, limits.file_limit() * 3 // 4)
    drain_timeout = given.config.server.drain_timeout
    return Listener(
        ingress.begin, DISPATCHED, others, door, clients=clients, drain_timeout=drain_timeout
    )


def _others(
    given: Inputs, machine: Machine, conductor: Conductor, about: About, tokens: Tokens,
    clients: Clients, inspector: Inspector,
) -> LazyRoutes:  # fmt: skip
    """Make what answers all but chats, once somebody asks for it.

    aiohttp is a third of the memory and half of the CPU that a start takes: too much for a house
    that only chats. It is imported in a thread, so that no chat waits for it.
    """

    def bring() -> "Callable[..., HandedOver]":
        from exo_supervisor.app.control import handed_over  # noqa: PLC0415 -- see above

        return handed_over

    async def make() -> "HandedOver":
        handed_over = await to_thread.run_sync(bring)
        return handed_over(
            machine, conductor.ask, about, given.admin_group, tokens, clients, inspector
        )

    return LazyRoutes(make)


def _about(
    given: Inputs, sources: Sources, live: LiveRequests, records: Records, machine: Machine,
    pins: PinWatch,
) -> About:  # fmt: skip
    return About(
        given.file,
        sources.quiet,
        records.tally,
        records.book,
        lambda: clients_seen(given.config, records.book),
        given.listening_at(),
        live.reading,
        metrics=records.scrape(machine).write,
        settings=given.settings(),
        forget=sources.forget,
        pins_kept=pins.kept,
        recorder=records.recorder,
        ledger=records.ledger,
        pulse=records.pulse(machine, live.tokens),
    )


async def _listen(listener: Listener, given: Inputs, clients: Clients) -> None:
    await listener.listen(given.sockets)
    if given.tcp is not None:
        await listener.listen(
            [given.tcp[0]], Guard(clients.of_token, clients.told, clients.sessions)
        )
    for provider, why in given.why_off.items():
        log.warning("provider_off", provider=provider, why=why)
    for provider, why in given.missing.items():
        log.warning("provider_key_missing", provider=provider, why=why)
    log.info("service_listening", sockets=given.listening_at(), config=given.file)
    systemd.notify("READY=1")


def _start(tasks: TaskGroup, services: Sequence[Service]) -> None:
    """Start what may crash and come back, each under its own supervision."""
    for service in services:
        tasks.start_soon(supervise, service, Restarts(essential=False), name=service.name)


def _advertise(given: Inputs) -> list[Service]:
    """Announce the TCP listener, where there is one and the configuration asks for it."""
    if given.tcp is None or not given.config.discovery.advertise:
        return []
    # zeroconf takes as long to import as all of ours, and a house without the listener needs none.
    from exo_supervisor.discovery.advertise import Advertise  # noqa: PLC0415

    ip, port = given.tcp[0].getsockname()
    return [Advertise(IPv4Address(ip), port, __version__)]
