"""Tells when the LAN has had one round to reply in: a node that is asked answers within a moment.

mDNS answers are spread over 120 ms (RFC 6762, section 6), and both they and generation C's may be
lost once; a second is what a start can spare.
"""

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event, SourceHeard

ROUND = 1.0
"""Seconds from the start."""


class FirstRound:
    """Tells once, and is finished."""

    name = "lan"

    def __init__(self, inbox: MemoryObjectSendStream[Event]) -> None:
        self._inbox = inbox

    async def run(self) -> None:
        """Wait for the round to be over."""
        await anyio.sleep(ROUND)
        await self._inbox.send(SourceHeard(source=self.name))
