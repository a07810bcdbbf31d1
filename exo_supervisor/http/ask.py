"""An answer that is waited for whole: what probes, readings, lists and orders need."""

import asyncio
from typing import NamedTuple

from msgspec import Struct

from exo_supervisor.http.client import Client
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.headers import Headers
from exo_supervisor.http.intake import Intake
from exo_supervisor.http.url import Proxy


class Bounds(NamedTuple):
    """What an answer may hold: so many bytes, and no more than the intake has for all of them."""

    limit: int
    intake: Intake


class WholeAnswer(Struct, frozen=True, gc=False):
    """One answer."""

    status: int
    headers: Headers
    body: bytes


class TooLongError(Exception):
    """The body is longer than was allowed for; the rest was not read."""


async def ask(
    client: Client,
    method: str,
    url: str,
    *,
    seconds: float,
    bounds: Bounds,
    headers: bytes = b"",
    body: bytes | None = None,
    proxy: Proxy | None = None,
) -> WholeAnswer:
    """Send a request and return its answer, if its bounds allow. See `Client.send`.

    A GET goes over a kept connection of any age, a command over a fresh one. `seconds` are for all
    of it, from the name's look-up to the last byte.

    Raises HttpError and TooLongError.
    """
    whole = _Whole(bounds)
    # A cancel scope would do the same, and cost more than all else that is ours in a probe.
    timer = asyncio.get_running_loop().call_later(seconds, whole.expire)
    reuse = "any" if method == "GET" else "never"  # one that is sent twice may be done twice
    call = client.send(whole, method, url, headers=headers, body=body, proxy=proxy, reuse=reuse)
    try:
        return await whole.done
    finally:
        timer.cancel()
        call.close()
        bounds.intake.release(whole)


class _Whole:
    """Gathers an answer for whoever waits for it."""

    __slots__ = ("_bounds", "_headers", "_held", "_parts", "_status", "done")

    def __init__(self, bounds: Bounds) -> None:
        self.done: asyncio.Future[WholeAnswer] = asyncio.get_running_loop().create_future()
        self._status: int  # set, as its headers are, by the head, which comes first
        self._headers: Headers
        self._parts: list[bytes] = []
        self._held, self._bounds = 0, bounds

    def head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def data(self, data: bytes) -> None:
        if self.done.done():
            return
        size = len(data)
        self._held += size
        if self._held > self._bounds.limit:
            self.done.set_exception(TooLongError())
            return
        self._parts.append(data)
        self._bounds.intake.count(self, size, self._held)

    def end(self) -> None:
        if not self.done.done():
            body = b"".join(self._parts)
            self.done.set_result(WholeAnswer(self._status, self._headers, body))

    def give_up(self) -> None:
        self._parts.clear()
        self.lost(HttpError(NetworkFault.TIMEOUT, Stage.BODY, "slower than there is memory for"))

    def expire(self) -> None:
        self.lost(HttpError(NetworkFault.TIMEOUT, Stage.HEAD))

    def lost(self, error: HttpError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
