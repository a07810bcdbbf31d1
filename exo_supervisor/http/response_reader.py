"""Reads answers, one at a time: interim heads are passed over, and what is no HTTP is said to be.

Nothing that came before a request was sent may ever pass for its answer (a 408, an answer written
twice): `reset` forgets it, and what stands behind an answer's end makes it its connection's `LAST`.
"""

from enum import Enum
from typing import Final

import httptools

from exo_supervisor.http.headers import Headers

MAX_HEAD_BYTES: Final = 65_536
"""Bytes of a head, of trailers, and of what chunks say beside their data."""
MAX_INTERIM: Final = 32
"""Interim heads (RFC 9110, section 15.2) before an answer's own; a hint or two is usual."""
_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200


class Outcome(Enum):
    """What there is of an answer: `LAST` is a whole one whose connection carries no other."""

    UNDER_WAY = "under way"
    WHOLE = "whole"
    LAST = "last"
    BROKEN = "broken"


# A member of an Enum costs a look-up by its class each time.
_UNDER_WAY, _WHOLE, _LAST = Outcome.UNDER_WAY, Outcome.WHOLE, Outcome.LAST


class _UnwantedError(Exception):
    """Stops the parser where it stands."""


class ResponseReader:
    """`feed` it; then `outcome`, `status`, `headers` and `got` say what there is of an answer."""

    __slots__ = (
        "_head", "_interim", "_overhead", "_parser", "got", "headers", "on_body", "outcome",
        "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.headers = Headers()
        self.got: list[bytes] = []
        """What came of the body; whoever takes it clears it."""
        self.on_body = self.got.append  # httptools calls it: no frame of ours
        self._parser = httptools.HttpResponseParser(self)
        self.reset()

    def reset(self) -> None:
        """Forget the last answer: nothing of it may speak for the next."""
        self.status = self._interim = self._overhead = 0
        self._head = b""
        self.outcome = _UNDER_WAY

    @property
    def begun(self) -> bool:
        """Whether any byte came since."""
        return bool(self._overhead or self._interim or self.status)

    def feed(self, data: bytes) -> None:
        """Take in what came: `BROKEN` is what is no answer, or says too much beside its body."""
        status = self.status
        if not status:
            self._head += data
            self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What stands behind a whole answer is not its fault.
            self.outcome = Outcome.BROKEN if self.outcome is _UNDER_WAY else Outcome.LAST
            return
        if self.got:
            self._overhead = 0
            return
        if status:
            self._overhead += len(data)
        if self._overhead > MAX_HEAD_BYTES:
            self.outcome = Outcome.BROKEN

    def ends_with_connection(self) -> bool:
        """Say whether its body has neither a length nor chunks."""
        coding = self.headers.get("transfer-encoding", "").lower()
        framed = "content-length" in self.headers or coding.endswith("chunked")
        return bool(self.status) and not framed and self.outcome is _UNDER_WAY

    # ---------------------------------------------------------------- what the parser calls

    def on_message_begin(self) -> None:
        """Stop where a second answer begins in the same piece."""
        if self.outcome is not _UNDER_WAY:
            raise _UnwantedError

    def on_headers_complete(self) -> None:
        """Take a head in, and pass over an interim one."""
        status = self._parser.get_status_code()
        # Empty lines may stand before it.
        head, mark, rest = self._head.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if head[:5] != b"HTTP/" or not mark or len(head) > MAX_HEAD_BYTES:
            # Whatever lines a parser may allow, `Headers` knows those that end in CRLF alone.
            raise _UnwantedError
        self._overhead = 0
        if status >= _FINAL:
            self.status, self._head = status, b""
            self.headers = Headers(head)
        else:
            self._head = rest
            self._interim += 1
            if status < _CONTINUE or status == _SWITCHING or self._interim > MAX_INTERIM:
                raise _UnwantedError

    def on_message_complete(self) -> None:
        """Take in that an answer is whole; interim heads are complete, too."""
        if self.status:
            kept = self._parser.should_keep_alive()
            self.outcome = _WHOLE if kept else _LAST
