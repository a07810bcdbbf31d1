"""The multicast group of mDNS, by zeroconf: what asks it, and what hears the answers."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from itertools import islice

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from zeroconf import (
    IPVersion,
    NotRunningException,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
)
from zeroconf._dns import DNSPointer, DNSQuestion, DNSRecord, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf

from exo_supervisor.discovery.mdns import Ask, Claim
from exo_supervisor.wire.exo.mdns import SERVICE, read_record

_QUERY, _PTR, _IN = 0, 12, 1  # RFC 1035, sections 4.1.1, 3.2.2 and 3.2.4
_MOST_CLAIMS = 16


@asynccontextmanager
async def open_group(
    here: Sequence[IPv4Address], heard: MemoryObjectSendStream[list[Claim]]
) -> AsyncGenerator[Ask]:
    """Join the group on these addresses, and hand on what asks it. Raises OSError."""
    group = AsyncZeroconf(interfaces=[str(ip) for ip in here], ip_version=IPVersion.V4Only)
    try:
        try:
            await group.zeroconf.async_wait_for_start()
        except NotRunningException as fault:
            raise OSError(type(fault).__name__) from fault
        group.zeroconf.async_add_listener(Listener(heard), None)
        yield lambda: _ask(group.zeroconf)
    finally:
        with anyio.CancelScope(shield=True):
            await group.async_close()


def _ask(group: Zeroconf) -> None:
    question = DNSOutgoing(_QUERY)
    question.add_question(DNSQuestion(SERVICE, _PTR, _IN))
    group.async_send(question)


class Listener(RecordUpdateListener):
    """Hears every answer on the LAN, and lets the library remember none.

    A libp2p program makes up a new name for each answer, and would have it remembered for 2500 s.
    """

    def __init__(self, heard: MemoryObjectSendStream[list[Claim]]) -> None:
        self._heard = heard
        self._passing: dict[DNSRecord, None] = {}

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Take in one packet's records, before the library remembers them."""
        del now
        self._cache = zc.cache
        self._passing = dict.fromkeys(update.new for update in records)
        claims = read_claims(self._passing)
        with suppress(anyio.WouldBlock):  # in a flood; who is real answers the next question too
            if claims:
                self._heard.send_nowait(claims)

    def async_update_records_complete(self) -> None:
        """Take them out of the library's memory again."""
        self._cache.async_remove_records([r for r in self._passing if self._cache.get(r)])
        self._passing = {}


def read_claims(records: Iterable[DNSRecord]) -> list[Claim]:
    """Read the TXT records of the names that the answer itself gives to the service."""
    pointers = (record for record in records if isinstance(record, DNSPointer))
    names = {pointer.alias for pointer in pointers if pointer.name == SERVICE}
    texts = (r.text for r in records if isinstance(r, DNSText) and r.name in names)
    read = (read_record(text) for text in texts)
    return list(islice((claim for claim in read if claim is not None), _MOST_CLAIMS))
