"""The service's events, and the views that they make stale: what `top` shows."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from exo_supervisor.cli.errors import UNREACHABLE, VerbError
from exo_supervisor.cli.http import asked
from exo_supervisor.cli.json_view import parse_object
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.top_view import Picture
from exo_supervisor.client.errors import CutError
from exo_supervisor.client.json_object import Fields, count, objects, read_object

EVENTS = "/supervisor/events"
FRESH = 2.0
"""Seconds, at least, between two looks at the views."""
OLD = 15.0
"""Seconds after which they are looked at although nothing was heard."""
SUMS = 15.0
"""Seconds, at least, between two sums of the ledger, which reads a file for them."""
AGAIN = 2.0
"""Seconds between two tries to reach a service that is gone."""
PATIENCE = 2.0
"""Seconds for which a view is waited for: nothing else is looked at meanwhile."""
MAX_EVENT_BYTES = 1024 * 1024


class Events:
    """Takes the stream of the service's events apart."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield each whole event's name and data. Raises CutError for one without an end."""
        *whole, self._kept = (self._kept + data).split(b"\n\n")
        if len(self._kept) > MAX_EVENT_BYTES:
            raise CutError("an event has no end")
        for event in whole:
            told = dict(line.split(b": ", 1) for line in event.split(b"\n") if b": " in line)
            if b"data" in told:
                yield told.get(b"event", b"").decode("utf-8", "replace"), told[b"data"]


class Watch:
    """Keeps a picture up to date; it never raises because the service is gone."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self.picture = Picture()
        self._open = ExitStack()
        self._parts: Iterator[bytes] | None = None
        self._number = -1  # of the stream's connection
        self._events = Events()
        self._try_at = self._looked_at = 0.0
        self._summed_at = -SUMS
        self._stale = True

    def begin(self) -> None:
        """Reach the service, which proves first that it is at work. Raises VerbError."""
        self._open.close()
        self._look()
        answer = self._open.enter_context(asked(self._arguments, "GET", EVENTS, timeout=None))
        self._parts, self._number, self._events = answer.parts(), answer.fileno(), Events()
        self.read()  # what came with the head of the answer

    def fileno(self) -> int | None:
        """Return what becomes readable when something is told; None while nobody is there."""
        return None if self._parts is None else self._number

    def read(self) -> None:
        """Take in what was told, or that it ended."""
        if self._parts is None:
            return
        try:
            data = next(self._parts, None)
            if data is None:
                self._lose("it ended")
                return
            self.picture.lost, self.picture.heard = "", time.time()
            for name, told in self._events.feed(data):
                self._take(name, read_object(told))
        except CutError as cut:
            self._lose(cut.why or cut.message)

    def keep_up(self) -> None:
        """Look at the views where they are stale, and for a service that is gone."""
        now = time.monotonic()
        if self._parts is None:
            if now >= self._try_at:
                self._try_at = now + AGAIN
                self._reach()
            return
        if now - self._looked_at < (FRESH if self._stale else OLD):
            return
        try:
            self._look()
        except VerbError as error:
            self._lose(error.message)

    def close(self) -> None:
        self._open.close()

    def _reach(self) -> None:
        try:
            self.begin()
        except VerbError as error:
            self.picture.lost = error.message

    def _lose(self, why: str) -> None:
        self._parts = None
        self._open.close()
        self.picture.lost = why
        self._try_at = time.monotonic() + AGAIN

    def _take(self, name: str, told: Fields) -> None:
        picture, self._stale = self.picture, True
        if name == "now":
            picture.now = told
        elif name == "lagged":
            picture.missed += count(told.get("missed"))

    def _look(self) -> None:
        self._looked_at, self._stale = time.monotonic(), False
        picture = self.picture
        picture.nodes = objects(self._view("nodes").get("nodes"))
        picture.breakers = objects(self._view("breakers").get("breakers"))
        picture.requests = objects(self._view("requests").get("requests"))
        picture.shifts = self._view("shifts")
        picture.providers = objects(self._view("status").get("providers"))
        if self._looked_at >= self._summed_at + SUMS:
            self._summed_at = self._looked_at
            picture.ledger = self._sums()

    def _sums(self) -> Fields:
        """Return today's sums; a house without a state directory has none."""
        try:
            return self._view("ledger?since=today")
        except VerbError as error:
            if error.exit_code == UNREACHABLE:
                raise
            return {}

    def _view(self, name: str) -> Fields:
        path = f"/supervisor/{name}"
        with asked(self._arguments, "GET", path, timeout=PATIENCE) as answer:
            return parse_object(answer.whole())
