"""A small answer, waited for whole: what probes, lists and orders need."""

import asyncio

from msgspec import Struct

from exo_supervisor.http.client import Client
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.url import Proxy


class WholeAnswer(Struct, frozen=True, gc=False):
    """One answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class TooLongError(Exception):
    """The body is longer than was allowed for; the rest was not read."""


async def ask(
    client: Client,
    method: str,
    url: str,
    *,
    limit: int,
    headers: bytes = b"",
    body: bytes | None = None,
    proxy: Proxy | None = None,
    fresh: bool = False,
) -> WholeAnswer:
    """Send a request and return its answer, `limit` bytes long at most. See `Client.send`.

    Unless it is to be `fresh`, it goes over a kept connection of any age.

    Raises HttpError and TooLongError. The caller bounds the time.
    """
    whole = _Whole(limit)
    call = client.send(
        whole, method, url,
        headers=headers, body=body, proxy=proxy, reuse="never" if fresh else "any",
    )  # fmt: skip
    try:
        return await whole.done
    finally:
        call.close()


class _Whole:
    """Gathers an answer for whoever waits for it."""

    __slots__ = ("_headers", "_parts", "_room", "_status", "done")

    def __init__(self, limit: int) -> None:
        self.done: asyncio.Future[WholeAnswer] = asyncio.get_running_loop().create_future()
        self._status, self._headers = 0, dict[str, str]()
        self._parts: list[bytes] = []
        self._room = limit

    def head(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers = status, headers

    def data(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self._parts.append(data)
        elif not self.done.done():
            self.done.set_exception(TooLongError())

    def end(self) -> None:
        if not self.done.done():
            body = b"".join(self._parts)
            self.done.set_result(WholeAnswer(self._status, self._headers, body))

    def lost(self, error: HttpError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
