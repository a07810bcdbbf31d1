"""The composition root: which tasks there are, and which channels join them."""

import random
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from socket import socket
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
import msgspec
import structlog
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct

from exo_supervisor import __version__
from exo_supervisor.app.border import border_of
from exo_supervisor.app.instances import InstanceFile, instance_file, read_own
from exo_supervisor.app.pins import pin_watch, read_pins
from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.proxies import proxies_of, proxy_of
from exo_supervisor.app.sources import Sources, awaited
from exo_supervisor.config.schema import Config
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.core.effects import (
    Announce,
    CancelAttempt,
    Effect,
    KeepAwake,
    KeepInstances,
    KeepPins,
    PlaceModel,
    ReadPlacement,
    Refuse,
    RemoveModel,
    StartAttempt,
    UnwatchNode,
    WatchNode,
)
from exo_supervisor.core.events import Event
from exo_supervisor.core.keys import Keys
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ProviderName
from exo_supervisor.core.policy import WAITS, Waits
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.discovery.pins import PinWatch
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.health import Health
from exo_supervisor.fleet_io.placer import Placer
from exo_supervisor.fleet_io.provider_models import Listing, Source
from exo_supervisor.host import limits, systemd
from exo_supervisor.host.credentials import Secret
from exo_supervisor.http.client import Client
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.conductor import INBOX, Conductor
from exo_supervisor.runtime.restarts import Restarts
from exo_supervisor.runtime.supervise import Service, supervise
from exo_supervisor.serve.about import About
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.ingress import Ingress
from exo_supervisor.serve.late import Late
from exo_supervisor.serve.listener import Listener
from exo_supervisor.serve.live import LiveRequests
from exo_supervisor.serve.record import log_done
from exo_supervisor.serve.target import DISPATCHED
from exo_supervisor.serve.token import Guard
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.views.advice import sum_up

if TYPE_CHECKING:
    from exo_supervisor.serve.handed_over import HandedOver

announce_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

IDLE = 30.0
"""Seconds after which an idle conductor turns all the same, where no watchdog asks for less."""


STATUS_PAUSE = 1.0
"""Seconds between two looks at what the `Status:` line should say."""


class Given(Struct, frozen=True):
    """What the machine that we run on gives: sockets, keys, and what to say of the file read.

    `state` is the directory of what is kept across restarts; None keeps nothing. `tcp` is a
    loopback listener and the token that it asks for, `admin_group` whose members give orders.
    """

    config: Config
    file: str | None
    sockets: Sequence[socket]
    keys: Mapping[str, Secret]
    why_off: Mapping[str, str]
    state: Path | None = None
    tcp: tuple[socket, Secret] | None = None
    admin_group: int | None = None
    origins: Mapping[str, str] = MappingProxyType({})
    waits: Waits = WAITS

    def settings(self) -> Mapping[str, object]:
        """Return the settings as they are shown: what is set and from where, never a secret."""
        keys = {name: secret.where for name, secret in self.keys.items()}
        return {
            "view": "service",
            "file": self.file,
            "config": msgspec.to_builtins(without_passwords(self.config)),
            "origins": dict(self.origins),
            "keys": {each.name: keys.get(each.name) for each in self.config.providers},
            "token": None if self.tcp is None else self.tcp[1].where,
        }


