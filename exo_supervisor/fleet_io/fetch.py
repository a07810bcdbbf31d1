"""A GET or a command over the network, with every way in which it fails told apart."""

from collections.abc import Awaitable, Mapping
from typing import Literal

from exo_supervisor.core.network import Why, why_of
from exo_supervisor.http.ask import Bounds, TooLongError, ask
from exo_supervisor.http.client import Client, encode_headers
from exo_supervisor.http.faults import HttpError, NetworkFault
from exo_supervisor.http.intake import MAX_GATHERED_BYTES, Intake
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo.identity import HttpAnswer

FOUND_ANSWER_BYTES, FOUND_GATHERED_BYTES = 16 * 2**20, 64 * 2**20
"""Bytes of one answer, and of all that are under way, of nodes that no person named."""
_PLAIN = {"", "identity"}
_UNCODED = b"accept-encoding: identity\r\n"
_Request = tuple[str, str, bytes | None]
"""A method, a URL and a body."""

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
    """The `Get` and the `Command` of this process: no redirects, no compression, never too much.

    No answer is longer than `longest` bytes, and all that are under way hold `gathers` at most.
    """

    def __init__(
        self,
        client: Client,
        proxy: Proxy | None = None,
        *,
        longest: int = MAX_GATHERED_BYTES,
        gathers: int = MAX_GATHERED_BYTES,
    ) -> None:
        self._client, self._proxy = client, proxy
        self._longest, self._intake = longest, Intake(gathers)

    def received(self) -> int:
        """Count the bytes of all answers since the start."""
        return self._intake.received

    def get(
        self,
        url: str,
        *,
        timeout: float,
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Awaitable[HttpAnswer]:
        """Be the `Get` of this process."""
        return self._ask(("GET", url, None), headers, timeout, limit)

    def command(
        self,
        method: Literal["POST", "DELETE"],
        url: str,
        body: bytes,
        *,
        timeout: float,
        limit: int,
    ) -> Awaitable[HttpAnswer]:
        """Be the `Command` of this process."""
        headers = {"content-type": "application/json"} if body else NO_HEADERS
        return self._ask((method, url, body or None), headers, timeout, limit)

    async def _ask(
        self, what: _Request, headers: Mapping[str, str], wait: float, limit: int
    ) -> HttpAnswer:
        method, url, data = what
        limit = min(limit, self._longest)
        try:
            answer = await ask(
                self._client,
                method,
                url,
                seconds=wait,
                bounds=Bounds(limit, self._intake),
                headers=encode_headers(headers) + _UNCODED if headers else _UNCODED,
                body=data,
                proxy=self._proxy,
            )
            if answer.headers.get("content-encoding", "").strip().lower() in _PLAIN:
                return HttpAnswer(answer.status, answer.body)
            why, detail = "bad_answer", "the answer is compressed unasked"
        except TooLongError:
            why, detail = "bad_answer", f"the answer is longer than {limit} bytes"
        except ValueError:  # a header that would be two
            why, detail = "no_route", ""
        except HttpError as fault:
            why = why_of(fault.fault.value, fault.detail)
            detail = "" if fault.fault is NetworkFault.BARRED else fault.detail
        # Outside the handler, so that the cause's text, which may hold a key, is not chained.
        raise GetError(why, detail or _DETAILS.get(why, ""))
