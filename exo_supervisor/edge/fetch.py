"""A GET or a command over the network, with every way in which it fails told apart."""

import errno
import socket
import ssl
from collections.abc import Mapping
from typing import Literal

import aiohttp
import anyio

from exo_supervisor.core.events import Why
from exo_supervisor.edge.pool import BarredError
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo import Reply

_Request = tuple[str, str, bytes | None]
"""A method, a URL and a body."""

_UNTIMED = aiohttp.ClientTimeout(total=None)
_PLAIN = {"", "identity"}

_ERRNOS: dict[int, Why] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
}
_DETAILS: dict[Why, str] = {
    "refused": "nothing listens there",
    "timeout": "no answer in time",
    "no_route": "no way there from this machine",
    "dns": "no such host name",
    "tls": "no TLS connection that can be trusted",
    "reset": "the connection was closed before the answer",
    "bad_answer": "what answers there does not speak HTTP as it should",
}


class Fetcher:
    """The `Get` and the `Command` of this process: no redirects, no compression, never too much."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Reply:
        return await self._bounded(("GET", url, None), headers, timeout, limit)

    async def command(
        self,
        method: Literal["POST", "DELETE"],
        url: str,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - see Command
        limit: int,
    ) -> Reply:
        """Be the `Command` of this process."""
        headers = {"content-type": "application/json"} if body else NO_HEADERS
        return await self._bounded((method, url, body or None), headers, timeout, limit)

    async def _bounded(
        self, what: _Request, headers: Mapping[str, str], wait: float, limit: int
    ) -> Reply:
        try:
            with anyio.fail_after(wait):
                return await self._ask(what, {**headers, "accept-encoding": "identity"}, limit)
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            why = tell_apart(fault)
        # Outside the handler, so that the cause's text, which may hold a key, is not chained.
        raise GetError(why, _DETAILS.get(why, ""))

    async def _ask(self, what: _Request, headers: Mapping[str, str], limit: int) -> Reply:
        method, url, data = what
        asked = self._session.request(
            method,
            url,
            data=data,
            headers=headers,
            allow_redirects=False,
            auto_decompress=False,
            timeout=_UNTIMED,
        )
        async with asked as response:
            if response.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
                raise GetError("bad_answer", "the answer is compressed unasked")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > limit:
                    raise GetError("bad_answer", f"the answer is longer than {limit} bytes")
            return Reply(response.status, bytes(body))


def tell_apart(  # noqa: C901 - a table
    fault: aiohttp.ClientError | OSError | ValueError,
) -> Why:
    """Name what went wrong with a GET; asyncio and uvloop raise different errors for the same."""
    match fault:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError(os_error=BarredError(why=why)):
            return why
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "dns"
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch() | ssl.SSLError():
            return "tls"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "no_route"
        case aiohttp.ClientConnectorError():
            return _by_errno(fault.os_error)
        case OSError():
            return _by_errno(fault)
        case aiohttp.ClientConnectionError():
            return "reset"
        case aiohttp.ClientError():
            return "bad_answer"
        case ValueError():
            return "no_route"


def _by_errno(fault: OSError) -> Why:
    """Judge by the number, else by the class: not every loop fills both in."""
    match fault:
        case OSError(errno=int(number)) if number in _ERRNOS:
            return _ERRNOS[number]
        case ConnectionRefusedError():
            return "refused"
        case TimeoutError():
            return "timeout"
        case socket.gaierror():
            return "dns"
        case ConnectionError():
            return "reset"
        case _:
            return "no_route"