async def serve(
    given: Given, stop: Callable[[], Awaitable[None]], started: Callable[[], None] = lambda: None
) -> None:
    """Run the whole service until `stop` returns, and then drain.

    Raises an ExceptionGroup of whatever ended the conductor or kept us from listening.
    """
    config = given.config
    clock = get_running_loop().time  # what anyio.current_time asks, without its detour
    border, pins = border_of(config), await read_pins(given.state)
    own = await read_own(given.state)
    policy = msgspec.structs.replace(
        policy_of(config, given.why_off, pins=pins, own=own, owned=border.owned, waits=given.waits),
        awaited=awaited(config, given.state),
    )
    machine = Machine(policy, clock())
    send, receive = anyio.create_memory_object_stream[Event](INBOX)
    nodes, clouds = open_sessions(border.why_not, most_kept=limits.file_limit() // 8)
    async with nodes, clouds, send, receive:
        fetch = Fetcher(nodes)
        live = LiveRequests(get_running_loop(), monotonic)
        health = Health(
            fetch,
            send,
            interval=config.health.interval,
            timeout=config.health.timeout,
            lived_at=live.lived_at,
        )
        placer = Placer(fetch, fetch.command, send, random.random, jitter=given.waits.jitter)
        watch, instances = pin_watch(given.state, send, pins), instance_file(given.state)
        period = systemd.watchdog_period()
        conductor = Conductor(
            machine,
            receive,
            Performer(health, placer, live, watch, instances).perform,
            beat=Beat(lambda: sum_up(machine, clock()), clock).send,
            idle=IDLE if period is None else period / 2,
            clock=clock,
        )
        context = Context(
            ask=conductor.ask,
            upstream=Upstream(
                nodes,
                clouds,
                {name: secret.reveal() for name, secret in given.keys.items()},
                proxies_of(config),
            ),
            total=config.timeouts.total,
            head=config.server.head,
            hide=Keys(secrets_of(given)).hide,
        )
        sources = Sources(config, machine, fetch, send, given.state)
        about = About(
            given.file,
            sources.quiet,
            listening_at(given),
            live.reading,
            settings=given.settings(),
            forget=sources.forget,
        )
        ingress = Ingress(
            context,
            Gate(config.server.max_requests),
            live,
            log_done,
            max_body=config.server.max_body_bytes,
        )
        others = Late()
        listener = Listener(
            ingress.begin,
            DISPATCHED,
            lambda: others,
            Door(clock, limits.file_limit() * 3 // 4),
            drain_timeout=config.server.drain_timeout,
        )
        services = [
            health,
            placer,
            watch,
            instances,
            *_listings(given, clouds, send),
            *sources.services,
            *_advertise(given),
        ]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conductor.run)
            _start(tasks, services)
            await listener.listen(given.sockets)
            if given.tcp is not None:
                opened, token = given.tcp
                await listener.listen([opened], Guard(token.reveal()))
            _say_started(given)
            started()
            make = await to_thread.run_sync(_import_plain_routes)
            others.arrive(make(machine, conductor.ask, about, given.admin_group))
            await stop()
            systemd.notify("STOPPING=1")
            log.info("drain_started", in_flight=len(live))
            await listener.drain()
            tasks.cancel_scope.cancel()
    log.info("service_stopped")


def _import_plain_routes() -> "Callable[..., HandedOver]":
    """Import what answers all but chats, in a thread: no chat waits for that, nor does `ready`."""
    from exo_supervisor.app.plain_routes import handed_over  # noqa: PLC0415

    return handed_over


def secrets_of(given: Given) -> list[str]:
    """List all that must not be told of: the providers' keys, and the listener's token."""
    tokens = [] if given.tcp is None else [given.tcp[1]]
    return [each.reveal() for each in (*given.keys.values(), *tokens)]


def _start(tasks: TaskGroup, services: Sequence[Service]) -> None:
    """Start what may crash and come back, each under its own supervision."""
    for service in services:
        tasks.start_soon(supervise, service, Restarts(essential=False), name=service.name)


def _listings(
    given: Given, clouds: Client, send: MemoryObjectSendStream[Event]
) -> Iterator[Listing]:
    """Ask the providers for their lists, those behind one proxy together."""
    ways: dict[Proxy | None, list[Source]] = {}
    for each in given.config.providers:
        if each.name in given.keys:
            source = ProviderName(each.name), each.base_url, given.keys[each.name].reveal
            ways.setdefault(proxy_of(each), []).append(source)
    for proxy, sources in ways.items():
        yield Listing(Fetcher(clouds, proxy), send, sources)


def _advertise(given: Given) -> list[Service]:
    """Announce the TCP listener, where there is one and the configuration asks for it."""
    if given.tcp is None or not given.config.discovery.advertise:
        return []
    # zeroconf takes as long to import as all of ours, and a house without the listener needs none.
    from exo_supervisor.discovery.advertise import Advertise  # noqa: PLC0415

    ip, port = given.tcp[0].getsockname()
    return [Advertise(IPv4Address(ip), port, __version__)]


def _say_started(given: Given) -> None:
    for provider, why in given.why_off.items():
        log.warning("provider_off", provider=provider, why=why)
    log.info("service_listening", sockets=listening_at(given), config=given.file)
    systemd.notify("READY=1")


def listening_at(given: Given) -> list[str]:
    """Return where clients come in: the Unix sockets' paths, and the TCP listener's address."""
    sockets = [str(each.getsockname()) for each in given.sockets]
    if given.tcp is not None:
        sockets.append("{}:{}".format(*given.tcp[0].getsockname()))
    return sockets


class Beat:
    """Feeds systemd's watchdog with each turn, and its `Status:` line at most once a second."""

    def __init__(self, summary: Callable[[], str], clock: Callable[[], float]) -> None:
        self._summary, self._clock = summary, clock
        self._next, self._said = 0.0, ""

    def send(self) -> None:
        if (now := self._clock()) < self._next:
            systemd.notify("WATCHDOG=1")
            return
        self._next = now + STATUS_PAUSE
        if (said := self._summary()) != self._said:
            self._said = said
            systemd.notify(f"WATCHDOG=1\nSTATUS={said}")
        else:
            systemd.notify("WATCHDOG=1")


class Performer:
    """Carries effects out: each is a direct call on its owner, and none waits."""

    def __init__(
        self,
        health: Health,
        placer: Placer,
        live: LiveRequests,
        pins: PinWatch,
        instances: InstanceFile,
    ) -> None:
        self._health, self._placer, self._live = health, placer, live
        self._pins, self._instances = pins, instances

    def perform(self, effect: Effect) -> None:
        """Carry one effect out."""
        match effect:
            case StartAttempt() | Refuse() | CancelAttempt() | KeepAwake():
                self._live.deliver(effect)
            case Announce():
                getattr(announce_log, effect.level)(effect.name, **effect.facts)
            case WatchNode():
                self._health.watch(effect)
            case UnwatchNode():
                self._health.unwatch(effect)
            case ReadPlacement():
                self._health.read(effect)
            case PlaceModel():
                self._placer.place(effect)
            case RemoveModel():
                self._placer.remove(effect)
            case KeepPins(pins=pins):
                self._pins.keep(pins)
            case KeepInstances(own=own):
                self._instances.keep(own)
