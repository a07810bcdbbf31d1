"""Names of hosts: looked up in threads of their own, since a look-up cannot be cancelled."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

from msgspec import Struct

THREADS = 8
"""Look-ups at once; one that hangs must not take the loop's own threads with it."""

Where = tuple[str, int] | tuple[str, int, int, int]
IpAddress = IPv4Address | IPv6Address


class Address(Struct, frozen=True):
    """One address of a host, as `socket.connect` takes it."""

    family: socket.AddressFamily
    where: Where
    ip: IpAddress
    """The address without its port."""


class Resolver:
    """The system's resolver in a pool of its own; what is an address already needs no thread."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Look a name up; raises OSError and UnicodeError, as getaddrinfo does, and ImportError."""
        ip = _number(host)
        if ip is None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.threads, _look_up, host, port)
        if ip.version == 6 and ip.scope_id is not None:  # noqa: PLR2004 - the link needs a look-up
            return _look_up(host, port, socket.AI_NUMERICHOST)
        family = socket.AF_INET if isinstance(ip, IPv4Address) else socket.AF_INET6
        return [Address(family, (host, port), ip)]

    def close(self) -> None:
        """Let the threads go; one that hangs is not waited for."""
        self.threads.shutdown(wait=False, cancel_futures=True)


@lru_cache(maxsize=1024)
def _number(host: str) -> IpAddress | None:
    """Read a host that is an address; None: it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    import_module("encodings.idna")  # a codec that cannot be imported when asked for stays unknown
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [
        Address(family, cast("Where", address), ip_address(address[0]))
        for family, address in unique
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
