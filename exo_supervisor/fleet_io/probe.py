"""One look at a node: who answers at its address, and does it still."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

import anyio
from msgspec import Struct

from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.runtime.timing import Clock
from exo_supervisor.wire.exo.identity import HttpAnswer, Identity, identify, why_not
from exo_supervisor.wire.exo.traits import TRAITS

_OK: Final = int(HTTPStatus.OK)  # to look it up in an Enum costs as much as to compare twice
LONGEST = 65_536
"""Bytes of a small answer; another server's page for a missing path must fit, too."""
_LONGEST_KEPT = 128
"""Bytes of one that is kept beside each node: an id has half as many, whatever stands around it."""


class Found(Struct, frozen=True):
    """Who answered, and when; `state_paths`: it has `/state/{path}`."""

    identity: Identity
    answered: float
    state_paths: bool


class Prober:
    """Looks at one node again and again, and remembers which questions it answers."""

    def __init__(
        self, get: Get, url: str, timeout: float, clock: Clock = anyio.current_time
    ) -> None:
        self._get, self._url, self._timeout, self._clock = get, url, timeout, clock
        self._known: Found | None = None
        self._told: HttpAnswer | None = None
        """What `/node_id` answered when somebody was found; generation A has no such path."""

    async def look(self) -> Found:
        """Find out who answers; raises GetError when nobody does, or something that is no Exo."""
        known, self._known = self._known, None
        until = self._clock() + self._timeout
        if known is not None and not TRAITS[known.identity.generation].has_state:
            reply = await self.get("/healthcheck", until)
            if _is_a(reply):
                self._known = Found(known.identity, self._clock(), state_paths=False)
                return self._known
        reply = await self.get("/node_id", until)
        answered = self._clock()
        # The very process answers: ids are new at each start.
        if known is not None and reply.status == _OK and reply == self._told:
            found = self._known = Found(known.identity, answered, known.state_paths)
        else:
            found = await self._identify(reply, answered)
        self._told = reply if len(reply.body) <= _LONGEST_KEPT else None
        return found

    def get(self, path: str, until: float, limit: int = LONGEST) -> Awaitable[HttpAnswer]:
        """Ask the node for a path, until an instant; raises GetError."""
        left = max(0.0, until - self._clock())
        return self._get(self._url + path, timeout=left, limit=limit)

    async def body(self, path: str, until: float, limit: int = LONGEST) -> bytes:
        """Ask the node for a path that it must have; raises GetError."""
        reply = await self.get(path, until, limit)
        if reply.status != _OK:
            raise GetError("bad_answer", f"status {reply.status} at {path}")
        return reply.body

    async def _identify(self, node_id: HttpAnswer, answered: float) -> Found:
        """Take the fingerprint; what follows `/node_id` has one more timeout, all in all."""
        until = self._clock() + self._timeout
        if node_id.status == HTTPStatus.NOT_FOUND:
            health = await self._try("/healthcheck", until)
            identity = identify(node_id, None, health)
            if identity is not None:
                self._known = Found(identity, answered, state_paths=False)
                return self._known
            raise GetError("not_exo", why_not(node_id, health))
        identity = identify(node_id, None, None)
        if identity is None:
            why = "bad_answer" if node_id.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "not_exo"
            raise GetError(why, why_not(node_id, None))
        if identity.generation == "C":
            self._known = Found(identity, answered, state_paths=True)
            return self._known
        return await self._identify_b(node_id, identity, answered, until)

    async def _identify_b(
        self, node_id: HttpAnswer, identity: Identity, answered: float, until: float
    ) -> Found:
        """Tell the versions of B apart; `/state/{path}` came with 1.0.70.

        What stays unknown because a GET failed is asked again at the next look.
        """
        flags = await self._try("/v1/feature-flags", until)
        identity = identify(node_id, flags, None) or identity
        newer = flags is not None and flags.status == HTTPStatus.OK
        index = None if newer else await self._try("/state/lastEventAppliedIdx", until)
        found = Found(
            identity,
            answered,
            state_paths=newer or (index is not None and index.status == HTTPStatus.OK),
        )
        if flags is not None and (newer or index is not None):
            self._known = found
        return found

    async def _try(self, path: str, until: float) -> HttpAnswer | None:
        try:
            return await self.get(path, until)
        except GetError:
            return None


def _is_a(healthcheck: HttpAnswer) -> bool:
    return (
        healthcheck.status == HTTPStatus.OK
        and identify(HttpAnswer(HTTPStatus.NOT_FOUND, b""), None, healthcheck) is not None
    )
