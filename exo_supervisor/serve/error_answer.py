"""An answer that is none: its head says so, and what comes of its body says why."""

import time
from collections.abc import Mapping
from math import inf
from typing import Final

from exo_supervisor.core.outcomes import Failure
from exo_supervisor.wire.chat.judge import Media, judge, media_of

OK: Final = 200
"""The one status of an answer; to look up `HTTPStatus.OK` takes ten times as long."""
MAX_ERROR_BYTES: Final = 65_536
"""Bytes of an error's body that are read."""


class ErrorAnswer:
    """The head and, as far as it came by `read_by`, the body of an answer that is not read on."""

    __slots__ = ("_body", "_headers", "_status", "read_by")

    def __init__(self, status: int, headers: Mapping[str, str], read_by: float = inf) -> None:
        self._status, self._headers, self._body = status, headers, b""
        self.read_by = read_by

    def take(self, data: bytes) -> bool:
        """Take a part of the body; True: no more of it is wanted."""
        self._body += data[: MAX_ERROR_BYTES - len(self._body)]
        return len(self._body) >= MAX_ERROR_BYTES

    def judge(self, *, exo: bool) -> Failure:
        """Say why the head was not worth reading on."""
        headers, now = self._headers, time.time()
        media = headers.get("content-type", "")
        failure = judge(self._status, media, headers, self._body, exo=exo, now_wall=now)
        if failure is None:
            raise ValueError("nothing is wrong with this head")
        return failure


def readable(status: int, headers: Mapping[str, str]) -> Media | None:
    """Say what to read an answer as; None: its head is not worth it, and says why."""
    if status != OK:
        return None
    media = media_of(headers.get("content-type", ""), headers.get("content-encoding", ""))
    return media if isinstance(media, str) else None
