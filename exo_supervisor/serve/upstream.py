"""Requests to targets: what is sent, and what a head or a loss says, in the core's words."""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Final, Protocol

import structlog

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import Target
from exo_supervisor.core.network import MEANINGS
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.trace import Trace
from exo_supervisor.http.call import Listener
from exo_supervisor.http.client import Client, encode_headers
from exo_supervisor.http.connect import WhyNot
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.policy_and_keys import KeysByName
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.chat.spare import leave_out
from exo_supervisor.wire.dialect import Dialect
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.table import DIALECTS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("upstream")

EXHAUSTED_PAUSE: Final = 1.0
"""Seconds after which a request that found no descriptor left may be tried again."""
EXHAUSTED_QUIET: Final = 60.0
"""Seconds between two lines in the log that say so."""


NODE_IDLE: Final = 3.0
"""Seconds that an idle connection to a node is kept: hypercorn (Exo B, C) closes it at five."""
NODE_KEPT: Final = 15.0
"""Seconds that one is kept for the next probe; a node that closes it costs a connect, as before."""
PROVIDER_IDLE: Final = 60.0


class Sender(Protocol):
    """An HTTP client: sends at once, or as soon as it is connected, and calls back."""

    def send(
        self, listener: Listener, method: str, url: str, *, headers: bytes, body: bytes,
        connect_timeout: float, proxy: Proxy | None,
    ) -> Call: ...  # fmt: skip


class Upstream:
    """Owns what is sent to nodes and to providers; `proxies` are those of some providers."""

    def __init__(
        self,
        nodes: Sender,
        clouds: Sender,
        keys: Callable[[], KeysByName],
        proxies: Mapping[str, Proxy] | None = None,
        *,
        house: Sender | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes, self._clouds, self._house = nodes, clouds, house or clouds
        self._keys, self._proxies = keys, proxies or {}
        self._headers: dict[tuple[str, int], bytes] = {}
        self._headers_with = keys()
        self._node_headers = encode_headers(DIALECTS["exo"].headers(None))
        self._clock, self._quiet_until = clock, -inf

    def send(
        self, start: StartAttempt, chat: ChatRequest, listener: Listener, trace: Trace | None = None
    ) -> Call | None:
        """Send a request to a target; None where it has a key that cannot be sent."""
        traits = TRAITS[start.generation]
        dialect = DIALECTS[start.dialect or traits.dialect]
        if traits.exo:
            sender, headers = self._nodes, self._node_headers
        else:
            sender = self._house if start.local else self._clouds
            headers = self._headers_of(start.target, start.key, dialect)
        if headers is None:
            return None
        if chat.headers and DIALECTS.get(chat.dialect) is dialect:
            ours = dialect.headers(self._keys()[start.target][start.key])
            headers = encode_headers({**ours, **dict(chat.headers)})
        if trace is not None:
            headers += encode_headers(trace.headers(house=traits.exo or start.local))
        if start.without:
            chat, left_out = leave_out(chat, start.without, start.dialect)
            for name in left_out:
                log.info(
                    "field_dropped",
                    request_id=start.request, target=start.target, model=start.model, field=name,
                )  # fmt: skip
        ask = Ask(start.model, traits, start.streamed, start.usage, start.without)
        body = dialect.encode(chat, ask)
        return sender.send(
            listener, "POST", dialect.url(start.url, chat.kind), headers=headers, body=body,
            connect_timeout=start.timers.connect, proxy=self._proxies.get(start.target),
        )  # fmt: skip

    def not_opened(self, error: HttpError) -> Failure:
        """Name what kept an answer from beginning."""
        fault = opening_fault(error)
        if error.fault is not NetworkFault.EXHAUSTED:
            return Failure(fault)
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + EXHAUSTED_QUIET
            log.warning("descriptors_exhausted", advice="raise the limit of open files")
        return Failure(fault, retry_after=EXHAUSTED_PAUSE)

    def _headers_of(self, target: Target, key: int, dialect: Dialect) -> bytes | None:
        keys = self._keys()
        if keys is not self._headers_with:  # others took their place
            self._headers_with, self._headers = keys, {}
        headers = self._headers.get((target, key))
        if headers is None:
            try:
                headers = encode_headers(dialect.headers(keys[target][key]))
            except (LookupError, ValueError):  # it left meanwhile, or a key that would be two lines
                return None
            self._headers[target, key] = headers
        return headers


def dialect_of(start: StartAttempt) -> Dialect:
    """Return what an attempt's target is asked in."""
    return DIALECTS[start.dialect or TRAITS[start.generation].dialect]


def opening_fault(error: HttpError) -> Fault:
    """Name what kept an answer from beginning."""
    if error.detail == Fault.NOT_LOCAL.value:
        return Fault.NOT_LOCAL
    row = MEANINGS[error.fault.value]
    return row.connect if error.stage is Stage.CONNECT else row.head


def broken_fault(error: HttpError) -> Fault:
    """Name what broke an answer off that had begun."""
    return MEANINGS[error.fault.value].body


def open_sessions(why_not: WhyNot | None = None, *, most_kept: int = 0) -> tuple[Client, Client]:
    """Make the two clients, for nodes and for providers; the second probes silent peers.

    `why_not` says where no connection to a node may be made; `most_kept` connections are kept from
    one probe to the next.
    """
    nodes = Client(idle=NODE_IDLE, kept=NODE_KEPT, most_kept=most_kept, why_not=why_not)
    return nodes, Client(idle=PROVIDER_IDLE, tcp_keepalive=True)


def open_house(not_local: WhyNot) -> Client:
    """Make the client for providers of the house; each address is asked of before it connects."""
    return Client(idle=PROVIDER_IDLE, tcp_keepalive=True, why_not=not_local)
