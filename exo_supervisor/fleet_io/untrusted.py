"""Reads what nobody vouches for: large answers, few at a time, and none of them very large."""

from collections.abc import Mapping

import anyio

from exo_supervisor.runtime.fetch import NO_HEADERS, Get
from exo_supervisor.wire.exo.identity import HttpAnswer

MAX_READS = 4
"""Large answers of nodes that no person named that are read at once."""
MAX_READ_BYTES = 16 * 2**20
"""Bytes of each: 64 MiB for all of them together."""
SMALL_BYTES = 65_536
"""Bytes of an answer that needs no turn."""


class UntrustedReads:
    """A `Get` for nodes that no person named; whoever drips keeps its turn for its timeout only.

    The wait for a turn is no part of the timeout: it is not the node's doing.
    """

    def __init__(self, get: Get) -> None:
        self._get = get
        self._turns: anyio.CapacityLimiter | None = None

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        if limit <= SMALL_BYTES:
            return await self._get(url, timeout=timeout, limit=limit, headers=headers)
        self._turns = self._turns or anyio.CapacityLimiter(MAX_READS)
        async with self._turns:
            most = min(limit, MAX_READ_BYTES)
            return await self._get(url, timeout=timeout, limit=most, headers=headers)
