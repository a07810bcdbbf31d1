"""HTTP to targets: opens one answer, reads it, and names what went wrong in the house's words."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from math import inf

import anyio
import structlog

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.errors import SupervisorError
from exo_supervisor.http.answer import Answer
from exo_supervisor.http.client import Client, encode_headers
from exo_supervisor.http.connect import WhyNot
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.url import Proxy
from exo_supervisor.wire.chat.judge import judge
from exo_supervisor.wire.exo import identity as exo
from exo_supervisor.wire.openai import outbound as providers
from exo_supervisor.wire.openai.inbound import ChatRequest

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("upstream")

NODE_IDLE = 3.0
"""Seconds that an idle connection to a node is kept: hypercorn (Exo B, C) closes it at five."""
PROVIDER_IDLE = 60.0
ERROR_BODY = 65_536
"""Bytes of an error's body that are read, at most."""
ERROR_WAIT = 2.0
"""Seconds for which an error's body is waited for."""
EXHAUSTED_PAUSE = 1.0
"""Seconds after which a request that found no descriptor left may be tried again."""
EXHAUSTED_QUIET = 60.0
"""Seconds between two lines in the log that say so."""


class UpstreamError(SupervisorError):
    """A target did not give an answer worth reading on."""

    def __init__(
        self,
        fault: Fault,
        message: str = "",
        *,
        status: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.message = message
        self.status = status
        self.retry_after = retry_after


class Opened:
    """An answer whose head was good; its body is read piece by piece."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.is_stream = _media(answer) == "text/event-stream"

    async def read(self) -> bytes:
        """Read what is there, waiting for at least a byte; nothing means a clean end."""
        try:
            return await self._answer.read()
        except HttpError as error:
            fault = Fault.PAYLOAD if error.fault is NetworkFault.PAYLOAD else Fault.RESET
            raise UpstreamError(fault) from error

    async def see_out(self) -> None:
        """Leave a body that has said everything to its connection, which is then used again.

        How and when it ends is nobody's business any more: never waits and never raises.
        """
        self._answer.leave()

    def close(self) -> None:
        """Let go; the connection is closed unless the body had ended or was left to end."""
        self._answer.close()


class Upstream:
    """Owns what is sent to nodes and to providers; `proxies` are those of some providers."""

    def __init__(
        self,
        nodes: Client,
        clouds: Client,
        keys: Mapping[str, str | None],
        proxies: Mapping[str, Proxy] | None = None,
    ) -> None:
        self._nodes, self._clouds = nodes, clouds
        self._keys, self._proxies = keys, proxies or {}
        self._headers: dict[str, bytes] = {}
        self._node_headers = encode_headers(providers.request_headers(None))
        self._quiet_until = -inf

    async def open(self, start: StartAttempt, chat: ChatRequest) -> Opened:
        """Send a request to a target and wait for a head worth reading on.

        Raises UpstreamError. How long it may take is the caller's to bound, but for connecting.
        """
        if start.generation is None:
            client, url = self._clouds, providers.chat_url(start.url)
            body = providers.encode_chat(
                chat, start.model, streamed=start.streamed, usage=start.usage
            )
        else:
            client, url = self._nodes, f"{start.url}/v1/chat/completions"
            body = exo.encode_chat(chat, start.model, start.generation)
        try:
            answer = await client.request(
                "POST",
                url,
                headers=self._headers_for(start),
                body=body,
                connect_timeout=start.timers.connect,
                proxy=self._proxies.get(start.target),
            )
        except HttpError as error:
            raise self._not_opened(error) from error
        await self._check(answer, start)
        return Opened(answer)

    def _headers_for(self, start: StartAttempt) -> bytes:
        if start.generation is not None:
            return self._node_headers
        headers = self._headers.get(start.target)
        if headers is None:
            try:
                headers = encode_headers(providers.request_headers(self._keys[start.target]))
            except ValueError:  # a key that would be two lines
                raise UpstreamError(Fault.CONNECT) from None
            self._headers[start.target] = headers
        return headers

    def _not_opened(self, error: HttpError) -> UpstreamError:
        if error.fault is not NetworkFault.EXHAUSTED:
            return UpstreamError(opening_fault(error))
        now = anyio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + EXHAUSTED_QUIET
            log.warning("descriptors_exhausted", advice="raise the limit of open files")
        return UpstreamError(Fault.BUSY, retry_after=EXHAUSTED_PAUSE)

    async def _check(self, answer: Answer, start: StartAttempt) -> None:
        body = b""
        try:
            if answer.status != HTTPStatus.OK:
                body = await _read_error(answer)
            judgement = judge(
                answer.status,
                answer.headers.get("content-type", ""),
                answer.headers,
                body,
                exo=start.generation is not None,
                now_wall=time.time(),
            )
        except BaseException:
            answer.close()
            raise
        if judgement is None:
            return
        answer.close()
        raise UpstreamError(
            judgement.fault,
            judgement.message,
            status=judgement.status,
            retry_after=judgement.retry_after,
        )


def _media(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_error(answer: Answer) -> bytes:
    """Read the beginning of an error's body; one that breaks off says less, not something else."""
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(ERROR_WAIT):
        try:
            while size < ERROR_BODY and (part := await answer.read()):
                parts.append(part)
                size += len(part)
        except HttpError:
            pass
    return b"".join(parts)


def opening_fault(error: HttpError) -> Fault:
    """Name what kept an answer from beginning."""
    match error.stage, error.fault:
        case Stage.CONNECT, NetworkFault.TIMEOUT:
            return Fault.CONNECT_TIMEOUT
        case _, NetworkFault.TLS:
            return Fault.TLS
        case Stage.CONNECT, _:
            return Fault.CONNECT
        case _, NetworkFault.PAYLOAD:  # a head that is no HTTP
            return Fault.PAYLOAD
        case _:
            return Fault.RESET_EARLY


def open_sessions(why_not: WhyNot | None = None) -> tuple[Client, Client]:
    """Make the two clients, for nodes and for providers; the second probes silent peers.

    `why_not` says where no connection to a node may be made.
    """
    return Client(idle=NODE_IDLE, why_not=why_not), Client(idle=PROVIDER_IDLE, tcp_keepalive=True)
