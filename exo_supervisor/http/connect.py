"""Makes connections: a name's addresses, the first that answers, a proxy's way, TLS."""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from itertools import chain, zip_longest

import anyio
from msgspec import Struct

from exo_supervisor.http.connection import Connection
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage, name_fault
from exo_supervisor.http.resolver import Address, IpAddress, Resolver, Where
from exo_supervisor.http.response_reader import MAX_HEAD_BYTES
from exo_supervisor.http.url import Origin, Proxy

STAGGER = 0.25
"""Seconds that an address has before the next is tried beside it (RFC 8305, section 5)."""
MAX_ADDRESSES = 8
"""Addresses of one name that are tried."""
LOST_AFTER, LOST_AFTER_REUSED = 10.0, 5.0
"""Seconds for which what we sent may go without an acknowledgement before a peer counts as lost.

Less on a connection that is used again: it is the one that routers on the way forget, and the
request is sent anew in any case.
"""
PROBE_IDLE, PROBE_EVERY = 10, 5
"""Seconds of silence before the kernel asks whether the peer is there, and between two asks."""
_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
_PROBES = _IDLE, getattr(socket, "TCP_KEEPINTVL", None), getattr(socket, "TCP_KEEPCNT", None)
"""What a system calls these two, and how many asks go without an answer before it gives up."""


WhyNot = Callable[[IpAddress, int], Awaitable[str | None]]
"""Says in a word why no connection may be made to an address and a port, or None.

The word "refused" means that nothing listens there, as if we had tried.
"""


class ConnectOptions(Struct, frozen=True):
    """How connections are made; `why_not` is asked of each address before a connect."""

    resolver: Resolver
    why_not: WhyNot
    tls: Callable[[], ssl.SSLContext]
    tcp_keepalive: bool
    """Whether the kernel probes a silent peer: of one far away no reset tells that it is gone."""


async def connect(
    make: Callable[[], Connection], origin: Origin, proxy: Proxy | None, options: ConnectOptions
) -> Connection:
    """Connect to an origin, over a proxy or not; raises HttpError. The caller bounds the time."""
    try:
        plain = await _connect_tcp(origin, proxy, options)
        return await _start_protocol(plain, make, origin, options)
    except (OSError, UnicodeError, ValueError, ImportError) as error:
        fault = name_fault(error)
    # Outside the handler, so that the cause's text is not chained: it may name what nobody asked.
    raise HttpError(fault, Stage.CONNECT)


async def _start_protocol(
    plain: socket.socket, make: Callable[[], Connection], origin: Origin, options: ConnectOptions
) -> Connection:
    """Give a connected socket to the loop, behind TLS where the origin asks for it."""
    loop = asyncio.get_running_loop()
    context, name = None, None
    try:
        if origin.scheme == "https":
            context = await loop.run_in_executor(options.resolver.threads, options.tls)
            name = origin.host
        _, connection = await loop.create_connection(
            make, sock=plain, ssl=context, server_hostname=name
        )
    except BaseException:
        plain.close()
        raise
    return connection


async def _connect_tcp(
    origin: Origin, proxy: Proxy | None, options: ConnectOptions
) -> socket.socket:
    if proxy is None:
        return await _dial(origin.host, origin.port, options)
    plain = await _dial(proxy.host, proxy.port, options)
    try:
        await _open_tunnel(plain, origin, proxy)
    except BaseException:
        plain.close()
        raise
    return plain


async def _dial(host: str, port: int, options: ConnectOptions) -> socket.socket:
    found = await options.resolver.resolve(host, port)
    if not found:
        raise HttpError(NetworkFault.DNS, Stage.CONNECT)
    bars = [await options.why_not(each.ip, port) for each in found]
    addresses = [each for each, why in zip(found, bars, strict=True) if why is None][:MAX_ADDRESSES]
    if not addresses:
        telling = [why for why in bars if why is not None and why != NetworkFault.REFUSED.value]
        fault = NetworkFault.BARRED if telling else NetworkFault.REFUSED
        raise HttpError(fault, Stage.CONNECT, next(iter(telling), ""))
    if len(addresses) == 1:
        return await _connect_address(addresses[0], tcp_keepalive=options.tcp_keepalive)
    return await _race(interleaved(addresses), tcp_keepalive=options.tcp_keepalive)


