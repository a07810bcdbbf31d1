"""What one client gets: nothing yet, a head with keep-alives, or its answer.

The status line of a stream waits for the first content, so that a failed attempt costs the client
nothing. One that has waited for long gets its head all the same, and comments that keep it and
everything between awake. From its commit on there is no way back: what cannot be ended as a whole
answer says so in the stream, and is cut.
"""

from collections.abc import Callable, Iterator

import msgspec

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.serve.heads import (
    Served,
    answer_head,
    error_head,
    stream_head,
    waiting_head,
    whole_head,
)
from exo_supervisor.serve.interfaces import Client
from exo_supervisor.wire.dialect import Framing, Reply

SMALL = 16_384
"""Bytes that a client who has read all before is sure to be handed without a wait."""
PIECE = 256 * 1024
"""Bytes of a large answer that are written at once."""
LAST_WORDS = 1.0
"""Seconds for which a client may take to read what went wrong, before it is cut off."""


class Response:
    """One client's answer in the making; `over` is final, and nothing is written after it."""

    __slots__ = (
        "_framing", "_pieces", "_request_id", "_stream", "client", "committed", "over", "status",
        "write",
    )  # fmt: skip

    def __init__(self, client: Client, request_id: str, framing: Framing) -> None:
        self.client, self._request_id, self._framing = client, request_id, framing
        self.write = client.write
        """Write a part of the answer: the client's own, once a token."""
        self._pieces: Iterator[bytes] | None = None
        self._stream: Reply | None = None  # what was last known of it, once its head is out
        self.status = 0
        self.committed = self.over = False

    def tap(self, tapped: Callable[[Client], Client]) -> None:
        """Write from now on to what takes the place of the client, and hands on to it."""
        self.client = tapped(self.client)
        self.write = self.client.write

    @property
    def unsent(self) -> bool:
        """Whether the end of the answer, and what comes before it, waits for its client."""
        return self._pieces is not None

    def send_keepalive(self, reply: Reply) -> bool:
        """Show that somebody is at work: the head if it is still owed, and a word of no meaning.

        False, and nothing is sent, where the client has to read first.
        """
        if self.client.full:
            return False
        if self._stream is None:
            head = waiting_head if reply.chat.stream else answer_head
            self._start(200, head(self._framing, self._request_id))
        self._stream = reply
        self.client.write(self._framing.keepalive(reply))
        return True

    def commit(self, served: Served, reply: Reply) -> bytes:
        """Begin the answer; returns what stands before its first part in the body."""
        self.committed = True
        waited, self._stream = self._stream is not None, reply
        if waited:
            return self._framing.served(msgspec.json.encode(served), reply)
        self._start(200, stream_head(self._framing, self._request_id, served))
        return b""

    def finish(self, data: bytes) -> None:
        """Write the last part, and end the answer as a whole one: the end by `send_on`, if need be.

        Where the client keeps up, part and end are one write.
        """
        if len(data) <= SMALL and not self.client.full:
            self._finish(data)
            return
        self._pieces = iter((data,) if data else ())
        self.send_on()

    def send_whole(self, parts: list[bytes], served: Served) -> None:
        """Write a whole answer, as far as its client takes it; the rest by `send_on`."""
        length = 0
        for part in parts:
            length += len(part)
        if self._stream is None:
            self._start(200, whole_head(self._framing, self._request_id, served), length)
        if length <= SMALL and not self.client.full:
            self._finish(b"".join(parts))
            return
        self._pieces = in_pieces(parts)
        self.send_on()

    def answer(self, body: bytes) -> None:
        """Answer without a target, in a few bytes."""
        self._start(200, answer_head(self._framing, self._request_id), len(body))
        self._finish(body)

    def send_on(self) -> None:
        """Write what is left of the answer, as far as its client takes it."""
        while self._pieces is not None and not self.client.full:
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
                self._finish(b"")
            else:
                self.client.write(piece)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error: as such if nothing was sent, else as an event and a cut."""
        if self._pieces is not None:  # all was said, or a JSON object is cut in two
            self.abort()
            return
        said = self._framing.told(refusal, self._request_id)
        if self._stream is not None:
            self.over = True
            event = self._framing.error_event(said, self._stream)
            self.client.abort_after(event, LAST_WORDS)
            return
        body = self._framing.error_body(said)
        head = error_head(self._framing, said)
        self._start(said.status, head, len(body))
        self._finish(body)

    def abort(self) -> None:
        """Cut the connection of a client that does not read: it may see no end to its answer."""
        self.over = True
        self._pieces = None
        self.client.abort()

    def _finish(self, data: bytes) -> None:
        self.over = True
        self.client.finish(data)

    def _start(self, status: int, head: bytes, length: int | None = None) -> None:
        self.status = status
        self.client.start(head, length)


def in_pieces(parts: list[bytes]) -> Iterator[bytes]:
    """Join small parts and cut large ones, and let go of each as soon as it is taken."""
    parts.reverse()
    some, size = list[bytes](), 0
    while parts:
        part = memoryview(parts.pop())
        for begin in range(0, len(part), PIECE):
            some.append(bytes(part[begin : begin + PIECE]))
            size += len(some[-1])
            if size >= PIECE:
                yield b"".join(some)
                some, size = [], 0
    if some:
        yield b"".join(some)
