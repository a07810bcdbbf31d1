"""Announces this service's TCP listener by DNS-SD (RFC 6763), as `_exo-supervisor._tcp`.

The listener is on loopback, so it is announced on loopback only, where nobody but this machine's
own programs hears it: they find the port and its path without being told, and need the token still.
"""

import socket
from ipaddress import IPv4Address
from typing import Any

import anyio
import structlog
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SERVICE = "_exo-supervisor._tcp.local."
PATH = "/v1"

_LONGEST_LABEL = 63
_GOODBYE = 2.0
"""Seconds that taking the announcement back may take."""


class Advertise:
    """Announces `ip:port` until cancelled, and takes it back then."""

    name = "advertise"

    def __init__(self, ip: IPv4Address, port: int, version: str) -> None:
        self._ip, self._port, self._version = ip, port, version

    async def run(self) -> None:
        """Announce; raises OSError and the library's errors where the group cannot be joined."""
        group = AsyncZeroconf(interfaces=[str(self._ip)], ip_version=IPVersion.V4Only)
        try:
            await group.zeroconf.async_wait_for_start()
            library: Any = group  # its types do not say what is waited for
            announced = await library.async_register_service(self._info(), allow_name_change=True)
            await announced
            log.info("service_advertised", service=SERVICE, port=self._port)
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(_GOODBYE, shield=True):
                await group.async_unregister_all_services()
            with anyio.CancelScope(shield=True):
                await group.async_close()

    def _info(self) -> ServiceInfo:
        host = socket.gethostname().partition(".")[0] or "localhost"
        return ServiceInfo(
            SERVICE,
            f"{host[:_LONGEST_LABEL]}.{SERVICE}",
            # A name of our own: the host's may be announced by others, with other addresses.
            server=f"{f'exo-supervisor-{host}'[:_LONGEST_LABEL]}.local.",
            addresses=[self._ip.packed],
            port=self._port,
            properties={"path": PATH, "version": self._version},
        )
