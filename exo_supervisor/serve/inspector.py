"""What a client, this house and its targets said to each other, kept while somebody looks on.

Nobody looks on: `Inspector.inspection` is None, and a request costs the look at that. While one
runs, each request that it may see is given a tap at its exchange's begin, which notes what is
written to both sides. All is in memory alone, within `MAX_BYTES`, and gone at its end.

What must stay in the house is seen by root alone, by whatever rule it must: its header's, its
client's, its model's or the whole house's; a name that nobody has resolved yet may be such a one.
"""

from collections import deque
from collections.abc import Callable

import anyio
from msgspec import Struct

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.http.head import Head
from exo_supervisor.serve.interfaces import Call, Client
from exo_supervisor.serve.request_headers import RequestHeaders
from exo_supervisor.serve.response import Response
from exo_supervisor.views.request_done import RequestDone

MAX_BODY_BYTES = 512 * 1024
"""Of one body that are kept; the rest of it is only counted."""
MAX_BYTES = 16 * 1024 * 1024
"""Of all that one inspection keeps; of what has been shown, the oldest makes room."""
ROOT = 0


class InspectionRunsError(Exception):
    """There is one already."""


class Body:
    """A body as far as it is kept, and how long it was; `pieces` are the writes it came in."""

    def __init__(self) -> None:
        self.parts, self.size, self.pieces = list[bytes](), 0, 0

    def text(self) -> str:
        return b"".join(self.parts).decode("utf-8", "replace")


class Sent(Struct):
    """What a target was asked."""

    target: str
    head: bytes
    body: Body


class Tap:
    """One request; `done` once it is over. Closed, it holds nothing and takes nothing in."""

    __slots__ = (
        "_inspection", "answer", "asked", "done", "head", "headers", "private", "sent", "size",
        "stays", "target",
    )  # fmt: skip

    def __init__(
        self, inspection: "Inspection", head: Head, body: bytes, stays: Callable[[], bool],
        *, private: bool,
    ) -> None:  # fmt: skip
        self._inspection: Inspection | None = inspection
        self.stays, self.private, self.size = stays, private, 0
        self.target, self.headers = head.target, head.headers
        self.asked, self.sent, self.answer, self.head = Body(), list[Sent](), Body(), b""
        self.done: RequestDone | None = None
        self._take(self.asked, body)

    def send(self, start: StartAttempt, call: Call) -> None:
        """Note what a target is sent."""
        sent = Sent(start.target, call.head, Body())
        self._take(sent.body, call.body)
        self.sent.append(sent)

    def write(self, data: bytes) -> None:
        """Note what the client is sent."""
        self._take(self.answer, data)

    def end(self, done: RequestDone) -> None:
        """Hand over what was noted; what turned out to be private meanwhile is forgotten."""
        self.done = done
        if self._inspection is not None:
            self._inspection.finished(self)

    def close(self) -> None:
        """Forget all."""
        self._inspection = None
        self.headers, self.head, self.target = {}, b"", b""
        self.asked, self.sent, self.answer = Body(), [], Body()

    def _take(self, body: Body, data: bytes) -> None:
        if self._inspection is None:
            return
        kept = data[: max(self._inspection.max_body_bytes - body.size, 0)]
        body.size += len(data)
        body.pieces += 1
        if kept and self._inspection.make_room(len(kept)):
            body.parts.append(kept)
            self.size += len(kept)


class TappedClient:
    """A client's connection, of which a tap notes what is written to it."""

    def __init__(self, client: Client, tap: Tap) -> None:
        self._client, self._tap = client, tap
        self.send_continue, self.abort = client.send_continue, client.abort

    @property
    def full(self) -> bool:
        return self._client.full

    @property
    def uid(self) -> int | None:
        return self._client.uid

    def start(self, head: bytes, length: int | None = None) -> None:
        self._tap.head = head
        self._client.start(head, length)

    def write(self, data: bytes) -> None:
        self._tap.write(data)
        self._client.write(data)

    def finish(self, data: bytes = b"") -> None:
        if data:
            self._tap.write(data)
        self._client.finish(data)

    def abort_after(self, data: bytes, seconds: float) -> None:
        self._tap.write(data)
        self._client.abort_after(data, seconds)