def interleaved(addresses: list[Address]) -> list[Address]:
    """Take turns between the families, the resolver's first choice first."""
    first = [each for each in addresses if each.family == addresses[0].family]
    second = [each for each in addresses if each.family != addresses[0].family]
    return [each for each in chain(*zip_longest(first, second)) if each is not None]


async def _race(addresses: list[Address], *, tcp_keepalive: bool) -> socket.socket:
    """Try one address after the other, each beside those before it; the first connection wins."""
    won: list[socket.socket] = []
    lost: list[OSError] = []

    async def run(address: Address, failed: anyio.Event) -> None:
        try:
            plain = await _connect_address(address, tcp_keepalive=tcp_keepalive)
        except OSError as error:
            lost.append(error)
            failed.set()
            return
        won.append(plain)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                failed = anyio.Event()
                tasks.start_soon(run, address, failed)
                with anyio.move_on_after(STAGGER):
                    await failed.wait()
    except BaseException:
        for plain in won:
            plain.close()
        raise
    for late in won[1:]:
        late.close()
    if not won:
        raise lost[0]
    return won[0]


async def _connect_address(address: Address, *, tcp_keepalive: bool) -> socket.socket:
    plain = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)  # noqa: FBT003 -- the library's own form
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tcp_keepalive:
            set_keepalive(plain, LOST_AFTER)
        await _finish_connect(plain, address.where)
    except BaseException:
        plain.close()
        raise
    return plain


async def _finish_connect(plain: socket.socket, where: Where) -> None:
    """Connect a socket that does not block; raises OSError.

    uvloop's own `sock_connect` would first look even a number up, in four threads that it starts.
    """
    try:
        plain.connect(where)
    except BlockingIOError:
        await _wait_writable(plain)
        if failed := plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(failed, os.strerror(failed)) from None


async def _wait_writable(plain: socket.socket) -> None:
    """Wait as anyio does, whose way costs more than all that is beside it here."""
    loop, writable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(plain, writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(plain)


def set_keepalive(plain: socket.socket, lost_after: float) -> None:
    """Have the kernel probe a silent peer, and give it up after so many seconds."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = max(1, int(lost_after / PROBE_EVERY))
    for option, value in zip(_PROBES, (PROBE_IDLE, PROBE_EVERY, probes), strict=True):
        if option is not None:
            plain.setsockopt(socket.IPPROTO_TCP, option, value)
    set_user_timeout(plain, lost_after)


def set_user_timeout(plain: socket.socket, lost_after: float) -> None:
    """Bound for how many seconds the kernel resends what is not acknowledged (else minutes)."""
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if user_timeout is not None:
        plain.setsockopt(socket.IPPROTO_TCP, user_timeout, int(lost_after * 1000))
    elif sys.platform == "darwin":
        plain.setsockopt(socket.IPPROTO_TCP, 0x80, int(lost_after))  # TCP_RXT_CONNDROPTIME


async def _open_tunnel(plain: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Ask a proxy for a tunnel (CONNECT, RFC 9110, section 9.3.6); raises HttpError(PROXY)."""
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"host: {host}:{origin.port}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    await loop.sock_sendall(plain, "\r\n".join([*lines, "", ""]).encode())
    said = b""
    while b"\r\n\r\n" not in said:
        more = await loop.sock_recv(plain, MAX_HEAD_BYTES)
        said += more
        if not more or len(said) > MAX_HEAD_BYTES:
            raise HttpError(NetworkFault.PROXY, Stage.CONNECT, "the proxy does not answer in HTTP")
    status = said.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(status) < 2 or not said.startswith(b"HTTP/1.") or not status[1].isdigit():  # noqa: PLR2004
        raise HttpError(NetworkFault.PROXY, Stage.CONNECT, "the proxy does not answer in HTTP")
    if not status[1].startswith(b"2"):
        detail = f"the proxy refuses the way there with status {int(status[1])}"
        raise HttpError(NetworkFault.PROXY, Stage.CONNECT, detail)
    if not said.endswith(b"\r\n\r\n"):  # nobody has spoken to the other end yet
        raise HttpError(NetworkFault.PROXY, Stage.CONNECT, "the proxy speaks for the other end")
