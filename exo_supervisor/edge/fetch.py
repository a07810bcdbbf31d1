"""One GET over the network, with every way in which it fails told apart."""

import errno
import socket
import ssl
from collections.abc import Mapping

import aiohttp
import anyio

from exo_supervisor.core.events import Why
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo import Reply

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
    """The `Get` of this process: no redirects, no compression, never more than the limit."""

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
        try:
            with anyio.fail_after(timeout):
                return await self._ask(url, {**headers, "accept-encoding": "identity"}, limit)
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            why = tell_apart(fault)
        # Outside the handler, so that the cause's text, which may hold a key, is not chained.
        raise GetError(why, _DETAILS.get(why, ""))

    async def _ask(self, url: str, headers: Mapping[str, str], limit: int) -> Reply:
        asked = self._session.get(
            url, headers=headers, allow_redirects=False, auto_decompress=False, timeout=_UNTIMED
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


def tell_apart(fault: aiohttp.ClientError | OSError | ValueError) -> Why:
    """Name what went wrong with a GET; asyncio and uvloop raise different errors for the same."""
    match fault:
        case TimeoutError():
            return "timeout"
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