class Inspection:
    """One that runs; whoever asked for it takes what was `finished`, and `keep`s what it showed."""

    def __init__(
        self, asker: int, client: str | None, most: int, until: float, *,
        max_bytes: int = MAX_BYTES, max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:  # fmt: skip
        self.client, self.most, self.until = client, most, until
        self.max_body_bytes, self._max_bytes = max_body_bytes, max_bytes
        self.private = asker == ROOT
        """It sees what must stay in the house, too."""
        self.begun = self.shown = self.dropped = self.passed = self.used = 0
        """Requests that got a tap, were shown, found no room, were not for these eyes; bytes."""
        self.why = ""
        """Why it ended."""
        self._live, self._over = set[Tap](), deque[Tap]()
        self._kept = deque[tuple[bytes, bool]]()
        self._told = anyio.Event()

    def tap(self, tap: Tap) -> Tap:
        """Count one more in."""
        self.begun += 1
        self._live.add(tap)
        return tap

    def finished(self, tap: Tap) -> None:
        """Take in that a request is over."""
        self._live.discard(tap)
        if tap.stays():
            tap.private = True
        if tap.private and not self.private:
            self.passed += 1
            self._forget(tap)
        else:
            self._over.append(tap)
        self._told.set()

    async def next(self) -> Tap | None:
        """Wait for a request that is over; None: there will be no other."""
        while not self._over:
            if self.why:
                return None
            if self.begun >= self.most and not self._live:
                self.end("requests")
                return None
            self._told = anyio.Event()
            await self._told.wait()
        return self._over.popleft()

    def keep(self, tap: Tap, line: bytes) -> None:
        """Keep what was shown of a request, in the place of what was noted."""
        self._forget(tap)
        self.shown += 1
        if not self.why and self.make_room(len(line)):
            self._kept.append((line, tap.private))

    def kept(self, asker: int) -> list[bytes]:
        """Return what may be shown once more, to root or to somebody else."""
        return [line for line, private in self._kept if asker == ROOT or not private]

    def make_room(self, size: int) -> bool:
        """Take so many bytes of the room, from what is oldest if need be; False: there is none."""
        while self.used + size > self._max_bytes and self._kept:
            self.used -= len(self._kept.popleft()[0])
        while self.used + size > self._max_bytes and self._over:
            self._forget(self._over.popleft())
            self.dropped += 1
        fits = self.used + size <= self._max_bytes
        self.used += size if fits else 0
        return fits

    def end(self, why: str) -> None:
        """Forget all; whoever waits for more is told."""
        self.why = self.why or why
        for tap in (*self._live, *self._over):
            tap.close()
        self._live.clear()
        self._over.clear()
        self._kept.clear()
        self.used = 0
        self._told.set()

    def _forget(self, tap: Tap) -> None:
        self.used -= tap.size
        tap.close()


class Inspector:
    """Owns the one inspection that may run; `hide` takes keys out of what is shown of it."""

    def __init__(self, catalog: Catalog, hide: Callable[[str], str] = hide_shapes) -> None:
        self.catalog, self.hide = catalog, hide
        self.inspection: Inspection | None = None

    def begin(self, inspection: Inspection) -> None:
        """Let one run from now on. Raises InspectionRunsError."""
        if self.inspection is not None:
            raise InspectionRunsError
        self.inspection = inspection

    def end(self, why: str) -> None:
        """End the one that runs, if one does."""
        inspection, self.inspection = self.inspection, None
        if inspection is not None:
            inspection.end(why)

    def tap(
        self, response: Response, head: Head, body: bytes, model: str, rule: ClientRule,
        headers: RequestHeaders,
    ) -> Tap | None:  # fmt: skip
        """Give a request that begins its tap, if somebody looks on, and may."""
        inspection = self.inspection
        if inspection is None or inspection.begun >= inspection.most:
            return None
        if inspection.client not in (None, rule.name):
            return None

        def stays() -> bool:
            kept = self.catalog.may_be_local_only(model)
            return kept or headers.local_only or rule.local_only

        private = stays()
        if private and not inspection.private:
            inspection.passed += 1
            return None
        tap = inspection.tap(Tap(inspection, head, body, stays, private=private))
        response.tap(lambda client: TappedClient(client, tap))
        return tap
