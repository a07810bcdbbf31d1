"""The nodes that a person named."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address

_PORTS = {"http": 80, "https": 443}


def address_of(url: str) -> Address:
    """Return a node's `host:port`, in lower case; a URL without a port has its scheme's.

    An IPv6 host keeps its brackets (RFC 3986, section 3.2.2). Raises ValueError for a URL that
    leads nowhere.
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    if not host or port is None:
        raise ValueError("not the URL of a node")
    return Address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


class Static:
    """Tells of every seed once, and is finished."""

    name = "static"

    def __init__(
        self, inbox: MemoryObjectSendStream[Event], seeds: Sequence[tuple[Address, str]]
    ) -> None:
        self._inbox, self._seeds = inbox, seeds

    async def run(self) -> None:
        """Send one sighting a seed."""
        for address, url in self._seeds:
            seen = NodeSighted(node=address, url=url, source=self.name, seeded=True)
            await self._inbox.send(seen)
